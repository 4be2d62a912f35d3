//! Bounds of image writing, each with its reason.

use std::time::Duration;

/// Bytes of one chunk between network and disk; large enough that a channel costs nothing beside the hash.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for the disk. With [`CHUNK_BYTES`] this is all the memory that a slow disk can take.
pub const CHUNKS_QUEUED: usize = 16;
/// Bytes of an image whose size nobody declared; no operating-system image comes near.
pub const IMAGE_BYTES: u64 = 1 << 40;
/// Entries of a tar; a full desktop has about 500,000.
pub const TAR_ENTRIES: u64 = 10_000_000;
/// Bytes of the JSON answers that actions read (metadata of one machine is a few KiB).
pub const DOCUMENT_BYTES: usize = 1 << 20;
/// Bytes of an answer's head; ours are below 1 KiB.
pub const HEAD_BYTES: usize = 64 << 10;
/// A host on the same network answers in milliseconds; ten seconds cover a switch that relearns its ports.
pub const CONNECT: Duration = Duration::from_secs(10);
/// Silence after which a connection counts as dead: longer than a server's restart takes to reset it.
pub const IDLE: Duration = Duration::from_secs(30);
/// How long a fetch goes on trying without a single new byte: a server's restart, a switch's reboot.
pub const RECONNECT: Duration = Duration::from_secs(120);
/// Longest pause between two attempts.
pub const BACKOFF: Duration = Duration::from_secs(4);
