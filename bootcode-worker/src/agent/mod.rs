//! What the worker does next: a value with one verb. It does no I/O and reads no clock.

mod attempt;
mod backoff;
mod handle;
#[cfg(test)]
pub(crate) mod tests;

use std::{collections::VecDeque, time::Duration};

use bootcode_core::workflow::{
    Assignment, Claim, FailureReason, Heartbeat, HookStart, MachineAction, Outputs, Report, ReportAck,
    ServiceError, Session,
};

use self::attempt::Attempt;
pub(crate) use self::backoff::Backoff;
use crate::runtime::Finished;

/// Time since the worker started. Machines have no wall time.
pub type Uptime = Duration;

/// Which attempt something is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptKey {
    /// The workflow.
    pub workflow: String,
    /// The action's place.
    pub index: u32,
    /// The attempt's number.
    pub attempt: u32,
}

impl AttemptKey {
    /// Of an assignment.
    #[must_use]
    pub fn of(assignment: &Assignment) -> Self {
        Self { workflow: assignment.workflow.clone(), index: assignment.index, attempt: assignment.attempt }
    }

    /// Of a report.
    #[must_use]
    pub fn of_report(report: &Report) -> Self {
        Self { workflow: report.workflow.clone(), index: report.index, attempt: report.attempt }
    }
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// The worker started; these outcomes were never acknowledged.
    Started {
        /// Oldest first.
        spooled: Vec<Report>,
    },
    /// The answer to [`Effect::Hello`].
    Greeted(Result<Session, ServiceError>),
    /// The answer to [`Effect::Claim`].
    Claimed(Result<Claim, ServiceError>),
    /// The answer to [`Effect::Report`].
    Reported(Result<ReportAck, ServiceError>),
    /// The answer to [`Effect::Heartbeat`].
    Heartbeat {
        /// Which attempt was asked about.
        of: AttemptKey,
        /// The answer.
        answer: Result<Heartbeat, ServiceError>,
    },
    /// [`Effect::Intend`] is done; `Err` says why the spool could not be written.
    Intended(Result<(), String>),
    /// [`Effect::Protect`] is done.
    Protected(Result<(), String>),
    /// [`Effect::Pull`] is done.
    Pulled(Result<(), String>),
    /// [`Effect::Run`] is done.
    Ended {
        /// How the container ended, or why there was none.
        result: Result<Finished, String>,
        /// The last of its log.
        tail: String,
        /// What it left for later actions, where it succeeded; `Err` says why that cannot be kept.
        outputs: Result<Option<Outputs>, String>,
    },
    /// [`Effect::Conclude`] is done; the report now holds the disks.
    Concluded {
        /// The whole report.
        report: Box<Report>,
        /// `Err` says why the spool could not be written.
        spooled: Result<(), String>,
    },
    /// [`Effect::Finish`] was done, or why not.
    Finished(Result<(), String>),
    /// The time that [`Agent::next_wake`] gave has come.
    Woke,
    /// The worker is to end.
    Stop,
}

/// Something to do. Each but `Kill`, `TellHook`, `Forget`, `Say` and `Exit` is answered by one [`Input`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Open a session.
    Hello,
    /// Ask for work.
    Claim,
    /// Write down that this attempt began, as the report that stands if the worker dies in its middle.
    Intend(Box<Report>),
    /// Set every disk but the assignment's writable ones read-only (I12).
    Protect(Box<Assignment>),
    /// Have the image.
    Pull(Box<Assignment>),
    /// Run a container.
    Run {
        /// Image, environment, volumes.
        assignment: Box<Assignment>,
        /// Another command than the assignment's: a hook.
        hook: Option<Vec<String>>,
        /// How long it may run from its start.
        limit: Duration,
    },
    /// Say that a hook starts. Its end comes with the report, so nobody waits for the answer.
    TellHook(HookStart),
    /// Stop what is being pulled or run.
    Kill,
    /// Look at the writable disks, write the report into the spool, durable.
    Conclude {
        /// Without disks.
        report: Box<Report>,
        /// The assignment it is about.
        assignment: Box<Assignment>,
    },
    /// Report the end of an attempt.
    Report(Box<Report>),
    /// Drop an acknowledged report from the spool.
    Forget(AttemptKey),
    /// Say that an attempt goes on.
    Heartbeat(AttemptKey),
    /// The workflow ended: do this with the machine.
    Finish {
        /// Which workflow.
        workflow: String,
        /// What to do.
        action: MachineAction,
    },
    /// Tell whoever reads the console.
    Say(String),
    /// End the worker.
    Exit(Ending),
}

/// Why the worker ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ending {
    /// It was told to.
    #[error("stopped")]
    Stopped,
    /// The server does not want this worker.
    #[error("the server refuses this worker: {reason}; restart the machine, so that it gets a new token")]
    Refused {
        /// The server's words.
        reason: String,
    },
    /// There is something else to boot, on a machine that is not ours to restart.
    #[error("the server has something else for this machine to boot: its owner may restart it")]
    Restart,
}

/// The state of one worker. `handle` is told what happened and says what to do.
#[derive(Debug)]
pub struct Agent {
    session: Option<Session>,
    /// Whether a call of this session was answered: a refusal then means a changed server, not a wrong token.
    proven: bool,
    call: Call,
    /// When `call` is to be made; `None` while it is open.
    due: Option<Uptime>,
    backoff: Backoff,
    attempt: Option<Attempt>,
    spool: VecDeque<Report>,
    said: Option<String>,
    stopping: bool,
    /// Set when the server refused us in the middle of an attempt.
    refused: Option<String>,
}

/// The one call to the service that is open or due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// None: an attempt is under way, or the worker has not started.
    None,
    Hello,
    Claim,
    Report,
    Finish,
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

/// Why an attempt that has begun is reported as failed when the worker dies: the report that [`Effect::Intend`] keeps.
pub(crate) const RESTARTED: FailureReason = FailureReason::WorkerRestarted;
