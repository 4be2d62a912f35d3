//! Bounds of the API, each with its reason.

use std::time::Duration;

/// Bytes of a worker's request. A hello with 1,024 disks is near 400 KiB; log chunks are 64 KiB.
pub const WORKER_BODY_BYTES: usize = 1 << 20;
/// Bytes of an operator's request: `apply` of a fleet's documents.
pub const OPERATOR_BODY_BYTES: usize = 64 << 20;
/// Bytes of an answer that a client reads.
pub const ANSWER_BYTES: usize = 64 << 20;
/// Bytes of a log or timeline in one answer; the client asks on.
pub const PAGE_BYTES: usize = 256 << 10;
/// How long a client waits for a connection.
pub const CONNECT: Duration = Duration::from_secs(10);
/// How long a client waits for an answer; a claim is answered within 20 s.
pub const ANSWER: Duration = Duration::from_secs(60);
/// How long an operator's question may wait for news.
pub const WAIT: Duration = Duration::from_secs(20);
/// Changes in one answer to a watch, after which it is not waited for more: an apply of a fleet has thousands.
pub const WATCH_CHANGES: usize = 1_000;
