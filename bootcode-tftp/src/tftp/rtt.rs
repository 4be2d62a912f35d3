//! Measured round trips and the retransmission time that follows from them (RFC 6298).

use std::time::Duration;

use crate::limits;

#[derive(Debug, Clone)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    least: Duration,
    rto_max: Duration,
    jitter: u64,
}

impl Rtt {
    pub(super) fn new(rto_max: Duration, seed: u64) -> Self {
        Self { smoothed: None, variation: Duration::ZERO, least: limits::RTO_INITIAL, rto_max, jitter: seed }
    }

    /// Takes one measured round trip of something that was sent once (Karn's rule is the caller's).
    pub(super) fn sample(&mut self, round_trip: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(round_trip);
                self.variation = round_trip / 2;
                self.least = round_trip;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(round_trip)) / 4;
                self.smoothed = Some((smoothed * 7 + round_trip) / 8);
                self.least = self.least.min(round_trip);
            }
        }
    }

    /// The shortest round trip seen: nothing that arrives earlier can be an answer to what was just sent.
    pub(super) fn least(&self) -> Duration {
        self.least
    }

    /// How long to wait before sending again for the `attempt`th time (0 is the first), with up to an eighth of jitter so that a
    /// thousand machines of one power cut do not repeat in step.
    pub(super) fn wait(&mut self, attempt: u32) -> Duration {
        let base = match self.smoothed {
            None => limits::RTO_INITIAL,
            Some(smoothed) => (smoothed + self.variation * 4).max(limits::RTO_MIN),
        };
        let wait = base.saturating_mul(1 << attempt.min(10)).min(self.rto_max);
        self.jitter =
            self.jitter.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        wait + wait / 8 * u32::from((self.jitter >> 56) as u8) / 256
    }
}
