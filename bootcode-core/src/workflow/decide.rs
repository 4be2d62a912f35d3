//! The rules: which events a command adds to a workflow's log. Pure (I1); the engine appends what this returns.

use std::sync::Arc;

use super::{
    Command, Event, FailureReason, Hold, HookCause, HookStart, HookState, Machine, Outcome, Outputs,
    Recorded, Rejection, Report, State, disks,
    guard::{Guard, holds},
    machine,
    outputs::outputs_fault,
    state::{ActionPhase, seconds_after},
};
use crate::{
    clock::Timestamp,
    document::Overwrite,
    limits::{
        FAILURE_TEXT_BYTES, HOOK_SECONDS, INTERRUPTIONS, PULL_SECONDS, REPORT_GRACE_SECONDS,
        START_GRACE_SECONDS,
    },
    template::OnInterrupt,
};

/// The events that `command` adds to the log of `state`; none where it changes nothing.
///
/// # Errors
/// See [`Rejection`]: the command is refused and changes nothing.
pub fn decide(state: &State, command: Command<'_>, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    let mut draft = Draft { state: state.clone(), events: Vec::new(), now };
    match command {
        Command::Create { .. } => draft.create(&command)?,
        _ if state.plan.is_none() => return Err(Rejection::Unknown { workflow: state.name.clone() }),
        Command::Hold { reason } => draft.hold(reason),
        Command::Release => draft.release()?,
        Command::WorkerHello { machine } => draft.seen(&machine),
        Command::Claim { machine, next, digest, instances } => {
            draft.claim(&machine, next, digest, instances);
        }
        Command::Report { worker, report } => draft.report(worker, report)?,
        Command::Hook { worker, start } => draft.hook(worker, start)?,
        Command::Tick { up_since } => draft.tick(up_since),
        Command::Retry { from } => draft.retry(from)?,
        Command::Cancel => draft.cancel()?,
    }
    Ok(draft.events)
}

/// When [`Command::Tick`] will next have an effect.
#[must_use]
pub fn next_deadline(state: &State, up_since: Timestamp) -> Option<Timestamp> {
    if !state.phase.is_open() {
        return None;
    }
    let expires = state.plan.as_ref().filter(|_| !state.begun).map(|plan| plan.expires);
    let attempt = state.open.as_ref().map(|open| with_grace(open.deadline, up_since));
    [expires, attempt, whole_deadline(state, up_since)].into_iter().flatten().min()
}

/// When the server gives the whole up: a worker with an open attempt has some time left to report its end.
fn whole_deadline(state: &State, up_since: Timestamp) -> Option<Timestamp> {
    let deadline = state.global_deadline()?;
    Some(match state.open {
        Some(_) => with_grace(seconds_after(deadline, REPORT_GRACE_SECONDS), up_since),
        None => deadline,
    })
}

fn with_grace(deadline: Timestamp, up_since: Timestamp) -> Timestamp {
    if !holds(Guard::StartGrace) {
        return deadline;
    }
    deadline.max(seconds_after(up_since, START_GRACE_SECONDS))
}

/// The state as it will be, and the events that lead there.
struct Draft {
    state: State,
    events: Vec<Event>,
    now: Timestamp,
}

impl Draft {
    fn push(&mut self, event: Event) {
        let recorded = Recorded { seq: self.state.seq + 1, at: self.now, event };
        self.state.apply(&recorded);
        self.events.push(recorded.event);
    }

    fn create(&mut self, command: &Command<'_>) -> Result<(), Rejection> {
        let Command::Create { declared, spec, from_directory, hold } = command else { return Ok(()) };
        let workflow = || self.state.name.clone();
        if let Some(plan) = &self.state.plan {
            let same = *plan.declared == **declared && *plan.spec == **spec;
            return if same { Ok(()) } else { Err(Rejection::Exists { workflow: workflow() }) };
        }
        if *from_directory && declared.overwrite == Overwrite::Any {
            return Err(Rejection::OverwriteFromDirectory { workflow: workflow() });
        }
        self.push(Event::Created {
            declared: Arc::new((*declared).clone()),
            spec: Arc::new((*spec).clone()),
            expires: seconds_after(self.now, declared.expires.as_secs()),
        });
        if let Some(reason) = hold {
            self.push(Event::Held { reason: reason.clone() });
        }
        Ok(())
    }

    fn hold(&mut self, reason: Hold) {
        if self.state.phase.is_open() && self.state.held.is_none() {
            self.push(Event::Held { reason });
        }
    }

