//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// Bytes of `/proc/cmdline` that are read: twice what x86 kernels keep (`COMMAND_LINE_SIZE` is 2048).
pub const CMDLINE_BYTES: u64 = 4096;

/// Resolvers taken from `bootcode.dns=`: glibc and musl read no more than three.
pub const DNS_SERVERS: usize = 3;

/// Bytes of one module table (`modules.dep`, `modules.alias`): Debian's largest is under 2 MiB.
pub const MODULE_TABLE_BYTES: u64 = 16 << 20;

/// Bytes of one `modalias` file: the kernel writes at most one page.
pub const MODALIAS_BYTES: u64 = 4096;

/// Passes over the devices while loading modules: a bus appears behind a bus (PCI, virtio, SCSI), never this deep.
pub const MODULE_PASSES: usize = 8;

/// How deep one dependency may stand behind another; real chains are under ten.
pub const MODULE_DEPTH: usize = 64;

/// How long one look for the network card lasts before the console is told that it is missing.
pub const NIC_WAIT: Duration = Duration::from_secs(10);

/// How long a link may take to come up; spanning tree on a switch port takes 30 s.
pub const CARRIER_WAIT: Duration = Duration::from_secs(45);

/// Between two looks at something that only polling shows (a card, a carrier).
pub const POLL: Duration = Duration::from_millis(50);

/// Between two repetitions of a complaint on the console: often enough for somebody who has just opened it.
pub const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// First and longest wait before a worker that ended is started again.
pub const RESTART_FIRST: Duration = Duration::from_secs(1);
/// See [`RESTART_FIRST`].
pub const RESTART_LONGEST: Duration = Duration::from_secs(30);
/// A worker that ran this long starts again with the first wait.
pub const RESTART_SETTLED: Duration = Duration::from_secs(60);

/// Between SIGTERM and SIGKILL for what still runs when the machine goes down.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// Bytes of one netlink answer: an acknowledgement with the request quoted stays far below.
pub const NETLINK_REPLY_BYTES: usize = 8192;

/// Share of the RAM that the root file system may take: container images unpack there, and a machine of 512 MiB
/// keeps about 130 MiB for programs.
pub const ROOT_SIZE: &str = "70%";

/// Share of the RAM for `/run`: state of the container runtime, the worker's nonce, sockets.
pub const RUN_SIZE: &str = "10%";

/// Kernel and initramfs together, in bytes: what a machine downloads before it can do anything.
pub const DOWNLOAD_BYTES: u64 = 40 << 20;

/// Bytes of one file that goes into the initramfs; anything larger could not fit the download bound anyway.
pub const ENTRY_BYTES: u64 = 128 << 20;

/// Packages that one runtime may pull in; crun needs eleven.
pub const PACKAGES: usize = 64;

/// Bytes of a failed command's stderr that go into the error.
pub const STDERR_BYTES: usize = 2000;
