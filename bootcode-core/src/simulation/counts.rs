//! What a run came across.

use std::collections::BTreeMap;

/// What every thousand seeds must come across, or the simulation has stopped testing something.
pub const COVERED: [&str; 39] = [
    "workflows",
    "multi-machine",
    "without writing",
    "attempts",
    "failed attempts",
    "hooks",
    "hooks told",
    "hooks ended",
    "given up",
    "interrupted by a reboot",
    "interrupted by the worker's restart",
    "disks armed",
    "held",
    "released",
    "retried",
    "failed",
    "timed out",
    "Succeeded",
    "Cancelled",
    "Expired",
    "machine restarts",
    "worker restarts",
    "server restarts",
    "partitions",
    "clock jumps",
    "requests lost",
    "answers lost",
    "requests repeated",
    "calls cut",
    "stale reports",
    "repeated reports",
    "misdirected reports",
    "replayed tokens",
    "told to stop",
    "store refuses",
    "store loses answer",
    "store loses both",
    "store commits late",
    "refused applies",
];

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(super) fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add_if(&mut self, what: &'static str, so: bool) {
        if so {
            self.add(what);
        }
    }

    /// How often this was seen.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Those of [`COVERED`] that were never seen.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        COVERED.into_iter().filter(|what| self.of(what) == 0).collect()
    }

    /// All, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(what, count)| (*what, *count))
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in other.all() {
            *self.0.entry(what).or_default() += count;
        }
    }
}
