//! What there is to do on a machine, derived from its workflows (DESIGN: netboot policy).

use super::State;
use crate::{document::Hardware, source::Work};

/// The work of one machine. Nothing has to be toggled: it follows from the logs alone.
///
/// `states` may hold workflows of other machines; they are passed over.
pub fn work_for<'a>(states: impl IntoIterator<Item = &'a State>, hardware: &Hardware) -> Work {
    let mut open: Vec<&State> = states
        .into_iter()
        .filter(|state| !state.phase.is_terminal() && state.has_task_for(&hardware.name))
        .collect();
    open.sort_by(|a, b| age(a).cmp(&age(b)));
    let held = |state: &State| state.is_held() || !hardware.spec.hold.is_empty();
    if let Some(state) = open.iter().find(|state| state.phase.is_open() && !held(state)) {
        return Work::Provision { workflow: state.name.clone() };
    }
    // The disk may be half-written: booting it would look like an installed system that is none.
    if let Some(state) =
        open.iter().find(|state| state.phase.is_stopped() || !state.armed_on(&hardware.name).is_empty())
    {
        return Work::Wait { workflow: state.name.clone(), reason: waits_because(state, hardware) };
    }
    Work::Idle
}

/// Why a workflow that is not done does not go on, in one line.
#[must_use]
pub fn waits_because(state: &State, hardware: &Hardware) -> String {
    match &state.held {
        Some(hold) if state.is_held() => format!("workflow {} is held: {hold}", state.name),
        _ if state.phase.is_stopped() => format!(
            "workflow {} stopped ({}): {}; `bootcode retry {}` or `bootcode cancel {}`",
            state.name,
            state.phase.name(),
            state.message,
            state.name,
            state.name
        ),
        _ if !hardware.spec.hold.is_empty() => format!("{} is held: {}", hardware.name, hardware.spec.hold),
        _ => match state.next().filter(|(_, task, _)| task.worker != hardware.name) {
            Some((_, task, action)) => format!(
                "workflow {} waits for {}, which has {} of task {} to do first",
                state.name, task.worker, action.name, task.name
            ),
            None => format!("workflow {} waits for its turn", state.name),
        },
    }
}

/// Oldest first.
pub(crate) fn age(state: &State) -> (Option<crate::clock::Timestamp>, &str) {
    (state.plan.as_ref().map(|plan| plan.created), &state.name)
}
