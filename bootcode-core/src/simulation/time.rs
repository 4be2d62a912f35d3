//! Virtual time: it stands still while anything can be done, then moves to the next thing that is due.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::clock::{Clock, Timestamp};

/// When simulated time begins, in Unix seconds; any moment would do.
const BEGIN_SECONDS: i64 = 1_800_000_000;

/// The server's clock. Its wall time can jump; what sleeps, sleeps for as long as it asked for, as with a monotonic clock.
#[derive(Debug, Clone, Default)]
pub(super) struct SimClock(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now_ms: u64,
    skew_ms: i64,
    sleepers: BTreeMap<(u64, u64), Waker>,
    slept: u64,
}

impl SimClock {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the beginning; never jumps.
    pub(super) fn now_ms(&self) -> u64 {
        self.lock().now_ms
    }

    /// When the next sleeper is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.lock().sleepers.first_key_value().map(|((due, _), _)| *due)
    }

    /// Moves time forward and wakes whose time has come.
    pub(super) fn move_to(&self, ms: u64) {
        let mut inner = self.lock();
        let now_ms = inner.now_ms.max(ms);
        inner.now_ms = now_ms;
        let later = inner.sleepers.split_off(&(now_ms + 1, 0));
        let due = std::mem::replace(&mut inner.sleepers, later);
        drop(inner);
        due.into_values().for_each(Waker::wake);
    }

    /// Wall time jumps by so much.
    pub(super) fn jump(&self, by_ms: i64) {
        self.lock().skew_ms += by_ms;
    }

    /// Ends after so many milliseconds.
    pub(super) fn sleep_ms(&self, ms: u64) -> Sleep {
        let mut inner = self.lock();
        inner.slept += 1;
        Sleep { clock: self.clone(), due: (inner.now_ms + ms, inner.slept) }
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let inner = self.lock();
        let ms = i64::try_from(inner.now_ms).unwrap_or(i64::MAX).saturating_add(inner.skew_ms);
        let begin = Timestamp::from_second(BEGIN_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH);
        begin.saturating_add(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let left = deadline.duration_since(self.now()).as_millis();
        self.sleep_ms(u64::try_from(left).unwrap_or(0)).await;
    }
}

/// A moment that is awaited.
#[derive(Debug)]
pub(super) struct Sleep {
    clock: SimClock,
    due: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.lock();
        if inner.now_ms >= self.due.0 {
            return Poll::Ready(());
        }
        inner.sleepers.insert(self.due, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.due);
    }
}
