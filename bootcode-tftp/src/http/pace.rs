//! When how many bytes of large downloads may go, so that all of them together keep below a rate.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

use crate::limits::{PACE_BURST, PACE_QUANTUM_BYTES};

/// A rate that downloads share equally: each has one grant at a time, all grants are equally large, and the first to ask is the first to
/// get, so those that ask take turns. What nobody asks for is left to the others, and is not saved for more than
/// [`PACE_BURST`].
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: NonZeroU64,
    /// When what was granted is sent at the rate.
    free_at: Option<Instant>,
}

/// Bytes that may go, and from when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) bytes: u64,
    pub(super) at: Instant,
}

impl Pace {
    pub(super) const fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, free_at: None }
    }

    /// Grants some of `wanted` bytes.
    pub(super) fn grant(&mut self, wanted: u64, now: Instant) -> Grant {
        let bytes = wanted.min(self.quantum());
        // Whoever was woken late finds its time unspent.
        let earliest = now.checked_sub(PACE_BURST).unwrap_or(now);
        let at = self.free_at.map_or(now, |free| free.max(earliest));
        self.free_at = Some(at + self.time_of(bytes));
        Grant { bytes, at: at.max(now) }
    }

    /// Ten milliseconds' worth, within bounds.
    fn quantum(&self) -> u64 {
        let (least, most) = (*PACE_QUANTUM_BYTES.start(), *PACE_QUANTUM_BYTES.end());
        (self.bytes_per_second.get() / 100).clamp(least, most)
    }

    fn time_of(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Reverse, collections::BinaryHeap};

    use super::*;

    const RATE: u64 = 125_000_000;

    /// A timer wakes whoever waits so late.
    const LATE: Duration = Duration::from_millis(1);

    /// Lets downloads, each with its own delay before it asks again, take until `end`; what each got.
    fn run(pace: &mut Pace, delays: &[Duration], start: Instant, end: Duration) -> Vec<u64> {
        let mut got = vec![0; delays.len()];
        let mut asking: BinaryHeap<_> =
            (0..delays.len()).map(|download| Reverse((start, download, 0))).collect();
        while let Some(Reverse((now, download, held))) = asking.pop() {
            if now > start + end {
                break;
            }
            got[download] += held;
            let grant = pace.grant(u64::MAX, now);
            assert!(grant.at >= now && grant.bytes > 0);
            let woken = if grant.at > now { grant.at + LATE } else { now };
            asking.push(Reverse((woken + delays[download], download, grant.bytes)));
        }
        got
    }

    #[test]
    fn the_rate_holds_within_a_tenth_and_is_used() {
        for rate in [125_000, 1_250_000, RATE, 3_125_000_000] {
            for downloads in [1, 3, 64] {
                let mut pace = Pace::new(NonZeroU64::new(rate).unwrap());
                let delays = vec![Duration::ZERO; downloads];
                let seconds = 10;
                let got = run(&mut pace, &delays, Instant::now(), Duration::from_secs(seconds));
                let share = got.iter().sum::<u64>() as f64 / (rate * seconds) as f64;
                assert!((0.9..1.1).contains(&share), "{rate} by {downloads}: {share}");
            }
        }
    }

    #[test]
    fn a_thousand_downloads_have_equal_shares_and_a_slow_one_leaves_its_to_the_others() {
        let mut pace = Pace::new(NonZeroU64::new(RATE).unwrap());
        let mut delays = vec![Duration::ZERO; 1000];
        delays[7] = Duration::from_secs(20);
        let got = run(&mut pace, &delays, Instant::now(), Duration::from_secs(600));
        let mean = got.iter().sum::<u64>() / 1000;
        for (download, bytes) in got.iter().enumerate().filter(|(download, _)| *download != 7) {
            assert!(bytes.abs_diff(mean) * 5 < mean, "{download}: {bytes} of {mean}");
        }
        assert!(got[7] < mean / 2);
        assert!(got.iter().sum::<u64>() * 10 > RATE * 600 * 9, "what the slow one leaves is used");
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let mut pace = Pace::new(NonZeroU64::new(RATE).unwrap());
        let start = Instant::now();
        pace.grant(1, start);
        let later = start + Duration::from_secs(3600);
        let got = run(&mut pace, &[Duration::ZERO], later, Duration::from_secs(1));
        assert!(got[0] < RATE + RATE / 10, "{}", got[0]);
    }
}
