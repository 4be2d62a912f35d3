//! The worker's side of the simulation: what decides on a machine, apart from the machine.

use std::time::Duration;

use crate::workflow::{
    Assignment, Claim, Heartbeat, HookStart, MachineAction, Report, ReportAck, ServiceError, Session,
};

/// A worker: told what happened, it says what to do. It does no I/O and reads no clock.
pub trait SimWorker {
    /// Takes what happened at `uptime` of this worker; returns what to do, in this order.
    fn handle(&mut self, input: Input, uptime: Duration) -> Vec<Effect>;
    /// The uptime at which [`Input::Woke`] is due.
    fn next_wake(&self) -> Option<Duration>;
    /// The session that calls are made with.
    fn session(&self) -> Option<&Session>;
}

/// One attempt at one action of one workflow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// The workflow.
    pub workflow: String,
    /// The action's place.
    pub index: u32,
    /// The attempt's number.
    pub number: u32,
}

impl Attempt {
    pub(super) fn of(report: &Report) -> Self {
        Self { workflow: report.workflow.clone(), index: report.index, number: report.attempt }
    }

    pub(super) fn hooked(start: &HookStart) -> Self {
        Self { workflow: start.workflow.clone(), index: start.index, number: start.attempt }
    }

    pub(super) fn assigned(assignment: &Assignment) -> Self {
        Self { workflow: assignment.workflow.clone(), index: assignment.index, number: assignment.attempt }
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} attempt {}", self.workflow, self.index, self.number)
    }
}

/// Something that happened to a worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// It started; these reports were in its spool, oldest first.
    Started(Vec<Report>),
    /// The answer to [`Effect::Hello`].
    Greeted(Result<Session, ServiceError>),
    /// The answer to [`Effect::Claim`].
    Claimed(Result<Claim, ServiceError>),
    /// The answer to [`Effect::Report`].
    Reported(Result<ReportAck, ServiceError>),
    /// The answer to [`Effect::Heartbeat`].
    Heartbeat(Attempt, Result<Heartbeat, ServiceError>),
    /// The answer to [`Effect::TellHook`].
    HookTold(Result<(), ServiceError>),
    /// [`Effect::Keep`] is done.
    Kept(Result<(), String>),
    /// [`Effect::Protect`] is done.
    Protected(Result<(), String>),
    /// [`Effect::Pull`] is done.
    Pulled(Result<(), String>),
    /// The container ended.
    Ended {
        /// How.
        exit: Exit,
        /// After how long.
        ran: Duration,
    },
    /// [`Effect::Conclude`] is done.
    Concluded {
        /// With the disks.
        report: Box<Report>,
        /// Whether it is in the spool.
        kept: Result<(), String>,
    },
    /// [`Effect::Finish`] was not carried out.
    Finished(Result<(), String>),
    /// [`SimWorker::next_wake`] has come.
    Woke,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// Killed because its time was over.
    TimedOut,
    /// Killed by [`Effect::Kill`].
    Killed,
}

/// Something that a worker does.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Open a session.
    Hello,
    /// Ask for work.
    Claim,
    /// Report an outcome.
    Report(Box<Report>),
    /// Say that an attempt goes on.
    Heartbeat(Attempt),
    /// Say that the hook of an attempt starts.
    TellHook(HookStart),
    /// Put a report into the spool.
    Keep(Box<Report>),
    /// Set the other disks read-only.
    Protect(Box<Assignment>),
    /// Have the image.
    Pull(Box<Assignment>),
    /// Run a container.
    Run {
        /// Which.
        assignment: Box<Assignment>,
        /// Whether it is a hook.
        hook: bool,
        /// How long it may run.
        limit: Duration,
    },
    /// Stop what is pulled or run.
    Kill,
    /// Look at the disks, put the report into the spool.
    Conclude {
        /// Without disks.
        report: Box<Report>,
        /// What it is about.
        assignment: Box<Assignment>,
    },
    /// Drop a report from the spool.
    Forget(Attempt),
    /// The workflow ended: do this with the machine.
    Finish(MachineAction),
    /// A line for the console.
    Say(String),
    /// The worker ends.
    Exit,
}
