//! What operators and appliers ask for in between, and that nothing of it is lost.

use std::sync::Arc;

use super::{
    check::{Broken, broken},
    server::Done,
    world::{Event, World},
};
use crate::{
    engine::EngineError,
    workflow::{Hold, Rejection},
};

/// How often an operator mends something after the last fault.
const CALM_RETRIES: u32 = 6;

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    workflow: String,
    what: What,
    /// Operator's events of this kind in the log when it was asked for.
    before: u64,
}

#[derive(Debug, Clone)]
enum What {
    Apply(usize),
    Cancel,
    Retry(Option<String>),
    Release,
    Hold(String),
}

impl World<'_> {
    pub(super) fn operate(&mut self) {
        if self.calm {
            return;
        }
        let names: Vec<String> = self.checker.workflows.keys().cloned().collect();
        if let Some(workflow) = self.dice.pick(&names).cloned() {
            let stopped = self.checker.workflows[&workflow].stopped;
            let what = match self.dice.roll(100) {
                0..8 => What::Cancel,
                8..12 => What::Apply(self.dice.roll(self.plan.len() as u64) as usize),
                12..22 => What::Hold(format!("hold {}", self.called)),
                22..50 => What::Release,
                _ if stopped && self.dice.chance(300) => What::Retry(Some("t0a1".to_owned())),
                _ => What::Retry(None),
            };
            self.ask(workflow, what);
        }
        let ms = self.dice.between(5000, 90_000);
        self.at(ms, Event::Operator);
    }

    /// After the last fault: lets go on what waits for somebody. Whether there was anything to do.
    pub(super) fn calm_operator(&mut self) -> bool {
        if self.calm_retries == CALM_RETRIES {
            return false;
        }
        let waits =
            self.checker.workflows.iter().filter(|(_, seen)| seen.stopped || (seen.held && !seen.rests()));
        let waits: Vec<(String, bool)> = waits
            .filter(|(_, seen)| seen.ended.is_none())
            .map(|(name, seen)| (name.clone(), seen.stopped))
            .collect();
        let Some((workflow, stopped)) = self.dice.pick(&waits).cloned() else { return false };
        self.calm_retries += 1;
        let cancel = self.dice.chance(150);
        self.ask(
            workflow,
            if cancel {
                What::Cancel
            } else if stopped {
                What::Retry(None)
            } else {
                What::Release
            },
        );
        true
    }

    /// A workflow is applied; until it is answered, again.
    pub(super) fn apply(&mut self, number: usize) {
        let Some(new) = self.plan.get(number) else { return };
        let workflow = new.name.clone();
        if !self.ask(workflow, What::Apply(number)) {
            self.at(10_000, Event::Apply(number));
        }
    }

    fn ask(&mut self, workflow: String, what: What) -> bool {
        let Some(engine) = self.server.engine.as_ref().map(Arc::clone) else { return false };
        self.called += 1;
        let operation = self.called;
        self.note("operator", format_args!("-> #{operation} {what:?} {workflow}"));
        let before = self.of_its_kind(&workflow, &what);
        let new = match &what {
            What::Apply(number) => self.plan.get(*number).cloned(),
            _ => None,
        };
        self.operations
            .insert(operation, Operation { workflow: workflow.clone(), what: what.clone(), before });
        self.tasks.start(async move {
            let result = match (&what, new) {
                (What::Apply(_), Some(new)) => engine.create(&new).await,
                (What::Cancel, _) => engine.cancel(&workflow).await.map(|_| true),
                (What::Retry(from), _) => engine.retry(&workflow, from.as_deref()).await.map(|_| true),
                (What::Release, _) => engine.release(&workflow).await.map(|_| true),
                (What::Hold(text), _) => {
                    let reason = Hold::HardwareHeld { text: text.clone() };
                    engine.hold(&workflow, reason).await.map(|_| true)
                }
                (What::Apply(_), None) => Ok(false),
            };
            Done::Operated { operation, result }
        });
        true
    }

    fn of_its_kind(&self, workflow: &str, what: &What) -> u64 {
        let Some(seen) = self.checker.workflows.get(workflow) else { return 0 };
        match what {
            What::Retry(_) => seen.retried,
            What::Release => seen.released,
            _ => 0,
        }
    }

    /// An operator is answered: what was done is in the log.
    pub(super) fn operated(&mut self, number: u64, result: Result<bool, EngineError>) -> Result<(), Broken> {
        let Some(operation) = self.operations.remove(&number) else { return Ok(()) };
        let Operation { workflow, what, before } = &operation;
        match &result {
            Ok(_) => self.note("server", format_args!("-> #{number} done")),
            Err(error) => self.note("server", format_args!("-> #{number} {error}")),
        }
        if let Err(error) = result {
            if let What::Apply(again) = what {
                let busy = matches!(error, EngineError::Rejected(Rejection::Busy { .. }));
                self.counts.add_if("refused applies", busy);
                let ms = self.dice.between(5000, 120_000);
                if !self.calm {
                    self.at(ms, Event::Apply(*again));
                }
            }
            return Ok(());
        }
        let after = self.of_its_kind(workflow, what);
        let seen = self.checker.workflows.get(workflow);
        let kept = seen.is_some_and(|seen| match what {
            What::Apply(_) => seen.plan.is_some(),
            What::Cancel => seen.cancelled,
            What::Retry(_) | What::Release => after > *before,
            What::Hold(text) => {
                seen.rests() || seen.held || seen.holds.iter().any(|held| held.ends_with(text))
            }
        });
        if kept {
            return Ok(());
        }
        broken("what-is-acknowledged-is-kept", format!("{what:?} of {workflow}"))
    }
}
