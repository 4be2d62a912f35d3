//! The events of a workflow's log. The log is the truth; every status is a fold of it (I6).

use serde::{Deserialize, Serialize};

use std::sync::Arc;

use super::{HookCause, Inventory, Outcome, Outputs};
use crate::{clock::Timestamp, document::WorkflowDocSpec, template::WorkflowSpec};

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// Counts from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened to a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// It was applied.
    Created {
        /// As applied.
        declared: Arc<WorkflowDocSpec>,
        /// The rendered and validated template.
        spec: Arc<WorkflowSpec>,
        /// Until when it may be started.
        expires: Timestamp,
    },
    /// It must not go on before an operator releases it.
    Held {
        /// Why.
        reason: Hold,
    },
    /// An operator let it go on.
    Released,
    /// A worker of the machine opened a session and said what the machine is.
    WorkerSeen {
        /// The machine's name.
        worker: String,
        /// The kernel's boot id.
        boot_id: String,
        /// What the machine is.
        inventory: Arc<Inventory>,
    },
    /// These disks, and only these, are writable until the workflow ends.
    DisksArmed {
        /// The machine that has them.
        worker: String,
        /// Them.
        disks: Vec<Armed>,
    },
    /// An attempt was handed out.
    ActionStarted {
        /// The action's place.
        index: u32,
        /// Counts from 1 for each action.
        attempt: u32,
        /// The machine's name.
        worker: String,
        /// The kernel's boot id.
        boot_id: String,
        /// The image's digest, where it is the built-in registry's.
        digest: Option<String>,
        /// When the server gives it up, grace included.
        deadline: Timestamp,
        /// Where it is the first that writes the machine's disks: the number of the instance that begins with it. Counts from 1 for each
        /// machine, over all its workflows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<u64>,
    },
    /// The worker reported the end of an attempt.
    ActionEnded {
        /// The action's place.
        index: u32,
        /// The attempt.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
        /// How long the container ran.
        ran_ms: u64,
        /// What is on the armed disks now, where the worker told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        installation: Option<String>,
        /// What it left for later actions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<Arc<Outputs>>,
    },
    /// The hook of an attempt that ended badly runs; the attempt stays open until its report.
    HookStarted {
        /// The action's place.
        index: u32,
        /// The attempt.
        attempt: u32,
        /// Which hook.
        cause: HookCause,
        /// When the server gives the attempt up, grace included.
        deadline: Timestamp,
    },
    /// It ended, which changes nothing of the attempt's outcome.
    HookEnded {
        /// The action's place.
        index: u32,
        /// The attempt.
        attempt: u32,
        /// Its exit status; `None` where it did not come to its own end.
        exit: Option<i32>,
        /// One line.
        message: String,
        /// How long it ran.
        ran_ms: u64,
    },
    /// The server gave an attempt up: nobody reported in time.
    ActionTimedOut {
        /// The action's place.
        index: u32,
        /// The attempt.
        attempt: u32,
    },
    /// The machine restarted in the middle of an attempt.
    ActionInterrupted {
        /// The action's place.
        index: u32,
        /// The attempt.
        attempt: u32,
        /// The new boot.
        boot_id: String,
    },
    /// An operator had it continue.
    Retried {
        /// From this action on.
        from: u32,
    },
    /// An operator asked for its end; an open attempt is stopped first.
    CancelRequested,
    /// It ended because an operator asked.
    Cancelled,
    /// All actions succeeded.
    Succeeded {
        /// The installation's id, where a disk was written.
        installation: Option<String>,
    },
    /// An action failed for good.
    Failed {
        /// The action's place.
        index: u32,
        /// One line.
        message: String,
    },
    /// An action or the whole ran out of time.
    TimedOut {
        /// The action's place, or `None` for `global_timeout`.
        index: Option<u32>,
    },
    /// Nobody started it in time.
    Expired,
}

/// A disk that was armed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Armed {
    /// Its id in the document.
    pub id: String,
    /// How it is known from now on: `wwn:..`, `serial:..` or `path:..+size`.
    pub known_by: String,
    /// Its node in that boot.
    pub device: String,
    /// What was on it: `blank`, or what the worker found.
    pub found: String,
}

/// Why a workflow is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Hold {
    /// A watched directory brought it into a store created at this start.
    #[error("FreshStore: a watched directory brought it into a new store; `bootcode release` starts it")]
    FreshStore,
    /// The store is older than the last start of this server.
    #[error(
        "RestoredStore: the data directory was restored from an older state; `bootcode release` starts it"
    )]
    RestoredStore,
    /// A selected disk is not blank.
    #[error(
        "DiskNotBlank: disk {disk} ({device}) holds {found}; say `replaces:` or `overwrite: any` in a new Workflow"
    )]
    DiskNotBlank {
        /// Its id in the document.
        disk: String,
        /// Its node.
        device: String,
        /// What is on it.
        found: String,
    },
    /// A selected disk was not found, or more than one fits.
    #[error("DiskMismatch: disk {disk}: {detail}")]
    DiskMismatch {
        /// Its id in the document.
        disk: String,
        /// What was expected and found.
        detail: String,
    },
    /// Identity, architecture or firmware are not the declared ones.
    #[error("MachineMismatch: {field} is {found}, declared is {declared}")]
    MachineMismatch {
        /// Which.
        field: String,
        /// In the document.
        declared: String,
        /// On the machine.
        found: String,
    },
    /// The Hardware document has a `hold`.
    #[error("HardwareHeld: {text}")]
    HardwareHeld {
        /// Its text.
        text: String,
    },
    /// The boot token was presented with another nonce.
    #[error("TokenReused: the boot token was redeemed twice")]
    TokenReused,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FailureReason {
    /// The image could not be had.
    ImagePull,
    /// The container could not be started.
    ContainerStart,
    /// It ended with another status than 0.
    ExitStatus,
    /// A signal ended it.
    Signal,
    /// A disk that must be protected could not be.
    DiskProtection,
    /// The worker was restarted in its middle.
    WorkerRestarted,
    /// It succeeded, but what it left in `/workflow/outputs.json` cannot be kept.
    Outputs,
}