    fn release(&mut self) -> Result<(), Rejection> {
        if !self.state.is_held() {
            let (workflow, state) = (self.state.name.clone(), self.state.state_name());
            return Err(Rejection::NotHeld { workflow, state });
        }
        self.push(Event::Released);
        Ok(())
    }

    /// Notes a machine's boot. Another boot in an attempt's middle means that the machine restarted.
    fn seen(&mut self, machine: &Machine<'_>) {
        let worker = &machine.hardware.name;
        let known = self.state.seen.get(worker).is_some_and(|seen| seen.boot_id == machine.boot_id);
        if known || self.state.phase.is_terminal() || !self.state.concerns(worker) {
            return;
        }
        self.push(Event::WorkerSeen {
            worker: worker.clone(),
            boot_id: machine.boot_id.to_owned(),
            inventory: Arc::new(machine.inventory.clone()),
        });
        if let Some(open) = self.state.open.clone().filter(|open| open.worker == *worker)
            && holds(Guard::BootInterrupts)
        {
            let (index, attempt) = (open.index, open.attempt);
            self.push(Event::ActionInterrupted { index, attempt, boot_id: machine.boot_id.to_owned() });
            self.after_interruption(index);
        }
    }

    fn after_interruption(&mut self, index: u32) {
        if self.state.cancel_requested {
            return self.push(Event::Cancelled);
        }
        let on_interrupt =
            self.state.action(index).map(|(_, action)| action.on_interrupt).unwrap_or_default();
        let interruptions = self.action_count(index, |action| action.interruptions);
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let why = self.state.actions.get(at).map(|action| action.message.clone()).unwrap_or_default();
        let message = match on_interrupt {
            OnInterrupt::Fail => format!("{why}, and on-interrupt is `fail`"),
            OnInterrupt::Retry if interruptions > INTERRUPTIONS => {
                format!("it was interrupted {interruptions} times; the last time {why}")
            }
            OnInterrupt::Retry => return,
        };
        self.push(Event::Failed { index, message });
    }

    fn claim(&mut self, machine: &Machine<'_>, next: u32, digest: Option<String>, instances: u64) {
        self.expire();
        self.seen(machine);
        let worker = &machine.hardware.name;
        if self.state.cancel_requested && holds(Guard::CancelStops) {
            return self.stop_unstarted(worker);
        }
        if (!self.state.phase.is_open() && holds(Guard::NothingAfterTheEnd))
            || (self.state.is_held() && holds(Guard::NothingWhileHeld))
            || (self.state.open.is_some() && holds(Guard::OneOpenAttempt))
        {
            return;
        }
        let Some((index, action)) = self
            .state
            .next()
            .filter(|(index, task, _)| *index == next && (task.worker == *worker || !holds(Guard::OwnTask)))
            .map(|(index, _, action)| (index, action.clone()))
        else {
            return;
        };
        if let Some(deadline) = self.state.global_deadline()
            && deadline <= self.now
            && holds(Guard::Deadlines)
        {
            return self.push(Event::TimedOut { index: None });
        }
        match self.admit(machine) {
            Err(reason) => return self.push(Event::Held { reason }),
            Ok(disks) => {
                let first = self.state.armed_on(worker).is_empty() && holds(Guard::DisksArmedFirst);
                if action.writes_disks() && first && !disks.is_empty() {
                    self.push(Event::DisksArmed { worker: worker.clone(), disks });
                }
            }
        }
        let attempt = self.action_count(index, |action| action.attempt) + 1;
        let left = match (self.state.global_deadline(), &self.state.plan) {
            (Some(deadline), _) => deadline.as_second().saturating_sub(self.now.as_second()).unsigned_abs(),
            (None, Some(plan)) => plan.spec.global_timeout_s,
            (None, None) => 0,
        };
        let allowed = action.timeout_s.unwrap_or(left).min(left);
        self.push(Event::ActionStarted {
            index,
            attempt,
            worker: worker.clone(),
            boot_id: machine.boot_id.to_owned(),
            digest,
            deadline: seconds_after(self.now, allowed + PULL_SECONDS + REPORT_GRACE_SECONDS),
            // Whatever has it run again, a retry from there or from before, has all that follows run again, too: what an action
            // writes to the disk of its instance's id stays true.
            instance: (self.state.first_writing(worker) == Some(index)).then(|| instances + 1),
        });
    }

