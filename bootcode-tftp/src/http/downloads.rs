//! What the downloads of one server share: turns, a rate, and what is counted.

use std::{
    num::NonZeroU64,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::Semaphore, time::Instant};

use super::{
    download::Download,
    metrics::{HttpMetrics, Kind},
    pace::{Grant, Pace},
};
use crate::limits;

/// Which downloads are large, how many of them run at once, and how fast they are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeDownloads {
    /// An answer whose body has so many bytes is large. Smaller ones never wait and are never slowed down.
    pub from_bytes: u64,
    /// The most at once; the others wait in the order in which they came.
    pub parallel: usize,
    /// The most bytes a second of all large downloads together; `None` for as fast as they go.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl Default for LargeDownloads {
    fn default() -> Self {
        Self { from_bytes: limits::LARGE_BYTES, parallel: limits::LARGE_DOWNLOADS, bytes_per_second: None }
    }
}

/// What [`files_router`](super::files_router) and the registry's router share. Clones share it.
///
/// A large download has its head at once and waits for its turn with its body, of which it gets a few bytes now and then: clients do not
/// wait long for a head, and none waits long for the next bytes (EDK2's HTTP gives up after 5 s by default), but a
/// length that was told keeps all of them waiting. Whoever goes away leaves the queue.
#[derive(Debug, Clone)]
pub struct Downloads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    from_bytes: u64,
    /// It is fair: who comes first has the turn first.
    turns: Arc<Semaphore>,
    pace: Option<Mutex<Pace>>,
    metrics: HttpMetrics,
}

impl Default for Downloads {
    fn default() -> Self {
        Self::new(LargeDownloads::default())
    }
}

impl Downloads {
    /// Of one server. Where `parallel` is 0 it is taken for 1.
    #[must_use]
    pub fn new(large: LargeDownloads) -> Self {
        Self(Arc::new(Shared {
            from_bytes: large.from_bytes,
            turns: Arc::new(Semaphore::new(large.parallel.clamp(1, Semaphore::MAX_PERMITS))),
            pace: large.bytes_per_second.map(|rate| Mutex::new(Pace::new(rate))),
            metrics: HttpMetrics::default(),
        }))
    }

    /// Where nothing is large: for operators, who are few.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::new(LargeDownloads { from_bytes: u64::MAX, ..LargeDownloads::default() })
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &HttpMetrics {
        &self.0.metrics
    }

    /// A request for a file of this kind.
    pub(crate) fn request(&self, kind: Kind) -> Download {
        Download::new(self.clone(), kind)
    }

    pub(super) fn is_large(&self, bytes: u64) -> bool {
        bytes >= self.0.from_bytes
    }

    pub(super) fn turns(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.turns)
    }

    /// Some of `wanted` bytes, and when they may go; `None` where all may go at once.
    pub(super) fn grant(&self, wanted: u64, now: Instant) -> Option<Grant> {
        let mut pace = self.0.pace.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(pace.grant(wanted, now.into_std()))
    }
}
