//! A link that loses, doubles, delays and reorders.

use std::time::Duration;

/// Fates of packets, drawn from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) random: Random,
    pub(crate) loss_percent: u64,
    pub(crate) double_percent: u64,
    pub(crate) delay_us: u64,
    pub(crate) jitter_us: u64,
    /// How many packets were lost or doubled.
    pub(crate) troubles: u64,
}

impl Link {
    /// The delays of the copies that arrive: none, one or two, in any order.
    pub(crate) fn copies(&mut self) -> Vec<Duration> {
        if self.random.below(100) < self.loss_percent {
            self.troubles += 1;
            return Vec::new();
        }
        let doubled = self.random.below(100) < self.double_percent;
        self.troubles += u64::from(doubled);
        (0..=u64::from(doubled)).map(|_| self.delay()).collect()
    }

    fn delay(&mut self) -> Duration {
        Duration::from_micros(self.delay_us + self.random.below(self.jitter_us + 1))
    }
}

/// Numbers from a seed (a linear congruence, as in Knuth's MMIX).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d);
        random.below(1);
        random
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
