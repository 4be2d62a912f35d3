//! One attempt at one action, from its assignment to its report.

use std::{sync::Arc, time::Duration};

use bootcode_core::workflow::{
    Assignment, FailureReason, HookCause, HookEnd, HookStart, Outcome, Outputs, Report,
};

use super::{AttemptKey, Effect, RESTARTED, Uptime};
use crate::{
    limits,
    runtime::{Exit, Finished},
};

/// The attempt that is under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) assignment: Box<Assignment>,
    pub(super) step: Step,
    pub(super) cancelled: bool,
    /// When the next heartbeat is due; `None` while one is open.
    pub(super) heartbeat: Option<Uptime>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Intending,
    Protecting,
    Pulling,
    Running,
    /// The outcome is known and kept; its hook's turn is next.
    Keeping {
        report: Box<Report>,
        cause: HookCause,
        hook: Vec<String>,
    },
    Hook {
        report: Box<Report>,
        cause: HookCause,
    },
    Concluding,
}

/// What the end of a container means for its attempt.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) ran: Duration,
    pub(super) hook: Option<(HookCause, Vec<String>)>,
    pub(super) outputs: Option<Arc<Outputs>>,
}

impl Attempt {
    pub(super) fn key(&self) -> AttemptKey {
        AttemptKey::of(&self.assignment)
    }

    /// What is reported if the worker dies before the end.
    pub(super) fn intent(&self) -> Box<Report> {
        let message = "the worker was restarted in the middle of this attempt".to_owned();
        self.report(
            Outcome::Failed { reason: RESTARTED, exit: None, message, tail: String::new() },
            Duration::ZERO,
        )
    }

    pub(super) fn failed(&self, reason: FailureReason, message: &str) -> Box<Report> {
        let outcome = if self.cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Failed { reason, exit: None, message: one_line(message), tail: String::new() }
        };
        self.report(outcome, Duration::ZERO)
    }

    pub(super) fn report(&self, outcome: Outcome, ran: Duration) -> Box<Report> {
        Box::new(Report {
            workflow: self.assignment.workflow.clone(),
            index: self.assignment.index,
            action: self.assignment.action.clone(),
            attempt: self.assignment.attempt,
            outcome,
            ran_ms: u64::try_from(ran.as_millis()).unwrap_or(u64::MAX),
            disks: Vec::new(),
            hook: None,
            outputs: None,
        })
    }

    pub(super) fn run(&self) -> Effect {
        Effect::Run {
            assignment: self.assignment.clone(),
            hook: None,
            limit: Duration::from_millis(self.assignment.timeout_ms),
        }
    }

    pub(super) fn judge(
        &self,
        result: Result<Finished, String>,
        tail: String,
        outputs: Result<Option<Outputs>, String>,
    ) -> Judged {
        if self.cancelled {
            let ran = result.map(|finished| finished.ran).unwrap_or_default();
            return Judged { outcome: Outcome::Cancelled, ran, hook: None, outputs: None };
        }
        let finished = match result {
            Ok(finished) => finished,
            Err(message) => {
                let reason = FailureReason::ContainerStart;
                let outcome = Outcome::Failed { reason, exit: None, message: one_line(&message), tail };
                return Judged { outcome, ran: Duration::ZERO, hook: None, outputs: None };
            }
        };
        let mut kept = None;
        let outcome = match (finished.exit, outputs) {
            (Exit::Status(0), Ok(outputs)) => {
                kept = outputs.map(Arc::new);
                Outcome::Succeeded
            }
            (Exit::Status(0), Err(message)) => failed(FailureReason::Outputs, 0, one_line(&message), tail),
            (Exit::Status(status), _) => {
                let message = last_words(&tail).unwrap_or_else(|| format!("exit status {status}"));
                failed(FailureReason::ExitStatus, status, message, tail)
            }
            (Exit::Signal(signal), _) => {
                failed(FailureReason::Signal, 128 + signal, format!("ended by signal {signal}"), tail)
            }
            (Exit::TimedOut, _) => Outcome::TimedOut { tail },
            (Exit::Cancelled, _) => Outcome::Cancelled,
        };
        let hook = match &outcome {
            Outcome::Failed { .. } => {
                self.assignment.on_failure.clone().map(|hook| (HookCause::OnFailure, hook))
            }
            Outcome::TimedOut { .. } => {
                self.assignment.on_timeout.clone().map(|hook| (HookCause::OnTimeout, hook))
            }
            Outcome::Succeeded | Outcome::Cancelled => None,
        };
        let hook = hook.filter(|(_, command)| !command.is_empty());
        Judged { outcome, ran: finished.ran, hook, outputs: kept }
    }

    /// The hook's start, as the server is told.
    pub(super) fn hook_start(&self, cause: HookCause) -> HookStart {
        HookStart {
            workflow: self.assignment.workflow.clone(),
            index: self.assignment.index,
            action: self.assignment.action.clone(),
            attempt: self.assignment.attempt,
            cause,
        }
    }
}

/// How a hook ended, as the report tells.
pub(super) fn hook_end(cause: HookCause, result: &Result<Finished, String>) -> HookEnd {
    match result {
        Ok(Finished { exit, ran }) => HookEnd {
            cause,
            exit: match exit {
                Exit::Status(status) => Some(*status),
                Exit::Signal(signal) => Some(128 + signal),
                Exit::TimedOut | Exit::Cancelled => None,
            },
            message: exit.to_string(),
            ran_ms: u64::try_from(ran.as_millis()).unwrap_or(u64::MAX),
        },
        Err(message) => HookEnd {
            cause,
            exit: None,
            message: format!("it could not run: {}", one_line(message)),
            ran_ms: 0,
        },
    }
}

fn failed(reason: FailureReason, exit: i32, message: String, tail: String) -> Outcome {
    Outcome::Failed { reason, exit: Some(exit), message, tail }
}

/// The last line that an action wrote: ours give their reason there.
fn last_words(tail: &str) -> Option<String> {
    tail.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(one_line)
}

/// Printable, on one line, within bounds.
pub(super) fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.trim().chars().map(plain).collect();
    if line.len() > limits::MESSAGE_BYTES {
        line.truncate(line.floor_char_boundary(limits::MESSAGE_BYTES - 3));
        line.push_str("...");
    }
    line
}
