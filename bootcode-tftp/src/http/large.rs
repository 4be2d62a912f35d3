//! A large download: its turn, and its share of the rate.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::PollSemaphore;

use super::downloads::Downloads;
use crate::limits::{SIP_BYTES, SIP_EVERY};

/// Says how many bytes may go next. Dropped, it gives its turn or its place in the queue back.
pub(super) struct Large {
    downloads: Downloads,
    turn: Turn,
    /// Bytes that may go now.
    allowance: u64,
    /// Bytes that may go when the timer ends.
    granted: Option<u64>,
    timer: Pin<Box<Sleep>>,
}

enum Turn {
    Waits {
        queue: PollSemaphore,
        wait: Option<Wait>,
    },
    /// None where there are no turns any more.
    Has(#[expect(dead_code, reason = "it is held")] Option<OwnedSemaphorePermit>),
}

/// A wait, counted from its begin to its end.
struct Wait {
    since: Instant,
    downloads: Downloads,
}

impl Wait {
    fn begin(downloads: &Downloads) -> Self {
        downloads.metrics().waits();
        Self { since: Instant::now(), downloads: downloads.clone() }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.downloads.metrics().waited(self.since.elapsed());
    }
}

impl Large {
    pub(super) fn new(downloads: Downloads) -> Self {
        let queue = PollSemaphore::new(downloads.turns());
        let timer = Box::pin(sleep_until(Instant::now() + SIP_EVERY));
        Self { downloads, turn: Turn::Waits { queue, wait: None }, allowance: 0, granted: None, timer }
    }

    /// Waits until bytes may go, of `rest` that are still to come; how many.
    pub(super) fn poll_allowance(&mut self, rest: u64, context: &mut Context<'_>) -> Poll<u64> {
        if let Turn::Waits { queue, wait } = &mut self.turn {
            match queue.poll_acquire(context) {
                Poll::Ready(permit) => self.turn = Turn::Has(permit),
                Poll::Pending => {
                    wait.get_or_insert_with(|| Wait::begin(&self.downloads));
                    return self.poll_sip(context);
                }
            }
        }
        if self.allowance > 0 {
            return Poll::Ready(self.allowance);
        }
        if self.granted.is_none() {
            let Some(grant) = self.downloads.grant(rest, Instant::now()) else {
                return Poll::Ready(u64::MAX);
            };
            self.granted = Some(grant.bytes);
            self.timer.as_mut().reset(Instant::from_std(grant.at));
        }
        ready!(self.timer.as_mut().poll(context));
        self.allowance = self.granted.take().unwrap_or_default();
        Poll::Ready(self.allowance)
    }

    /// The few bytes of one that waits.
    fn poll_sip(&mut self, context: &mut Context<'_>) -> Poll<u64> {
        if self.allowance == 0 {
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            self.timer.as_mut().reset(now + SIP_EVERY);
            // They are not waited for, but count as sent at the rate.
            self.downloads.grant(SIP_BYTES, now);
            self.allowance = SIP_BYTES;
        }
        Poll::Ready(self.allowance)
    }

    /// So many bytes went.
    pub(super) const fn sent(&mut self, bytes: u64) {
        self.allowance = self.allowance.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, num::NonZeroU64, time::Duration};

    use super::*;
    use crate::http::LargeDownloads;

    fn downloads(parallel: usize, bytes_per_second: Option<u64>) -> Downloads {
        let bytes_per_second = bytes_per_second.and_then(NonZeroU64::new);
        Downloads::new(LargeDownloads { from_bytes: 1, parallel, bytes_per_second })
    }

    async fn take(large: &mut Large, rest: u64) -> u64 {
        let bytes = poll_fn(|context| large.poll_allowance(rest, context)).await.min(rest);
        large.sent(bytes);
        bytes
    }

    /// Asks once, without waiting.
    async fn ask(large: &mut Large) {
        poll_fn(|context| Poll::Ready(large.poll_allowance(1, context).is_ready())).await;
    }

    /// What it gets in so long, and how often.
    async fn within(large: &mut Large, time: Duration) -> (u64, u32) {
        let (mut bytes, mut times) = (0, 0);
        let taking = async {
            loop {
                bytes += take(large, 1 << 30).await;
                times += 1;
            }
        };
        let _: Result<(), _> = tokio::time::timeout(time, taking).await;
        (bytes, times)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_a_sip_before_any_client_gives_up_and_then_its_turn() {
        let downloads = downloads(1, None);
        let (mut first, mut second) = (Large::new(downloads.clone()), Large::new(downloads));
        assert_eq!(take(&mut first, 1000).await, 1000, "at once");
        let (bytes, sips) = within(&mut second, Duration::from_secs(61)).await;
        assert_eq!((bytes, sips), (30 * SIP_BYTES, 30));
        drop(first);
        assert_eq!(take(&mut second, 1 << 30).await, 1 << 30);
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_had_in_order_and_whoever_leaves_is_passed_over() {
        let downloads = downloads(1, None);
        let mut large: Vec<_> = (0..4).map(|_| Large::new(downloads.clone())).collect();
        for one in &mut large {
            ask(one).await;
        }
        let has = |large: &[Large]| -> Vec<_> {
            large.iter().map(|large| matches!(large.turn, Turn::Has(_))).collect()
        };
        assert_eq!(has(&large), [true, false, false, false]);
        drop(large.remove(1));
        drop(large.remove(0));
        for one in large.iter_mut().rev() {
            ask(one).await;
        }
        assert_eq!(has(&large), [true, false], "the one that came third, though the last one asks first");
    }

    #[tokio::test(start_paused = true)]
    async fn all_of_them_keep_below_the_rate_with_those_that_wait() {
        const RATE: u64 = 1_250_000;
        let downloads = downloads(4, Some(RATE));
        let took = futures_util::future::join_all((0..100).map(|_| {
            let mut large = Large::new(downloads.clone());
            async move { within(&mut large, Duration::from_secs(20)).await.0 }
        }))
        .await;
        let share = took.iter().sum::<u64>() as f64 / (RATE * 20) as f64;
        assert!((0.9..1.1).contains(&share), "{share}");
        let mean = took[..4].iter().sum::<u64>() / 4;
        assert!(took[..4].iter().all(|bytes| bytes.abs_diff(mean) * 10 < mean), "{:?}", &took[..4]);
        assert_eq!(took[4], 9 * SIP_BYTES);
    }
}
