//! Which downloads are large, and what they may take of the link.

use std::num::NonZeroU64;

use bootcode_tftp::http::LargeDownloads;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Downloads at once: as many as there can be connections of machines, and more.
const PARALLEL: usize = 100_000;
/// Faster than any network card, and no overflow.
const MEGABITS: u64 = 10_000_000;

/// Large downloads over HTTP: images and whatever else is that large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LargeFiles {
    /// MiB of a body from which on a download is large. Smaller ones never wait.
    #[serde(rename = "fromMib")]
    pub from_mib: u64,
    /// The most at once; the others wait in order.
    pub parallel: usize,
    /// Megabits (10^6) a second of all of them together; without it they go as fast as they can.
    #[serde(rename = "megabitsPerSecond", skip_serializing_if = "Option::is_none")]
    pub megabits_per_second: Option<u64>,
}

impl Default for LargeFiles {
    fn default() -> Self {
        let LargeDownloads { from_bytes, parallel, .. } = LargeDownloads::default();
        Self { from_mib: from_bytes >> 20, parallel, megabits_per_second: None }
    }
}

impl LargeFiles {
    /// As the routers take it.
    #[must_use]
    pub fn limits(self) -> LargeDownloads {
        LargeDownloads {
            from_bytes: self.from_mib.saturating_mul(1 << 20),
            parallel: self.parallel,
            bytes_per_second: self
                .megabits_per_second
                .and_then(|megabits| NonZeroU64::new(megabits.saturating_mul(125_000))),
        }
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        let fault = |key, message: &str| Err(ConfigError::Value { key, message: message.to_owned() });
        if self.from_mib == 0 {
            let message = "boot files would wait behind images: write a number of MiB, 1 at least";
            return fault("http.largeDownloads.fromMib", message);
        }
        if !(1..=PARALLEL).contains(&self.parallel) {
            let message = "write how many may run at once, from 1 to 100000, as in 64";
            return fault("http.largeDownloads.parallel", message);
        }
        if self.megabits_per_second.is_some_and(|megabits| !(1..=MEGABITS).contains(&megabits)) {
            let message =
                "write megabits a second, from 1 to 10000000, as in 10000 for 10 Gb/s, or leave it out";
            return fault("http.largeDownloads.megabitsPerSecond", message);
        }
        Ok(())
    }
}