    /// A worker that asks for work runs nothing: an attempt that it was handed, and that is to be stopped, is over.
    fn stop_unstarted(&mut self, worker: &str) {
        let Some(open) = self.state.open.clone().filter(|open| open.worker == worker) else { return };
        self.push(Event::ActionEnded {
            index: open.index,
            attempt: open.attempt,
            outcome: Outcome::Cancelled,
            ran_ms: 0,
            installation: None,
            outputs: None,
        });
        self.after_attempt(open.index);
    }

    /// Whether the workflow may go on on this machine, and the disks that it may write there.
    fn admit(&self, machine: &Machine<'_>) -> Result<Vec<super::Armed>, Hold> {
        let hardware = machine.hardware;
        if !hardware.spec.hold.is_empty() {
            return Err(Hold::HardwareHeld { text: hardware.spec.hold.clone() });
        }
        machine::verify(hardware, machine.inventory)?;
        let Some(plan) = &self.state.plan else { return Ok(Vec::new()) };
        if !self.state.writes_on(&hardware.name) {
            return Ok(Vec::new());
        }
        let storage = hardware.spec.storage.as_deref();
        let armed = self.state.armed_on(&hardware.name);
        disks::writable(&hardware.name, storage, &plan.declared, &plan.spec, armed, machine.inventory)
    }

    fn report(&mut self, worker: &str, report: &Report) -> Result<(), Rejection> {
        let (index, attempt) = (report.index, report.attempt);
        let is_open = self.state.open.as_ref().is_some_and(|open| {
            open.index == index
                && (open.attempt == attempt || !holds(Guard::ReportOfOpenAttempt))
                && (open.worker == worker || !holds(Guard::ReportOfOwnMachine))
        });
        let named = self.state.action(index).is_some_and(|(_, action)| action.name == report.action);
        if !(is_open && named) {
            let at = usize::try_from(index).unwrap_or(usize::MAX);
            let repeated =
                self.state.actions.get(at).is_some_and(|action| action.reported.contains(&attempt));
            if !(repeated && named) {
                let (workflow, action) = (self.state.name.clone(), report.action.clone());
                return Err(Rejection::StaleAttempt { workflow, action, attempt });
            }
            if holds(Guard::ReportOnce) {
                return Ok(());
            }
        }
        if let Some(hook) = &report.hook {
            if self.hook_of(index).is_none() {
                self.push(self.hook_started(index, attempt, hook.cause));
            }
            let (exit, ran_ms, message) = (hook.exit, hook.ran_ms, head(hook.message.clone()));
            self.push(Event::HookEnded { index, attempt, exit, message, ran_ms });
        }
        let (outcome, outputs) = self.kept(report);
        let stopped = outcome == Outcome::Cancelled;
        self.push(Event::ActionEnded {
            index,
            attempt,
            outcome,
            ran_ms: report.ran_ms,
            installation: disks::installation(self.state.armed_on(worker), &report.disks),
            outputs,
        });
        let over = self.state.global_deadline().is_some_and(|deadline| deadline <= self.now);
        if stopped && over && !self.state.cancel_requested {
            // Its worker was told to stop, as `global_timeout` was over.
            self.push(Event::TimedOut { index: None });
        } else {
            self.after_attempt(index);
        }
        Ok(())
    }

    /// The outcome and the outputs that the log keeps: outputs that are too much are a failure, as later actions may need them.
    fn kept(&self, report: &Report) -> (Outcome, Option<Arc<Outputs>>) {
        let outcome = bounded(&report.outcome);
        let Some(outputs) = report.outputs.as_ref().filter(|_| outcome == Outcome::Succeeded) else {
            return (outcome, None);
        };
        match outputs_fault(outputs, self.state.outputs_bytes()) {
            None => (outcome, Some(Arc::clone(outputs))),
            Some(message) => {
                let (reason, tail) = (FailureReason::Outputs, String::new());
                (Outcome::Failed { reason, exit: Some(0), message, tail }, None)
            }
        }
    }

    fn hook(&mut self, worker: &str, start: &HookStart) -> Result<(), Rejection> {
        let (index, attempt) = (start.index, start.attempt);
        let open = self.state.open.as_ref();
        let open = open.is_some_and(|o| o.index == index && o.attempt == attempt && o.worker == worker);
        let named = self.state.action(index).is_some_and(|(_, action)| action.name == start.action);
        if !(open && named) {
            let (workflow, action) = (self.state.name.clone(), start.action.clone());
            return Err(Rejection::StaleAttempt { workflow, action, attempt });
        }
        if self.hook_of(index).is_none() {
            self.push(self.hook_started(index, attempt, start.cause));
        }
        Ok(())
    }

