//! Hooks: the command that runs after an attempt failed or ran out of time. A hook never changes the attempt's outcome.

use serde::{Deserialize, Serialize};

/// Why a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookCause {
    /// The attempt failed: `on-failure`.
    OnFailure,
    /// It ran out of time: `on-timeout`.
    OnTimeout,
}

/// A hook starts. Told once, while it runs; its end comes with the attempt's [`Report`](super::Report).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookStart {
    /// The workflow.
    pub workflow: String,
    /// The action's place.
    pub index: u32,
    /// The action.
    pub action: String,
    /// The attempt that ended badly.
    pub attempt: u32,
    /// Why.
    pub cause: HookCause,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookEnd {
    /// Why it ran.
    pub cause: HookCause,
    /// Its exit status; `None` where it did not come to its own end.
    pub exit: Option<i32>,
    /// One line.
    pub message: String,
    /// How long it ran.
    pub ran_ms: u64,
}

/// A hook of an action's last attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookState {
    /// Why it runs.
    pub cause: HookCause,
    /// Whether it is under way, as far as the server was told.
    pub running: bool,
    /// Its exit status, where it came to its own end.
    pub exit: Option<i32>,
    /// How it ended, in one line.
    pub message: String,
    /// How long it ran, in seconds.
    pub seconds: Option<f64>,
}

impl HookState {
    /// One that was just started.
    pub(super) const fn started(cause: HookCause) -> Self {
        Self { cause, running: true, exit: None, message: String::new(), seconds: None }
    }

    /// Its attempt is over, and nobody told its own end.
    pub(super) fn lost(&mut self, why: &str) {
        if self.running {
            self.running = false;
            why.clone_into(&mut self.message);
        }
    }
}
