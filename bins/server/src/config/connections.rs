//! How many connections machines may have, and how long a quiet one is borne.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// More than the files that Linux lets a process have open (`fs.nr_open` is 1,048,576).
const TOTAL: usize = 1_000_000;
/// An hour; who is quiet for longer is gone.
const SECONDS: u64 = 3600;

/// Connections of machines, with TLS and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimits {
    /// The most at once.
    pub total: usize,
    /// The most of one address at once; without it only the bound of all together holds, because a hall behind a proxy or a NAT may have
    /// one address.
    #[serde(rename = "perAddress", skip_serializing_if = "Option::is_none")]
    pub per_address: Option<usize>,
    /// Seconds that the head of a request may take.
    #[serde(rename = "headSeconds")]
    pub head_seconds: u64,
    /// Seconds between an answer and the next request.
    #[serde(rename = "idleSeconds")]
    pub idle_seconds: u64,
    /// Seconds in which a machine takes nothing of an answer.
    #[serde(rename = "stallSeconds")]
    pub stall_seconds: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            // Two for each of 10,000 that start together.
            total: 20_000,
            per_address: None,
            head_seconds: 30,
            idle_seconds: 30,
            // A disk that a machine writes to may stand still for some seconds, a switch that learns anew for 50 (spanning tree, IEEE 802.1D:
            // twice a forward delay of 15 s after a max age of 20 s).
            stall_seconds: 60,
        }
    }
}

impl ConnectionLimits {
    pub(crate) const fn head(self) -> Duration {
        Duration::from_secs(self.head_seconds)
    }

    pub(crate) const fn idle(self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub(crate) const fn stall(self) -> Duration {
        Duration::from_secs(self.stall_seconds)
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        let fault = |key, message: &str| Err(ConfigError::Value { key, message: message.to_owned() });
        if !(1..=TOTAL).contains(&self.total) {
            let message = "write how many may be open at once, from 1 to 1000000, as in 20000";
            return fault("http.connections.total", message);
        }
        if self.per_address.is_some_and(|most| !(1..=self.total).contains(&most)) {
            let message =
                "write a number from 1 to that of http.connections.total, as in 64, or leave it out";
            return fault("http.connections.perAddress", message);
        }
        let times = [
            ("http.connections.headSeconds", self.head_seconds, "write seconds, from 1 to 3600, as in 30"),
            ("http.connections.idleSeconds", self.idle_seconds, "write seconds, from 1 to 3600, as in 30"),
            ("http.connections.stallSeconds", self.stall_seconds, "write seconds, from 1 to 3600, as in 60"),
        ];
        match times.into_iter().find(|(_, seconds, _)| !(1..=SECONDS).contains(seconds)) {
            Some((key, _, message)) => fault(key, message),
            None => Ok(()),
        }
    }
}
