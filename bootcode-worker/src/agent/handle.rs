//! The rules: what follows from what happened.

use std::{collections::VecDeque, time::Duration};

use bootcode_core::workflow::{
    Claim, FailureReason, Heartbeat, HookEnd, MachineAction, Outputs, Report, ReportAck, ServiceError,
    Session,
};

use super::{
    Agent, AttemptKey, Call, Effect, Ending, Input, Uptime,
    attempt::{Attempt, Judged, Step, hook_end},
    backoff::Backoff,
};
use crate::{limits, runtime::Finished};

impl Agent {
    /// A worker that has not started.
    #[must_use]
    pub fn new() -> Self {
        Self {
            session: None,
            proven: false,
            call: Call::None,
            due: None,
            backoff: Backoff::default(),
            attempt: None,
            spool: VecDeque::new(),
            said: None,
            stopping: false,
            refused: None,
        }
    }

    /// The token for calls; `None` before the first session.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// When [`Input::Woke`] is due.
    #[must_use]
    pub fn next_wake(&self) -> Option<Uptime> {
        let heartbeat = self.attempt.as_ref().and_then(|attempt| attempt.heartbeat);
        [self.due, heartbeat].into_iter().flatten().min()
    }

    /// Takes what happened at `now`, returns what to do, in this order.
    pub fn handle(&mut self, input: Input, now: Uptime) -> Vec<Effect> {
        match input {
            Input::Started { spooled } => {
                self.spool = spooled.into();
                self.make(Call::Hello)
            }
            Input::Greeted(answer) => self.greeted(answer, now),
            Input::Claimed(answer) => self.claimed(answer, now),
            Input::Reported(answer) => self.reported(answer, now),
            Input::Heartbeat { of, answer } => self.heard(&of, answer, now),
            Input::Finished(done) => self.finished(done, now),
            Input::Woke => self.woke(now),
            Input::Stop => self.stop(),
            step => self.step(step),
        }
    }

    fn greeted(&mut self, answer: Result<Session, ServiceError>, now: Uptime) -> Vec<Effect> {
        match answer {
            Ok(session) => {
                self.backoff.reset();
                self.proven = false;
                let mut effects = vec![self.say(format!("session open for {}", session.hardware))];
                self.session = Some(session);
                self.call = Call::None;
                if self.attempt.is_none() {
                    effects.extend(self.next());
                }
                effects
            }
            Err(ServiceError::Refused { reason }) => self.unwanted(reason.to_string()),
            Err(error) => self.retry(Call::Hello, &error, now),
        }
    }

    fn claimed(&mut self, answer: Result<Claim, ServiceError>, now: Uptime) -> Vec<Effect> {
        let claim = match answer {
            Ok(claim) => self.answered(claim),
            Err(ServiceError::Refused { reason }) if self.proven => {
                return self.greet_again(&reason.to_string());
            }
            Err(ServiceError::Refused { reason }) => return self.unwanted(reason.to_string()),
            Err(error) => return self.retry(Call::Claim, &error, now),
        };
        match claim {
            Claim::Run(assignment) => {
                self.call = Call::None;
                let line = format!(
                    "{}/{}: attempt {} of {} ({})",
                    assignment.workflow,
                    assignment.task,
                    assignment.attempt,
                    assignment.action,
                    assignment.image
                );
                let heartbeat = Some(now + self.heartbeat_pause());
                let attempt = Attempt { assignment, step: Step::Intending, cancelled: false, heartbeat };
                let intend = Effect::Intend(attempt.intent());
                self.attempt = Some(attempt);
                vec![self.say(line), intend]
            }
            Claim::Finish { workflow, action: MachineAction::Stay } => {
                self.wait(Call::Claim, now + limits::STAY);
                self.say_once(format!("{workflow} has ended here; the machine stays as it is"))
            }
            Claim::Finish { workflow, action } => {
                self.call = Call::Finish;
                self.due = None;
                vec![
                    self.say(format!("{workflow} has ended: {action:?}")),
                    Effect::Finish { workflow, action },
                ]
            }
            Claim::Wait { reason, retry_ms } => {
                let pause =
                    Duration::from_millis(retry_ms).clamp(limits::WAIT_SHORTEST, limits::WAIT_LONGEST);
                self.wait(Call::Claim, now + pause);
                self.say_once(format!("waiting: {reason}"))
            }
        }
    }

