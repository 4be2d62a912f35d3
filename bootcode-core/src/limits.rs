//! Bounds of everything that core reads or keeps, each with its reason.

/// Bytes of one YAML file. A fleet's file of 10,000 machines is near 4 MiB; more belongs into several files.
pub const YAML_FILE_BYTES: usize = 16 << 20;
/// Bytes of a template before rendering; Tinkerbell's own are below 16 KiB.
pub const TEMPLATE_BYTES: usize = 256 << 10;
/// Bytes of a rendered template, the bound that Tinkerbell has.
pub const RENDERED_BYTES: usize = 256 << 10;
/// Operations of one `Batch`: one transaction of SQLite now, one of etcd (128 by default) later.
pub const BATCH_OPERATIONS: usize = 128;
/// Bytes of one `Batch`, for the same reason (etcd's default is 1.5 MiB).
pub const BATCH_BYTES: usize = 1 << 20;
/// Bytes of the message and the log tail that a failed action leaves in the workflow log.
pub const FAILURE_TEXT_BYTES: usize = 4 << 10;
/// Bytes of one chunk of an action's log.
pub const LOG_CHUNK_BYTES: usize = 64 << 10;
/// Bytes kept of one action's log; a chatty action must not fill the server's disk.
pub const ACTION_LOG_BYTES: u64 = 16 << 20;
/// Entries of the timeline's queue: some seconds of 10,000 machines booting at once.
pub const TIMELINE_QUEUE: usize = 65_536;
/// Boot events kept for a machine: several boots of some hundred events each.
pub const TIMELINE_EVENTS: usize = 10_000;
/// Bytes of a file name that a machine asks for; longer names exist on no boot server.
pub const FILE_NAME_BYTES: usize = 1024;
/// How often an interrupted action is started again.
pub const INTERRUPTIONS: u32 = 3;
/// Seconds that pulling an image may take, apart from the action's own time.
pub const PULL_SECONDS: u64 = 600;
/// Disks that one machine may report; large storage servers have about a hundred.
pub const INVENTORY_DISKS: usize = 1024;
