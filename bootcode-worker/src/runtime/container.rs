//! A container to run, and how it ended.

use std::{collections::BTreeMap, fmt, time::Duration};

use bootcode_core::{secret::Secret, workflow::Namespaces};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ImageRef, Volume};
use crate::agent::AttemptKey;

/// What to run.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Its name on this machine.
    pub name: ContainerName,
    /// The workflow it belongs to.
    pub workflow: String,
    /// The image.
    pub image: ImageRef,
    /// Arguments; empty means the image's own. The image's entry point stays.
    pub command: Vec<String>,
    /// Beside, and before, what the image sets.
    pub environment: BTreeMap<String, String>,
    /// More variables, whose values are secrets.
    pub secrets: BTreeMap<String, Secret>,
    /// In this order.
    pub volumes: Vec<Volume>,
    /// Namespaces of the host that it shares. The network is always the host's.
    pub namespaces: Namespaces,
}

#[cfg(any(feature = "docker", feature = "oci"))]
impl ContainerSpec {
    /// All variables with their values, as a runtime takes them: `NAME=value`. A secret of the same name counts.
    pub(super) fn variables(&self) -> impl Iterator<Item = String> {
        let plain = self.environment.iter().filter(|(name, _)| !self.secrets.contains_key(*name));
        let plain = plain.map(|(name, value)| format!("{name}={value}"));
        plain.chain(self.secrets.iter().map(|(name, value)| format!("{name}={}", value.reveal())))
    }

    /// Whether it sets this variable.
    #[cfg(feature = "oci")]
    pub(super) fn sets(&self, name: &str) -> bool {
        self.environment.contains_key(name) || self.secrets.contains_key(name)
    }
}

/// How a run is stopped and watched.
#[derive(Debug, Clone)]
pub struct Control {
    /// Kills the container.
    pub cancel: CancellationToken,
    /// How long it may run from its start.
    pub limit: Duration,
    /// Its output and errors, in the order of their arrival.
    pub log: mpsc::Sender<Bytes>,
}

/// A container that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// How long it ran.
    pub ran: Duration,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// Killed by this signal, not by us.
    Signal(i32),
    /// Killed because its time was over.
    TimedOut,
    /// Killed because the control said stop.
    Cancelled,
}

impl Exit {
    /// From the status that a runtime gives, where 128 and more mean a signal, as in shells.
    #[must_use]
    pub const fn from_code(code: i32) -> Self {
        match code {
            129..=192 => Self::Signal(code - 128),
            code => Self::Status(code),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => f.write_str("its time was over"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// A name that every runtime takes: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerName(String);

impl ContainerName {
    /// What all our containers' names begin with.
    pub const PREFIX: &'static str = "bootcode-";

    /// Of an attempt, or of its hook.
    #[must_use]
    pub fn of(key: &AttemptKey, hook: bool) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let workflow: String = key.workflow.chars().map(plain).take(64).collect();
        let hook = if hook { "-hook" } else { "" };
        Self(format!("{}{workflow}-{}-{}{hook}", Self::PREFIX, key.index, key.attempt))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
