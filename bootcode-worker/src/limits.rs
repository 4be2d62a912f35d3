//! Bounds of the agent, its runtimes and its spool, each with its reason.

use std::time::Duration;

/// Bytes of a failed action's message; one console line, and with [`TAIL_BYTES`] inside `FAILURE_TEXT_BYTES` of core.
pub const MESSAGE_BYTES: usize = 512;
/// Bytes of the log's end that go into a report.
pub const TAIL_BYTES: usize = bootcode_core::limits::FAILURE_TEXT_BYTES - MESSAGE_BYTES;
/// Bytes of log kept for a server that does not answer: several hundred lines a second for some seconds, and bearable
/// on a machine of 512 MiB. Beyond it the oldest are dropped, and the log says how many.
pub const LOG_BACKLOG_BYTES: usize = 1 << 20;
/// Reads of a container's output that wait for the log; the log always drains, so a few are enough.
pub const LOG_QUEUE: usize = 16;
/// Bytes of one read of a container's output: a pipe's capacity.
pub const LOG_READ_BYTES: usize = 64 << 10;
/// How long log text is collected before it is sent: one request for some lines instead of one for each.
pub const LOG_LINGER: Duration = Duration::from_millis(250);
/// How long the end of a log may delay its report. Later the log still goes on being sent beside it.
pub const LOG_FLUSH: Duration = Duration::from_secs(3);

/// Bytes of a secret below which it is not masked in an action's log: replacing every `1` would leave no log and hide nothing.
pub const MASKED_BYTES: usize = 4;
/// Secrets, and lines of secrets, that are masked in an action's log: each costs a look at every byte of it.
pub const MASKED_TEXTS: usize = 256;

/// First and longest pause before a call is tried again. The longest is what a restarted server waits for its workers.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// See [`BACKOFF_FIRST`].
pub const BACKOFF_LONGEST: Duration = Duration::from_secs(10);
/// How long one call may take, a long-polling claim included.
pub const CALL: Duration = Duration::from_secs(90);
/// Shortest and longest pause that a server may ask for between claims: no spinning, no forgotten machine.
pub const WAIT_SHORTEST: Duration = Duration::from_millis(200);
/// See [`WAIT_SHORTEST`].
pub const WAIT_LONGEST: Duration = Duration::from_secs(300);
/// How often a machine that stays in OSIE asks whether an operator had its workflow continue.
pub const STAY: Duration = Duration::from_secs(10);
/// How long a machine is given to go down before it is told again.
pub const RESTART: Duration = Duration::from_secs(60);
/// How long the reason stands on the console before a machine that nobody declared restarts for another token.
pub const REFUSED: Duration = Duration::from_secs(10);
/// How often the console repeats what a machine waits for that nobody declared.
pub const STANDBY_SAID: Duration = Duration::from_secs(300);
/// Shortest pause between heartbeats, whatever the server says.
pub const HEARTBEAT_SHORTEST: Duration = Duration::from_secs(1);
/// How long an `on-failure` or `on-timeout` command may run; the server's grace for an attempt bounds it as well.
pub const HOOK: Duration = Duration::from_secs(bootcode_core::limits::HOOK_SECONDS);

/// Entries of the spool: one action is open at a time, so more than a few are the work of somebody else.
pub const SPOOL_ENTRIES: usize = 64;
/// Bytes of one entry of the spool: text of a failure and one report for each of a machine's disks.
pub const SPOOL_ENTRY_BYTES: u64 = 1 << 20;
/// How long the kernel may gather entropy at the start; a machine without RDRAND and without a virtio-rng may never have
/// enough to call itself seeded.
pub const ENTROPY: Duration = Duration::from_secs(5);
/// Bytes of `/proc/cmdline` that are read: twice what x86 kernels keep.
pub const CMDLINE_BYTES: u64 = 4096;
/// Bytes of a token file; tokens are some hundred characters.
pub const TOKEN_BYTES: u64 = 4096;
/// Bytes of one attribute in sysfs: the kernel writes at most a page.
pub const ATTRIBUTE_BYTES: u64 = 4096;

/// Volumes of one action; templates have a handful.
pub const VOLUMES: usize = 128;
/// Bytes of a manifest or image configuration (the OCI distribution specification asks registries for 4 MiB).
pub const MANIFEST_BYTES: usize = 4 << 20;
/// Layers of one image: what one page of overlayfs mount options holds with our paths.
pub const LAYERS: usize = 32;
/// Entries of one layer; a full distribution has about 100,000.
pub const LAYER_ENTRIES: u64 = 2_000_000;
/// How long `crun` may take to end a container; it kills and removes a cgroup.
pub const CRUN_DELETE: Duration = Duration::from_secs(20);
/// How long the output of a container is awaited after its end: something it left may hold the pipe open.
pub const OUTPUT_DRAIN: Duration = Duration::from_secs(2);
/// Bytes of crun's own log that are read for its complaint.
pub const CRUN_LOG_BYTES: u64 = 64 << 10;
