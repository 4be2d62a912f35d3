//! What a machine's timeline is told of its workflows.

use super::Engine;
use crate::{
    clock::Timestamp,
    timeline::{BootEvent, BootEventKind, Subject},
    workflow::{Event, Outcome, Recorded, State},
};

impl Engine {
    pub(super) fn record(&self, machine: &str, at: Timestamp, kind: BootEventKind) {
        self.parts.recorder.record(BootEvent { at, subject: Subject::Hardware(machine.to_owned()), kind });
    }

    /// Tells of one durable event; `state` has it folded in.
    pub(super) fn tell(&self, state: &State, recorded: &Recorded) {
        let Some(plan) = &state.plan else { return };
        let workflow = state.name.clone();
        let named = |index: u32| {
            let (task, action) = state.action(index)?;
            Some((task.worker.clone(), action.name.clone(), action.image.clone()))
        };
        let failed = |index: u32, attempt: u32, message: &str| {
            let (worker, action, _) = named(index)?;
            let message = message.to_owned();
            Some((
                worker,
                BootEventKind::ActionFailed { workflow: workflow.clone(), action, attempt, message },
            ))
        };
        let told = match &recorded.event {
            Event::ActionStarted { index, attempt, .. } => named(*index).map(|(worker, action, image)| {
                let workflow = workflow.clone();
                (worker, BootEventKind::ActionStarted { workflow, action, image, attempt: *attempt })
            }),
            Event::ActionEnded { index, attempt, outcome: Outcome::Succeeded, .. } => {
                named(*index).map(|(worker, action, _)| {
                    let workflow = workflow.clone();
                    (worker, BootEventKind::ActionSucceeded { workflow, action, attempt: *attempt })
                })
            }
            Event::ActionEnded { index, attempt, .. }
            | Event::ActionTimedOut { index, attempt }
            | Event::ActionInterrupted { index, attempt, .. } => {
                let at = usize::try_from(*index).unwrap_or(usize::MAX);
                failed(*index, *attempt, state.actions.get(at).map_or("", |action| &action.message))
            }
            Event::WorkerSeen { .. }
            | Event::DisksArmed { .. }
            | Event::HookStarted { .. }
            | Event::HookEnded { .. }
            | Event::CancelRequested => None,
            _ => {
                let status = state.status();
                let state = match status.reason {
                    Some(reason) => format!("{}: {reason}", status.state),
                    None => status.state,
                };
                Some((plan.declared.hardware.clone(), BootEventKind::WorkflowState { workflow, state }))
            }
        };
        if let Some((machine, kind)) = told {
            self.record(&machine, recorded.at, kind);
        }
    }
}