    fn hook_of(&self, index: u32) -> Option<&HookState> {
        self.state.actions.get(usize::try_from(index).ok()?)?.hook.as_ref()
    }

    /// From now on the hook's time counts: whoever dies in its middle is not waited for until the action's deadline.
    fn hook_started(&self, index: u32, attempt: u32, cause: HookCause) -> Event {
        let deadline = seconds_after(self.now, HOOK_SECONDS + REPORT_GRACE_SECONDS);
        Event::HookStarted { index, attempt, cause, deadline }
    }

    fn after_attempt(&mut self, index: u32) {
        if self.state.cancel_requested && holds(Guard::CancelStops) {
            return self.push(Event::Cancelled);
        }
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(action) = self.state.actions.get(at) else { return };
        let (phase, failures, message) = (action.phase, action.failures, action.message.clone());
        let retries = self.state.action(index).map_or(0, |(_, action)| action.retries);
        match phase {
            ActionPhase::Succeeded if self.state.next().is_none() => {
                self.push(Event::Succeeded { installation: self.state.installation().cloned() });
            }
            ActionPhase::Succeeded => {}
            ActionPhase::Interrupted => self.after_interruption(index),
            _ if failures <= retries || !holds(Guard::RetriesAreCounted) => {}
            ActionPhase::TimedOut => self.push(Event::TimedOut { index: Some(index) }),
            _ => self.push(Event::Failed { index, message }),
        }
    }

    fn tick(&mut self, up_since: Timestamp) {
        self.expire();
        if !self.state.phase.is_open() || !holds(Guard::Deadlines) {
            return;
        }
        let whole = whole_deadline(&self.state, up_since).is_some_and(|deadline| deadline <= self.now);
        if let Some(open) = self.state.open.clone()
            && (whole || with_grace(open.deadline, up_since) <= self.now)
        {
            self.push(Event::ActionTimedOut { index: open.index, attempt: open.attempt });
            self.after_attempt(open.index);
        }
        if whole && self.state.phase.is_open() {
            self.push(Event::TimedOut { index: None });
        }
    }

    fn expire(&mut self) {
        let expires = self.state.plan.as_ref().map(|plan| plan.expires);
        let over = expires.is_some_and(|at| at <= self.now) && holds(Guard::Expiry);
        if self.state.phase.is_open() && !self.state.begun && over {
            self.push(Event::Expired);
        }
    }

    fn retry(&mut self, from: Option<&str>) -> Result<(), Rejection> {
        let (workflow, state) = (self.state.name.clone(), self.state.state_name());
        if !self.state.phase.is_stopped() {
            return Err(Rejection::NotStopped { workflow, state });
        }
        let stopped_at = self.state.next().map_or(0, |(index, ..)| index);
        let from = match from {
            None => stopped_at,
            Some(name) => {
                let fail = |detail| Rejection::NoSuchAction {
                    workflow: workflow.clone(),
                    action: name.to_owned(),
                    detail,
                };
                let mut actions = (0u32..).zip(self.state.plan.iter().flat_map(|plan| plan.spec.actions()));
                let found = actions.find(|(_, (_, action))| action.name == name).map(|(index, _)| index);
                let index = found.ok_or_else(|| fail("it has no such action"))?;
                if index > stopped_at {
                    return Err(fail("an action before it has not succeeded"));
                }
                index
            }
        };
        self.push(Event::Retried { from });
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), Rejection> {
        if self.state.phase.is_terminal() && !self.state.cancel_requested {
            let (workflow, state) = (self.state.name.clone(), self.state.state_name());
            return Err(Rejection::Ended { workflow, state });
        }
        if !self.state.cancel_requested {
            self.push(Event::CancelRequested);
            if self.state.open.is_none() {
                self.push(Event::Cancelled);
            }
        }
        Ok(())
    }

    fn action_count(&self, index: u32, count: impl Fn(&super::ActionState) -> u32) -> u32 {
        self.state.actions.get(usize::try_from(index).unwrap_or(usize::MAX)).map_or(0, count)
    }
}

/// The outcome with its texts cut to what the log keeps.
fn bounded(outcome: &Outcome) -> Outcome {
    match outcome.clone() {
        Outcome::Failed { reason, exit, message, tail } => {
            Outcome::Failed { reason, exit, message: head(message), tail: last(tail) }
        }
        Outcome::TimedOut { tail } => Outcome::TimedOut { tail: last(tail) },
        short => short,
    }
}

fn head(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(FAILURE_TEXT_BYTES));
    text
}

fn last(text: String) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(FAILURE_TEXT_BYTES));
    text[from..].to_owned()
}
