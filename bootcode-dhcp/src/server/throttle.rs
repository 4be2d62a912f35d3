//! How often one client may ask: a token bucket for each, in a table whose size never changes.
//!
//! A table of buckets for whoever asks would grow with a flood of invented addresses. Here a bucket has one of four places, and a
//! newcomer takes the place whose owner was quiet longest: a flood of a million addresses costs others their memory of how much they
//! asked, and nobody an answer.

use std::{
    hash::BuildHasher as _,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

use crate::limits;

/// How often, and how many at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_s: u32,
    pub(super) burst: u32,
}

/// What is said of one more packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Go on.
    Yes,
    /// Too many. `first` of this run, so that a flood is told once and not once a packet.
    No { first: bool },
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// Who; 0 is nobody.
    key: u64,
    /// When it was last asked, in ms since the start.
    at_ms: u32,
    /// Thousandths of packets that may still come.
    left: u32,
    told: bool,
}

/// The buckets. Keys are hardware or network addresses, told apart by their upper bits.
#[derive(Debug)]
pub(super) struct Throttle {
    sets: Vec<[Bucket; WAYS]>,
    hasher: RandomState,
    start: Instant,
}

const WAYS: usize = 4;
/// One packet in the unit of [`Bucket::left`].
const PACKET: u32 = 1000;

impl Throttle {
    pub(super) fn new(start: Instant) -> Self {
        let sets = vec![[Bucket::default(); WAYS]; limits::THROTTLED / WAYS];
        // Its seed is drawn at start: nobody outside can choose addresses that share a place.
        Self { sets, hasher: RandomState::default(), start }
    }

    /// Counts one packet of `key`, which is not 0.
    pub(super) fn pass(&mut self, key: u64, rate: Rate, now: Instant) -> Pass {
        let at_ms = millis(now.saturating_duration_since(self.start));
        let sets = self.sets.len() as u64;
        // Below the number of sets, so it fits.
        let set = &mut self.sets[(self.hasher.hash_one(key) % sets) as usize];
        let found = set.iter().position(|bucket| bucket.key == key);
        let full = rate.burst.saturating_mul(PACKET);
        let place = found.unwrap_or_else(|| {
            let quiet = |bucket: &Bucket| (bucket.key != 0, bucket.at_ms);
            (0..WAYS).min_by_key(|&way| quiet(&set[way])).unwrap_or(0)
        });
        let bucket = &mut set[place];
        if found.is_none() {
            *bucket = Bucket { key, at_ms, left: full, told: false };
        }
        // Packets a second are thousandths of a packet a millisecond.
        let gained = at_ms.wrapping_sub(bucket.at_ms).saturating_mul(rate.per_s);
        bucket.left = bucket.left.saturating_add(gained).min(full);
        bucket.at_ms = at_ms;
        if bucket.left == full {
            bucket.told = false;
        }
        match bucket.left.checked_sub(PACKET) {
            Some(left) => {
                bucket.left = left;
                Pass::Yes
            }
            None => Pass::No { first: !std::mem::replace(&mut bucket.told, true) },
        }
    }
}

/// Wraps after 49 days, which makes one bucket too full once.
fn millis(since: Duration) -> u32 {
    (since.as_millis() & u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_s: 10, burst: 20 };

    #[test]
    fn a_client_has_its_burst_then_its_rate_and_is_told_of_once() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        let mut at = |ms| throttle.pass(7, RATE, start + Duration::from_millis(ms));
        for n in 0..20 {
            assert_eq!(at(0), Pass::Yes, "{n}");
        }
        assert_eq!(at(0), Pass::No { first: true });
        assert_eq!(at(50), Pass::No { first: false });
        assert_eq!(at(100), Pass::Yes, "a tenth of a second later one more");
        assert_eq!(at(100), Pass::No { first: false });
        let passed = (0..10_000).filter(|n| at(100 + n) == Pass::Yes).count();
        assert_eq!(passed, 99, "ten seconds of one packet a millisecond");
        for n in 0..20 {
            assert_eq!(at(20_000), Pass::Yes, "{n} after a rest");
        }
        assert_eq!(at(20_000), Pass::No { first: true }, "a new run is told again");
    }

    #[test]
    fn a_million_clients_grow_nothing_and_none_is_refused() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        let before = throttle.sets.capacity();
        for key in 1..=1_000_000 {
            assert_eq!(throttle.pass(key, RATE, start), Pass::Yes, "{key}");
        }
        assert_eq!(throttle.sets.capacity(), before);
        assert!(before * size_of::<[Bucket; WAYS]>() <= 2 << 20, "2 MiB a port at most");
    }

    #[test]
    fn a_flood_of_one_is_held_while_others_ask() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        let mut refused = 0;
        for n in 0..10_000u64 {
            let now = start + Duration::from_micros(n * 10);
            refused += u32::from(throttle.pass(1, RATE, now) != Pass::Yes);
            assert_eq!(throttle.pass(2 + n, RATE, now), Pass::Yes);
        }
        assert!(refused >= 10_000 - 22, "{refused}");
    }
}
