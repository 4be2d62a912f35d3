//! What can be asked of a workflow, and why it can be refused.

use super::{Hold, HookStart, Inventory, Report};
use crate::{
    clock::Timestamp,
    document::{Hardware, WorkflowDocSpec},
    template::WorkflowSpec,
};

/// What is asked of a workflow.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Apply it. The same again is no error and changes nothing.
    Create {
        /// As declared.
        declared: &'a WorkflowDocSpec,
        /// The rendered and validated template.
        spec: &'a WorkflowSpec,
        /// Whether a watched directory brings it, which may never say `overwrite: any`.
        from_directory: bool,
        /// A hold that it starts with.
        hold: Option<Hold>,
    },
    /// Stop it from going on until an operator releases it.
    Hold {
        /// Why.
        reason: Hold,
    },
    /// An operator lets it go on. What is still wrong holds it again.
    Release,
    /// A worker of a machine opened a session.
    WorkerHello {
        /// The machine, what it is and which boot.
        machine: Machine<'a>,
    },
    /// A worker asks for its next action.
    Claim {
        /// The machine, what it is and which boot.
        machine: Machine<'a>,
        /// The place of the action that `digest` was resolved for; no other is handed out.
        next: u32,
        /// The digest of that action's image, where it is the built-in registry's.
        digest: Option<String>,
        /// The number of the machine's last instance, whichever workflow made it; 0 before the first.
        instances: u64,
    },
    /// A worker reports the end of an attempt.
    Report {
        /// The machine.
        worker: &'a str,
        /// The report.
        report: &'a Report,
    },
    /// A worker says that the hook of an attempt starts.
    Hook {
        /// The machine.
        worker: &'a str,
        /// Which.
        start: &'a HookStart,
    },
    /// Time has passed.
    Tick {
        /// Since when the server can be reached: workers get some time to report what ended while it was away.
        up_since: Timestamp,
    },
    /// An operator has it continue after it stopped.
    Retry {
        /// The action to continue with; `None`: the one at which it stopped.
        from: Option<&'a str>,
    },
    /// An operator ends it.
    Cancel,
}

/// A machine that speaks, in one of its boots.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// As declared.
    pub hardware: &'a Hardware,
    /// The kernel's boot id.
    pub boot_id: &'a str,
    /// What its worker found.
    pub inventory: &'a Inventory,
}

/// Why a command is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no such workflow.
    #[error("there is no workflow {workflow}")]
    Unknown {
        /// Its name.
        workflow: String,
    },
    /// It exists and is not the same.
    #[error(
        "workflow {workflow} exists and differs; a Workflow is immutable once applied, give the new one another name"
    )]
    Exists {
        /// Its name.
        workflow: String,
    },
    /// A watched directory may not say `overwrite: any`.
    #[error(
        "workflow {workflow} says `overwrite: any`, which a watched directory may never; apply it with `bootcode apply`"
    )]
    OverwriteFromDirectory {
        /// Its name.
        workflow: String,
    },
    /// The machine has another open workflow that writes.
    #[error(
        "workflow {workflow}: {hardware} has the open workflow {other}, which writes its disks; wait for its end, or `bootcode cancel {other}`"
    )]
    Busy {
        /// Its name.
        workflow: String,
        /// The machine.
        hardware: String,
        /// The other one.
        other: String,
    },
    /// It is not held.
    #[error("workflow {workflow} is not held, it is {state}")]
    NotHeld {
        /// Its name.
        workflow: String,
        /// Its state.
        state: &'static str,
    },
    /// It has not stopped.
    #[error("workflow {workflow} is {state}; only one that is Failed or TimedOut can be retried")]
    NotStopped {
        /// Its name.
        workflow: String,
        /// Its state.
        state: &'static str,
    },
    /// It has ended for good.
    #[error("workflow {workflow} has ended: it is {state}")]
    Ended {
        /// Its name.
        workflow: String,
        /// Its state.
        state: &'static str,
    },
    /// No such action, or one that may not be continued from.
    #[error("workflow {workflow} cannot continue from `{action}`: {detail}")]
    NoSuchAction {
        /// Its name.
        workflow: String,
        /// The action.
        action: String,
        /// Why not.
        detail: &'static str,
    },
    /// The report is about an attempt that is not the open one.
    #[error("attempt {attempt} of {workflow}/{action} is not the open one")]
    StaleAttempt {
        /// Its name.
        workflow: String,
        /// The action.
        action: String,
        /// The attempt.
        attempt: u32,
    },
}
