//! Time as a port: only drivers hold a clock, everything that decides is told `now`.

use async_trait::async_trait;
pub use jiff::Timestamp;

/// A source of time. Machines never see wall time; they are told durations.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Returns at or after `deadline`.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// The clock of the host.
#[cfg(feature = "engine")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[cfg(feature = "engine")]
#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let left = deadline.duration_since(Timestamp::now());
        if let Ok(left) = std::time::Duration::try_from(left) {
            tokio::time::sleep(left).await;
        }
    }
}

/// A clock that moves only when told to: for tests and simulation.
#[cfg(all(feature = "engine", any(test, feature = "testing")))]
#[derive(Debug)]
pub struct ManualClock {
    now: tokio::sync::watch::Sender<Timestamp>,
}

#[cfg(all(feature = "engine", any(test, feature = "testing")))]
impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { now: tokio::sync::watch::Sender::new(start) }
    }

    /// Sets the clock, also back.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }

    /// Moves the clock forward and wakes the sleepers whose time has come.
    pub fn advance(&self, by: std::time::Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

#[cfg(all(feature = "engine", any(test, feature = "testing")))]
#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let mut now = self.now.subscribe();
        // The sender lives in `self`, so waiting cannot fail while we are borrowed.
        let _ = now.wait_for(|now| *now >= deadline).await;
    }
}

/// The time that this thread itself worked: bounds of it hold on a busy machine, too.
#[cfg(test)]
pub(crate) fn worked() -> std::time::Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}