    fn reported(&mut self, answer: Result<ReportAck, ServiceError>, now: Uptime) -> Vec<Effect> {
        let line = match answer {
            Ok(_) => self.answered(None),
            Err(ServiceError::StaleAttempt { attempt, action, .. }) => self.answered(Some(format!(
                "{action}: attempt {attempt} is no longer the open one; its outcome is dropped"
            ))),
            Err(ServiceError::Refused { reason }) if self.proven => {
                return self.greet_again(&reason.to_string());
            }
            // The session is good and was just opened, so it is the report that nobody wants.
            Err(ServiceError::Refused { reason }) => {
                Some(format!("an outcome was refused and is dropped: {reason}"))
            }
            Err(error) => return self.retry(Call::Report, &error, now),
        };
        let mut effects: Vec<_> = line.map(|line| self.say(line)).into_iter().collect();
        if let Some(report) = self.spool.pop_front() {
            effects.push(Effect::Forget(AttemptKey::of_report(&report)));
        }
        effects.extend(self.next());
        effects
    }

    fn heard(
        &mut self,
        of: &AttemptKey,
        answer: Result<Heartbeat, ServiceError>,
        now: Uptime,
    ) -> Vec<Effect> {
        let pause = self.heartbeat_pause();
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.key() == *of) else {
            return vec![];
        };
        attempt.heartbeat = Some(now + pause);
        match answer {
            Ok(Heartbeat::Continue) => self.answered(vec![]),
            Ok(Heartbeat::Cancel) | Err(ServiceError::StaleAttempt { .. }) => {
                self.proven = true;
                self.cancel("the server says stop")
            }
            Err(ServiceError::Refused { reason }) if self.proven => self.greet_again(&reason.to_string()),
            Err(ServiceError::Refused { .. }) if self.call == Call::Hello => vec![],
            Err(ServiceError::Refused { reason }) => self.unwanted(reason.to_string()),
            // The container goes on without the server: what it did is reported later.
            Err(error) => self.say_once(format!("{error}; the action goes on")),
        }
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let Some(attempt) = self.attempt.as_mut() else { return vec![] };
        let step = std::mem::replace(&mut attempt.step, Step::Concluding);
        match (step, input) {
            (Step::Intending, Input::Intended(kept)) => {
                let warning =
                    kept.err().map(|error| Effect::Say(format!("cannot spool the attempt: {error}")));
                attempt.step = Step::Protecting;
                warning.into_iter().chain([Effect::Protect(attempt.assignment.clone())]).collect()
            }
            (Step::Protecting, Input::Protected(Ok(()))) if !attempt.cancelled => {
                attempt.step = Step::Pulling;
                vec![Effect::Pull(attempt.assignment.clone())]
            }
            (Step::Protecting, Input::Protected(result)) => {
                let message = result.err().unwrap_or_default();
                let report = attempt.failed(FailureReason::DiskProtection, &message);
                self.conclude(report)
            }
            (Step::Pulling, Input::Pulled(Ok(()))) if !attempt.cancelled => {
                attempt.step = Step::Running;
                vec![attempt.run()]
            }
            (Step::Pulling, Input::Pulled(result)) => {
                let message = result.err().unwrap_or_default();
                let report = attempt.failed(FailureReason::ImagePull, &message);
                self.conclude(report)
            }
            (Step::Running, Input::Ended { result, tail, outputs }) => self.ended(result, tail, outputs),
            (Step::Keeping { .. }, Input::Intended(_)) if self.stopping => {
                vec![Effect::Exit(Ending::Stopped)]
            }
            (Step::Keeping { report, cause, hook }, Input::Intended(_)) => {
                attempt.step = Step::Hook { report, cause };
                let assignment = attempt.assignment.clone();
                let line = Effect::Say(format!("{}: running its hook", assignment.action));
                let tell = Effect::TellHook(attempt.hook_start(cause));
                vec![line, tell, Effect::Run { assignment, hook: Some(hook), limit: limits::HOOK }]
            }
            (Step::Hook { mut report, cause }, Input::Ended { result, .. }) => {
                let end = hook_end(cause, &result);
                let mut effects = vec![self.say(format!("the hook ended: {}", end.message))];
                report.hook = Some(end);
                effects.extend(self.conclude(report));
                effects
            }
            (Step::Concluding, Input::Concluded { report, spooled }) => {
                self.attempt = None;
                let line = spooled.err().map(|error| self.say(format!("cannot spool the outcome: {error}")));
                self.spool.push_back(*report);
                line.into_iter().chain(self.after_attempt()).collect()
            }
            (step, _) => {
                // An answer to nothing that was asked; the step stays as it was.
                attempt.step = step;
                vec![]
            }
        }
    }

    fn ended(
        &mut self,
        result: Result<Finished, String>,
        tail: String,
        outputs: Result<Option<Outputs>, String>,
    ) -> Vec<Effect> {
        if self.stopping {
            // What Intend kept is the truth: nobody knows how it would have ended.
            return vec![Effect::Exit(Ending::Stopped)];
        }
        let Some(attempt) = self.attempt.as_mut() else { return vec![] };
        let Judged { outcome, ran, hook, outputs } = attempt.judge(result, tail, outputs);
        let mut report = attempt.report(outcome, ran);
        report.outputs = outputs;
        let line = Effect::Say(format!("{}: {} after {} ms", report.action, told(&report), report.ran_ms));
        match hook {
            Some((cause, hook)) => {
                attempt.step = Step::Keeping { report: report.clone(), cause, hook };
                // What stands if the worker dies in the hook's middle.
                let message = "the worker was restarted in its middle".to_owned();
                report.hook = Some(HookEnd { cause, exit: None, message, ran_ms: 0 });
                vec![line, Effect::Intend(report)]
            }
            None => std::iter::once(line).chain(self.conclude(report)).collect(),
        }
    }

    fn conclude(&mut self, report: Box<Report>) -> Vec<Effect> {
        if self.stopping {
            return vec![Effect::Exit(Ending::Stopped)];
        }
        let Some(attempt) = self.attempt.as_mut() else { return vec![] };
        attempt.step = Step::Concluding;
        attempt.heartbeat = None;
        vec![Effect::Conclude { report, assignment: attempt.assignment.clone() }]
    }

    /// The attempt is over; a hello that is open answers first.
    fn after_attempt(&mut self) -> Vec<Effect> {
        match &self.refused {
            Some(reason) => vec![Effect::Exit(Ending::Refused { reason: reason.clone() })],
            None if self.call == Call::None => self.next(),
            None => vec![],
        }
    }

    fn finished(&mut self, done: Result<(), String>, now: Uptime) -> Vec<Effect> {
        self.wait(Call::Claim, now + limits::STAY);
        done.err().map(|error| self.say(error)).into_iter().collect()
    }

    fn woke(&mut self, now: Uptime) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.due.is_some_and(|due| due <= now) {
            effects.extend(self.make(self.call));
        }
        if let Some(attempt) = self.attempt.as_mut()
            && attempt.heartbeat.is_some_and(|due| due <= now)
        {
            attempt.heartbeat = None;
            effects.push(Effect::Heartbeat(attempt.key()));
        }
        effects
    }

    fn stop(&mut self) -> Vec<Effect> {
        self.stopping = true;
        match self.attempt.as_ref().map(|attempt| &attempt.step) {
            Some(Step::Protecting | Step::Pulling | Step::Running | Step::Hook { .. }) => vec![Effect::Kill],
            // What is being written into the spool comes to its end first.
            Some(Step::Keeping { .. } | Step::Concluding) => vec![],
            Some(Step::Intending) | None => vec![Effect::Exit(Ending::Stopped)],
        }
    }

    fn cancel(&mut self, why: &str) -> Vec<Effect> {
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| !attempt.cancelled) else { return vec![] };
        attempt.cancelled = true;
        vec![Effect::Say(format!("{}: stopping: {why}", attempt.assignment.action)), Effect::Kill]
    }

    /// The server refuses us for good. What runs with rights that we no longer have is stopped first.
    fn unwanted(&mut self, reason: String) -> Vec<Effect> {
        self.call = Call::None;
        self.due = None;
        if self.attempt.is_none() {
            return vec![Effect::Exit(Ending::Refused { reason })];
        }
        let effects = self.cancel(&format!("the server refuses this worker: {reason}"));
        self.refused = Some(reason);
        effects
    }

    /// A session that worked and is refused now: the server changed. Token and nonce may still open another.
    fn greet_again(&mut self, reason: &str) -> Vec<Effect> {
        self.proven = false;
        let mut effects = vec![self.say(format!("{reason}; opening a new session"))];
        effects.extend(self.make(Call::Hello));
        effects
    }

    /// The outcomes first, then new work.
    fn next(&mut self) -> Vec<Effect> {
        if self.stopping {
            return vec![Effect::Exit(Ending::Stopped)];
        }
        self.make(if self.spool.is_empty() { Call::Claim } else { Call::Report })
    }

    fn make(&mut self, call: Call) -> Vec<Effect> {
        self.call = call;
        self.due = None;
        match call {
            Call::None | Call::Finish => vec![],
            Call::Hello => vec![Effect::Hello],
            Call::Claim => vec![Effect::Claim],
            Call::Report => match self.spool.front() {
                Some(report) => vec![Effect::Report(Box::new(report.clone()))],
                None => self.make(Call::Claim),
            },
        }
    }

    fn retry(&mut self, call: Call, error: &ServiceError, now: Uptime) -> Vec<Effect> {
        let pause = self.backoff.pause();
        self.wait(call, now + pause);
        self.say_once(format!("{error}; trying again until it answers"))
    }

    fn wait(&mut self, call: Call, until: Uptime) {
        self.call = call;
        self.due = Some(until);
    }

    /// The service answered a call of this session.
    fn answered<T>(&mut self, answer: T) -> T {
        self.proven = true;
        self.backoff.reset();
        answer
    }

    fn say(&mut self, line: String) -> Effect {
        self.said = None;
        Effect::Say(line)
    }

    /// Says a line that would repeat itself only once.
    fn say_once(&mut self, line: String) -> Vec<Effect> {
        if self.said.as_ref() == Some(&line) {
            return vec![];
        }
        self.said = Some(line.clone());
        vec![Effect::Say(line)]
    }

    fn heartbeat_pause(&self) -> Duration {
        let asked = self.session.as_ref().map_or(0, |session| session.heartbeat_ms);
        Duration::from_millis(asked).clamp(limits::HEARTBEAT_SHORTEST, limits::WAIT_LONGEST)
    }
}

/// An outcome on the console.
fn told(report: &Report) -> String {
    use bootcode_core::workflow::Outcome;
    match &report.outcome {
        Outcome::Succeeded => "succeeded".into(),
        Outcome::Failed { message, exit: Some(exit), .. } => {
            format!("failed with exit status {exit}: {message}")
        }
        Outcome::Failed { message, .. } => format!("failed: {message}"),
        Outcome::TimedOut { .. } => "ran out of time and was killed".into(),
        Outcome::Cancelled => "cancelled".into(),
    }
}
