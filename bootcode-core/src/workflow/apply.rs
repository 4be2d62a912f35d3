//! The fold: what each event does to a workflow's state. Total: a log of any order folds without failing.

use std::sync::Arc;

use super::{
    Event, FailureReason, HookState, Instance, Outcome, Recorded, State,
    state::{ActionPhase, ActionState, Open, Phase, Plan, Seen},
};

impl State {
    /// The state that a whole log tells.
    #[must_use]
    pub fn fold<'a>(name: &str, log: impl IntoIterator<Item = &'a Recorded>) -> Self {
        let mut state = Self::empty(name);
        for recorded in log {
            state.apply(recorded);
        }
        state
    }

    /// Folds one event.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.seq = recorded.seq;
        match &recorded.event {
            Event::Created { declared, spec, expires } => {
                self.actions = spec.actions().map(|_| ActionState::pending()).collect();
                self.plan = Some(Plan {
                    declared: Arc::clone(declared),
                    spec: Arc::clone(spec),
                    created: recorded.at,
                    expires: *expires,
                });
                self.phase = Phase::Pending;
            }
            Event::Held { reason } => self.held = Some(reason.clone()),
            Event::Released => self.held = None,
            Event::WorkerSeen { worker, boot_id, inventory } => {
                let seen = Seen { boot_id: boot_id.clone(), inventory: Arc::clone(inventory) };
                self.seen.insert(worker.clone(), seen);
            }
            Event::DisksArmed { worker, disks } => {
                self.armed.insert(worker.clone(), disks.clone());
            }
            Event::ActionStarted { index, attempt, worker, boot_id, digest, deadline, instance } => {
                self.phase = Phase::Running;
                self.begun = true;
                self.started.get_or_insert(recorded.at);
                match self.ran_in.get_mut(worker) {
                    Some(ran_in) => ran_in.clone_from(boot_id),
                    None => drop(self.ran_in.insert(worker.clone(), boot_id.clone())),
                }
                if let Some(number) = *instance {
                    self.instances.insert(worker.clone(), Instance { number, since: recorded.at });
                }
                self.open = Some(Open {
                    index: *index,
                    attempt: *attempt,
                    worker: worker.clone(),
                    boot_id: boot_id.clone(),
                    digest: digest.clone(),
                    started: recorded.at,
                    deadline: *deadline,
                });
                if let Some(action) = self.action_mut(*index) {
                    action.phase = ActionPhase::Running;
                    action.attempt = *attempt;
                    action.seconds = None;
                    action.message.clear();
                    action.hook = None;
                    action.outputs = None;
                }
            }
            Event::HookStarted { index, attempt, cause, deadline } => {
                if let Some(open) =
                    self.open.as_mut().filter(|open| open.index == *index && open.attempt == *attempt)
                {
                    open.deadline = *deadline;
                }
                if let Some(action) = self.action_mut(*index) {
                    action.hook = Some(HookState::started(*cause));
                }
            }
            Event::HookEnded { index, exit, message, ran_ms, .. } => {
                if let Some(hook) = self.action_mut(*index).and_then(|action| action.hook.as_mut()) {
                    hook.running = false;
                    hook.exit = *exit;
                    hook.message.clone_from(message);
                    hook.seconds = Some(std::time::Duration::from_millis(*ran_ms).as_secs_f64());
                }
            }
            Event::ActionEnded { index, attempt, outcome, ran_ms, installation, outputs } => {
                let worker = self.open.take().map(|open| open.worker);
                if let (Some(worker), Some(installation)) = (worker, installation) {
                    self.installations.insert(worker, installation.clone());
                }
                let cancelling = self.cancel_requested;
                if let Some(action) = self.action_mut(*index) {
                    action.reported.push(*attempt);
                    action.end(outcome, cancelling);
                    action.outputs.clone_from(outputs);
                    action.lose_hook("the worker did not tell its end");
                    action.seconds = Some(std::time::Duration::from_millis(*ran_ms).as_secs_f64());
                }
            }
            Event::ActionTimedOut { index, .. } => {
                self.open = None;
                if let Some(action) = self.action_mut(*index) {
                    action.phase = ActionPhase::TimedOut;
                    action.failures += 1;
                    "the worker did not report in time".clone_into(&mut action.message);
                    action.lose_hook("the worker did not report in time");
                }
            }
            Event::ActionInterrupted { index, .. } => {
                self.open = None;
                if let Some(action) = self.action_mut(*index) {
                    action.interrupt("the machine restarted in its middle");
                    action.lose_hook("the machine restarted in its middle");
                }
            }
            Event::Retried { from } => {
                self.phase = Phase::Running;
                self.held = None;
                // The clock of the whole starts anew, so that a machine that stays away cannot leave it open for ever.
                self.started = Some(recorded.at);
                self.message.clear();
                for action in self.actions.iter_mut().skip(usize::try_from(*from).unwrap_or(usize::MAX)) {
                    action.phase = ActionPhase::Pending;
                    action.failures = 0;
                    action.interruptions = 0;
                    action.outputs = None;
                }
            }
            Event::CancelRequested => self.cancel_requested = true,
            Event::Cancelled => self.end(Phase::Cancelled, "an operator cancelled it".to_owned()),
            Event::Succeeded { installation } => {
                let own = self.plan.as_ref().map(|plan| plan.declared.hardware.clone());
                if let (Some(own), Some(installation)) = (own, installation)
                    && self.installations.is_empty()
                {
                    self.installations.insert(own, installation.clone());
                }
                self.end(Phase::Succeeded, String::new());
            }
            Event::Failed { index, message } => {
                let action = self.action(*index).map_or("?", |(_, action)| &action.name);
                self.end(Phase::Failed, format!("{action}: {message}"));
            }
            Event::TimedOut { index } => {
                let what = match index.and_then(|index| self.action(index)) {
                    Some((_, action)) => format!("{} ran out of time", action.name),
                    None => "global_timeout is over".to_owned(),
                };
                self.end(Phase::TimedOut, what);
            }
            Event::Expired => self.end(Phase::Expired, "nobody started it in time".to_owned()),
        }
    }

    fn end(&mut self, phase: Phase, message: String) {
        self.phase = phase;
        self.open = None;
        self.held = None;
        self.message = message;
    }

    fn action_mut(&mut self, index: u32) -> Option<&mut ActionState> {
        self.actions.get_mut(usize::try_from(index).ok()?)
    }
}

