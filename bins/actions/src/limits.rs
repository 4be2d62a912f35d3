//! Bounds of what actions read and wait for, each with its reason.

use std::time::Duration;

/// Bytes of a token file; a sealed token is below 1 KiB.
pub const TOKEN_BYTES: u64 = 8 << 10;
/// Bytes zeroed at each end of a disk and of each old partition: every signature that libblkid knows lies within.
pub const WIPE_EDGE_BYTES: u64 = 1 << 20;
/// Partitions of one table; GPT has room for 128 by default.
pub const PARTITIONS: usize = 128;
/// Disks that are looked at; large storage servers have about a hundred.
pub const DISKS: usize = 1024;
/// Partitions start at multiples of this, as every partitioning program of today does.
pub const ALIGNMENT_BYTES: u64 = 1 << 20;
/// Bytes of a tool's error output that are kept for the one-line reason.
pub const TOOL_OUTPUT_BYTES: usize = 2 << 10;
/// How long the kernel may take to show new partitions: it is immediate but for slow USB bridges.
pub const NODES: Duration = Duration::from_secs(20);
/// How long a disk may be busy: a container that was just killed lets go of its mounts within seconds.
pub const BUSY: Duration = Duration::from_secs(15);
/// The metadata service may be restarting when an action begins.
pub const METADATA: Duration = Duration::from_secs(60);
/// How often a running installation says how far it is.
pub const PROGRESS: Duration = Duration::from_secs(5);
