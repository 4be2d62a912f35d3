//! Bounds of everything that core reads or keeps, each with its reason.

/// Bytes of one YAML file. A fleet's file of 10,000 machines is near 4 MiB; more belongs into several files.
pub const YAML_FILE_BYTES: usize = 16 << 20;
/// Document files below one directory; a fleet of 10,000 machines with a file each fits.
pub const TREE_FILES: usize = 20_000;
/// Bytes of all document files below one directory: some KiB for each of 10,000 machines.
pub const TREE_BYTES: usize = 64 << 20;
/// Nodes of one YAML file: 10,000 machines of about 100 keys and values each, and as much again.
pub const YAML_NODES: usize = 2_000_000;
/// Nodes that aliases and merge keys of one file may add; people share a block of some lines, bombs multiply.
pub const YAML_ALIAS_NODES: usize = 100_000;
/// Entries of one list that is read into a type: far above what a machine has of anything, and small enough to compare each with each.
pub const YAML_LIST_ITEMS: usize = 4096;
/// Nodes that are read again, all in all, to find the faults behind the first one.
pub const YAML_REREAD_NODES: usize = 4_000_000;
/// How deep YAML may nest; documents go 8 deep, user data some more.
pub const YAML_DEPTH: usize = 64;
/// Faults that are listed at once; more do not fit on a screen and usually have one cause.
pub const FAULTS: usize = 200;
/// Bytes of a file that a document names as user data; clouds take 16 to 64 KiB, and a batch of the store has to hold it.
pub const USER_DATA_BYTES: usize = 256 << 10;
/// Install files of one document: an installer asks for one to four, and a machine is installed by one or two of them.
pub const INSTALL_FILES: usize = 16;
/// Bytes of all of them before rendering: kickstarts have some KiB, and a batch of the store has to hold them.
pub const INSTALL_BYTES: usize = 256 << 10;
/// Bytes of the name of one: it stands in a URL on a kernel's command line.
pub const INSTALL_NAME_BYTES: usize = 64;
/// References to nothing for which the name that was meant is looked for: that costs as much as the fleet has names.
pub const SUGGESTIONS: usize = 10;
/// Warnings that are listed at once. A fleet's machines are written alike, so the same few come again and again.
pub const WARNINGS: usize = 200;
/// Characters of a value that a fault repeats.
pub const FAULT_VALUE_CHARS: usize = 60;
/// Steps of one rendering: expressions, rounds of `range`, items and 64 bytes of text gone through. A fleet's list takes some ten
/// thousand; an endless loop has no end.
pub const TEMPLATE_STEPS: u64 = 250_000;
/// Bytes of all texts that the functions of one rendering make; many times what may be printed.
pub const TEMPLATE_MADE_BYTES: usize = 16 << 20;
/// Blocks and templates within one another while rendering; Go's 100,000 would overflow a thread's stack.
pub const TEMPLATE_DEPTH: usize = 100;
/// Lists and maps within one another, where a function goes through them all.
pub const TEMPLATE_VALUE_DEPTH: usize = 64;
/// Bytes of a regular expression in a template; one that nobody can read is no expression.
pub const TEMPLATE_REGEX_BYTES: usize = 1 << 10;
/// Bytes that an expression is compiled to; `\\w{1000}` nested is millions.
pub const TEMPLATE_REGEX_PROGRAM_BYTES: usize = 1 << 20;
/// Bytes of a name in a template, the bound that Tinkerbell has.
pub const TEMPLATE_NAME_BYTES: usize = 199;
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
/// Bytes of each half of a secret's name; names of documents have 63 at most.
pub const SECRET_NAME_BYTES: usize = 253;
/// Bytes of a secret's value: keys and certificates have some KiB, and all of an action's secrets travel with its assignment.
pub const SECRET_BYTES: usize = 64 << 10;
/// Bytes of one action's outputs as JSON: facts for later actions, not files.
pub const OUTPUT_BYTES: usize = 64 << 10;
/// Bytes of all outputs of a workflow: they travel with each assignment.
pub const OUTPUTS_BYTES: usize = 512 << 10;
/// Seconds that an `on-failure` or `on-timeout` command may run.
pub const HOOK_SECONDS: u64 = 60;
/// Disks that one machine may report; large storage servers have about a hundred.
pub const INVENTORY_DISKS: usize = 1024;
/// Seconds after an attempt's deadline in which its report still counts: the worker kills the container, spools and reports.
pub const REPORT_GRACE_SECONDS: u64 = 120;
/// Seconds after the server's start in which no attempt is given up: workers report what ended while it was away.
pub const START_GRACE_SECONDS: u64 = 120;
/// Bytes of one machine's inventory as JSON: 1024 disks with their paths.
pub const INVENTORY_BYTES: usize = 512 << 10;
/// Characters of a nonce or boot id; ours have 32 and 36.
pub const SESSION_ID_CHARS: usize = 128;
/// Boot tokens of one machine that are remembered as redeemed until they expire; a machine boots OSIE some times an hour at most.
pub const REDEEMED_TOKENS: usize = 64;
/// Seconds that a worker's session lasts; each boot opens its own, and a stopped workflow may wait for its operator for long.
pub const SESSION_SECONDS: u64 = 30 * 86_400;
/// Seconds that a machine may read its metadata with an action's token: the installed system calls home with it too.
pub const INSTANCE_TOKEN_SECONDS: u64 = 30 * 86_400;
/// How often a workflow's command is decided again after another writer was first.
pub const DECIDE_ROUNDS: u32 = 16;
/// Seconds that a claim waits for work before it is answered with `Wait`; below the 30 s after which proxies give up.
pub const CLAIM_SECONDS: u64 = 20;
/// Milliseconds between two heartbeats of a worker.
pub const HEARTBEAT_MS: u64 = 5_000;
/// Bytes of one machine's timeline: `TIMELINE_EVENTS` of some 200 bytes each.
pub const TIMELINE_BYTES: u64 = 2 << 20;
/// Bytes that the journal gathers before streams go to files of their own: some hundred thousand boots, so that a file is opened for many of
/// them at once; a start reads it in a moment.
pub const JOURNAL_WAL_BYTES: u64 = 128 << 20;
/// Commits that a store keeps for watchers that fell behind.
pub const STORE_CHANGES: u64 = 10_000;
/// Commits that wait in memory for one slow watcher before it has to read those it missed: of a large apply some 10 MiB.
pub const WATCH_QUEUE: usize = 64;
/// Commits that a watcher reads at once.
pub const WATCH_PAGE: usize = 64;
/// Batches that one fsync of the embedded store carries: more would make the first of them wait too long.
pub const STORE_GROUP: usize = 256;
/// Bytes of one DHCP option that a document gives: a reply is one Ethernet frame, and others must fit beside it.
pub const DHCP_OPTION_BYTES: usize = 1024;
/// Bytes of a domain as text (RFC 1035 2.3.4: 255 as labels).
pub const DOMAIN_BYTES: usize = 253;
/// Bytes of a boot file's name: `file` of a DHCP reply holds 128 with the NUL that old ROMs need (RFC 2131 2).
pub const NBP_NAME_BYTES: usize = 127;
/// Bytes of a URL that firmware or iPXE is told; it has to fit one option of DHCP.
pub const BOOT_URL_BYTES: usize = 255;
/// Bytes of an iPXE script in a document; iPXE keeps scripts in a heap of 512 KiB, and a batch of the store has to hold them.
pub const SCRIPT_BYTES: usize = 64 << 10;
/// Unknown machines that are remembered: a hall that nobody declared. Some KiB each.
pub const UNKNOWN_MACHINES: usize = 10_000;
/// Bytes of the inventory of one machine that nobody declared, as JSON: some 200 disks. A worker leaves out what is beyond it.
pub const UNKNOWN_INVENTORY_BYTES: usize = 128 << 10;
/// Bytes of all of them: machines of a rack have 1 to 6 KiB each; beyond it whoever has not asked for longest makes room.
pub const UNKNOWN_INVENTORIES_BYTES: usize = 64 << 20;
/// Characters of a text in them: models and serial numbers of disks have at most 40, paths some hundred.
pub const UNKNOWN_TEXT_CHARS: usize = 256;
/// Inventories that were told and not looked at yet. Who finds no room is told to come again.
pub const UNKNOWN_INVENTORY_QUEUE: usize = 64;
/// Seconds in which one machine's inventory is taken once: it does not change while the machine waits.
pub const UNKNOWN_INVENTORY_S: i64 = 10;
/// Seconds that an installer may read its files with the token on its command line: slow ones with slow mirrors take some hours.
pub const INSTALL_TOKEN_SECONDS: u64 = 86_400;
/// Seconds that a machine which nobody declared may tell its inventory before it has to boot anew: it keeps an address of DHCP that long
/// without renewing it, and a lease lasts a day unless its Network says otherwise.
pub const INVENTORY_TOKEN_SECONDS: u64 = 86_400;
/// Milliseconds between two looks at whether a machine that waits was declared: 10,000 of them are 700 requests a second.
pub const STANDBY_MS: u64 = 15_000;
/// Unknown machines that were seen and not looked at yet: a burst of a hall; a flood loses the rest.
pub const UNKNOWN_QUEUE: usize = 4096;
/// Seconds between two looks at which unknown machines are to be written or dropped.
pub const UNKNOWN_WRITE_S: u64 = 2;
/// Batches of unknown machines that one look writes: a flood costs the store no more than two transactions a second.
pub const UNKNOWN_BATCHES: usize = 4;
/// Seconds after which it is written that an unknown machine asked again.
pub const UNKNOWN_FRESH_S: i64 = 60;

/// Bytes of a file that is kept in memory: iPXE, GRUB and shim have at most some MiB; kernels and images go by HTTP from the page cache.
pub const HOT_FILE_BYTES: u64 = 8 << 20;
/// Bytes of all files in memory, unless configured: every boot program of every architecture several times over.
pub const HOT_BYTES: u64 = 64 << 20;
/// From how many bytes on a file in memory is one of the kernel's, which connections can send without copying: below, copying is as quick.
pub const HOT_SEALED_BYTES: u64 = 16 << 10;
/// Names of files in memory: boot programs are some tens, and an empty file costs its name.
pub const HOT_FILES: usize = 1024;
/// Milliseconds for which a directory's word on a file in memory holds: some ticks of the clock that tells changes of files apart, and less than any machine
/// takes from hearing of a file to asking for it.
pub const HOT_TRUST_MS: u64 = 20;