impl ActionState {
    const fn pending() -> Self {
        Self {
            phase: ActionPhase::Pending,
            attempt: 0,
            failures: 0,
            interruptions: 0,
            reported: Vec::new(),
            seconds: None,
            message: String::new(),
            hook: None,
            outputs: None,
        }
    }

    fn lose_hook(&mut self, why: &str) {
        if let Some(hook) = &mut self.hook {
            hook.lost(why);
        }
    }

    fn end(&mut self, outcome: &Outcome, cancelling: bool) {
        match outcome {
            Outcome::Succeeded => {
                self.phase = ActionPhase::Succeeded;
                self.message.clear();
            }
            Outcome::Failed { reason: FailureReason::WorkerRestarted, message, .. } => {
                self.interrupt(message)
            }
            Outcome::Failed { message, .. } => self.fail(ActionPhase::Failed, message),
            Outcome::TimedOut { .. } => self.fail(ActionPhase::TimedOut, "it ran longer than its timeout"),
            Outcome::Cancelled if cancelling => {
                self.phase = ActionPhase::Cancelled;
                "an operator cancelled it".clone_into(&mut self.message);
            }
            Outcome::Cancelled => self.fail(ActionPhase::Failed, "the worker was stopped in its middle"),
        }
    }

    /// Neither its own failure nor its end: `on-interrupt` says what follows.
    fn interrupt(&mut self, message: &str) {
        self.phase = ActionPhase::Interrupted;
        self.interruptions += 1;
        message.clone_into(&mut self.message);
    }

    fn fail(&mut self, phase: ActionPhase, message: &str) {
        self.phase = phase;
        self.failures += 1;
        message.clone_into(&mut self.message);
    }
}
