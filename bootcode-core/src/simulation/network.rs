//! Calls between workers and the server, and what becomes of them on the way.

use std::sync::Arc;

use super::{
    check::{Broken, broken},
    server::Done,
    worker::{Attempt, Input},
    world::{Event, World},
};
use crate::workflow::{
    Claim, Heartbeat, Hello, HookStart, Report, ReportAck, ServiceError, Session, WorkflowService as _,
};

/// After so long a worker gives a call up.
const CALL_MS: u64 = 90_000;
/// How long a repeated request may be under way.
const REPEAT_MS: u64 = 60_000;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Hello(Box<Hello>),
    Claim,
    Report(Box<Report>),
    Heartbeat(Attempt),
    Hook(HookStart),
}

/// What is answered.
pub(super) type Answer = Input;

/// One call.
pub(super) struct Call {
    pub(super) machine: usize,
    life: u64,
    boot: u32,
    session: String,
    request: Request,
    /// What carries it out on the server; more than one where it was repeated.
    tasks: Vec<u64>,
    /// Whether its boot's session was the machine's last one when it arrived.
    superseded: bool,
    /// Nobody waits for an answer any more; a repeat of it may still arrive at the server.
    pub(super) answered: bool,
}

fn unavailable(message: &str) -> ServiceError {
    ServiceError::Unavailable { message: message.to_owned() }
}

/// The answer to a request that was not answered.
fn failed(request: &Request, message: &str) -> Input {
    match request {
        Request::Hello(_) => Input::Greeted(Err(unavailable(message))),
        Request::Claim => Input::Claimed(Err(unavailable(message))),
        Request::Report(_) => Input::Reported(Err(unavailable(message))),
        Request::Heartbeat(attempt) => Input::Heartbeat(attempt.clone(), Err(unavailable(message))),
        Request::Hook(_) => Input::HookTold(Err(unavailable(message))),
    }
}

impl World<'_> {
    /// A worker calls.
    pub(super) fn call(&mut self, machine: usize, request: Request) {
        let session = self.machines[machine].worker.as_ref().and_then(|worker| worker.session());
        let session = session.map(|session| session.token.clone()).unwrap_or_default();
        if let Request::Report(report) = &request {
            self.sent.push((machine, (**report).clone()));
        }
        let call = self.new_call(machine, session, request);
        let (cut_off, calm) = (self.is_cut_off(machine), self.calm);
        if cut_off || (!calm && self.dice.chance(20)) {
            self.counts.add("requests lost");
            let ms = if cut_off { self.dice.between(1000, 10_000) } else { self.dice.between(1000, CALL_MS) };
            self.fail(call, ms, "no answer");
            return;
        }
        let ms = self.delay_ms();
        self.at(ms, Event::Request(call));
        if !calm && self.dice.chance(30) {
            self.counts.add("requests repeated");
            let ms = self.dice.roll(REPEAT_MS);
            self.at(ms, Event::Request(call));
        }
        if !calm && self.dice.chance(15) {
            let ms = self.dice.roll(2000);
            self.at(ms, Event::Cut(call));
        }
        let failed = failed(&self.calls[&call].request, "no answer in time");
        self.at(CALL_MS, Event::Answer { call, input: failed });
    }

    pub(super) fn new_call(&mut self, machine: usize, session: String, request: Request) -> u64 {
        self.called += 1;
        let (life, boot) = (self.machines[machine].life, self.machines[machine].boot);
        let name = self.machines[machine].name().to_owned();
        let call = self.called;
        match &request {
            Request::Hello(hello) => self.note(&name, format_args!("-> #{call} hello {}", hello.boot_id)),
            Request::Claim => self.note(&name, format_args!("-> #{call} claim")),
            Request::Report(report) => {
                let (attempt, outcome) = (Attempt::of(report), &report.outcome);
                self.note(&name, format_args!("-> #{call} report {attempt}: {outcome:?}"));
            }
            Request::Heartbeat(attempt) => self.note(&name, format_args!("-> #{call} heartbeat {attempt}")),
            Request::Hook(start) => {
                self.note(&name, format_args!("-> #{call} hook of {}", Attempt::hooked(start)));
            }
        }
        let (tasks, superseded, answered) = (Vec::new(), false, false);
        self.calls.insert(call, Call { machine, life, boot, session, request, tasks, superseded, answered });
        call
    }

    fn delay_ms(&mut self) -> u64 {
        if !self.calm && self.dice.chance(30) { self.dice.roll(15_000) } else { self.dice.between(1, 40) }
    }

    pub(super) fn is_cut_off(&self, machine: usize) -> bool {
        self.machines[machine].cut_off_until_ms > self.clock.now_ms()
    }

    fn fail(&mut self, call: u64, in_ms: u64, message: &str) {
        let Some(known) = self.calls.get(&call) else { return };
        let input = failed(&known.request, message);
        self.at(in_ms, Event::Answer { call, input });
    }

    /// A request arrives.
    pub(super) fn request(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else { return };
        let (machine, session, request) = (call.machine, call.session.clone(), call.request.clone());
        if self.is_cut_off(machine) {
            return self.fail(number, 5000, "no route to the server");
        }
        let Some(engine) = self.server.engine.as_ref().map(Arc::clone) else {
            let ms = self.dice.between(1, 500);
            return self.fail(number, ms, "connection refused");
        };
        let (boot, name) = (call.boot, self.machines[machine].name());
        let last = self.checker.sessions.get(name).map(|(_, _, boot)| boot.clone());
        let own = format!("{name}-boot-{boot}");
        let superseded = !matches!(request, Request::Hello(_)) && last.is_some_and(|last| last != own);
        let task = self.tasks.start(async move {
            let answer = match request {
                Request::Hello(hello) => Input::Greeted(engine.hello(*hello).await),
                Request::Claim => Input::Claimed(engine.claim(&session).await),
                Request::Report(report) => Input::Reported(engine.report(&session, *report).await),
                Request::Heartbeat(attempt) => {
                    let answer = engine.heartbeat(&session, &attempt.workflow, attempt.number).await;
                    Input::Heartbeat(attempt, answer)
                }
                Request::Hook(start) => Input::HookTold(engine.hook(&session, start).await),
            };
            Done::Answered { call: number, answer }
        });
        if let Some(call) = self.calls.get_mut(&number) {
            call.tasks.push(task);
            call.superseded |= superseded;
        }
    }

    /// The connection breaks: the server drops what it did for this call.
    pub(super) fn cut(&mut self, number: u64) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let tasks = std::mem::take(&mut call.tasks);
        if tasks.is_empty() {
            return;
        }
        self.counts.add("calls cut");
        self.note("fault", format_args!("#{number} is cut"));
        tasks.into_iter().for_each(|task| self.tasks.drop_task(task));
        self.fail(number, 1, "connection reset");
    }

    /// The server died: every open connection breaks.
    pub(super) fn connections_break(&mut self) {
        let open: Vec<u64> =
            self.calls.iter().filter(|(_, call)| !call.tasks.is_empty()).map(|(n, _)| *n).collect();
        for number in open {
            if let Some(call) = self.calls.get_mut(&number) {
                call.tasks.clear();
            }
            let ms = self.dice.between(1, 2000);
            self.fail(number, ms, "connection reset");
        }
    }

    /// The server answers. What it says now is acknowledged, whether or not it arrives.
    pub(super) fn answered(&mut self, number: u64, input: Input) -> Result<(), Broken> {
        let Some(call) = self.calls.get(&number) else { return Ok(()) };
        let (machine, superseded, answered) = (call.machine, call.superseded, call.answered);
        let request = call.request.clone();
        self.acknowledged(machine, &request, &input, superseded)?;
        self.note("server", format_args!("-> #{number} {}", said(&input)));
        if answered {
            return Ok(());
        }
        let lost = self.is_cut_off(machine) || (!self.calm && self.dice.chance(20));
        if lost {
            // The worker's own time-out ends the call.
            self.counts.add("answers lost");
            return Ok(());
        }
        let ms = self.delay_ms();
        self.at(ms, Event::Answer { call: number, input });
        Ok(())
    }

    /// An answer arrives; the first counts.
    pub(super) fn answer(&mut self, number: u64, input: Input) -> Result<(), Broken> {
        let Some(call) = self.calls.get_mut(&number).filter(|call| !call.answered) else { return Ok(()) };
        call.answered = true;
        let (machine, life) = (call.machine, call.life);
        self.tell(machine, life, input)
    }

    /// What was answered must be in the log already (I4).
    fn acknowledged(
        &mut self,
        machine: usize,
        request: &Request,
        answer: &Input,
        superseded: bool,
    ) -> Result<(), Broken> {
        let name = self.machines[machine].name().to_owned();
        let lost = |what: String| broken("what-is-acknowledged-is-kept", what);
        let served = match (request, answer) {
            (Request::Hello(hello), Input::Greeted(Ok(_))) => {
                let known = self.checker.sessions.get(&name);
                if known.is_none_or(|(_, nonce, boot)| (nonce, boot) != (&hello.nonce, &hello.boot_id)) {
                    let rule = "a-boot-token-opens-one-boot";
                    // A newer boot may have said hello since.
                    let newer = known.is_some_and(|(token, ..)| {
                        !hello.token.is_empty() && !self.opens(&hello.token, token)
                    });
                    return if newer {
                        Ok(())
                    } else {
                        broken(rule, format!("{name}: {} was let in", hello.boot_id))
                    };
                }
                false
            }
            (_, Input::Claimed(Ok(claim))) => {
                if let Claim::Run(assignment) = claim {
                    let attempt = Attempt::assigned(assignment);
                    if !self.checker.handed_out.contains_key(&attempt) {
                        return lost(format!("{attempt} was handed to {name}"));
                    }
                }
                true
            }
            (Request::Report(report), Input::Reported(answer)) => {
                let attempt = Attempt::of(report);
                let kept = self
                    .checker
                    .workflows
                    .get(&attempt.workflow)
                    .is_some_and(|seen| seen.ended_attempt(&attempt));
                match answer {
                    Ok(ack) => {
                        self.counts.add_if("repeated reports", ack.repeated);
                        if !kept {
                            return lost(format!("the report of {attempt} by {name}"));
                        }
                        true
                    }
                    Err(ServiceError::StaleAttempt { .. }) => {
                        self.counts.add("stale reports");
                        if kept
                            && self
                                .checker
                                .outcomes
                                .get(&attempt)
                                .is_some_and(|told| told.contains(&report.outcome))
                        {
                            return broken(
                                "a-repeated-report-gets-its-answer-again",
                                format!("{attempt} by {name}"),
                            );
                        }
                        false
                    }
                    Err(_) => false,
                }
            }
            (Request::Hook(start), Input::HookTold(Ok(()))) => {
                let attempt = Attempt::hooked(start);
                self.counts.add("hooks told");
                let seen = self.checker.workflows.get(&attempt.workflow);
                if !seen.is_some_and(|seen| seen.hooks.contains(&attempt)) {
                    return lost(format!("the hook of {attempt} on {name}"));
                }
                true
            }
            (_, Input::Heartbeat(_, Ok(beat))) => {
                self.counts.add_if("told to stop", *beat == Heartbeat::Cancel);
                true
            }
            _ => false,
        };
        if served && superseded {
            return broken("an-earlier-boot-is-refused", format!("{name}: {}", said(answer)));
        }
        Ok(())
    }

    /// Whether a boot token is the one with this id.
    fn opens(&self, token: &str, id: &str) -> bool {
        let opened = self.sealer.open(token, crate::session::Use::Boot, crate::clock::Timestamp::MIN);
        opened.is_ok_and(|claims| claims.id == id)
    }
}

fn told<T>(answer: &Result<T, ServiceError>, good: impl FnOnce(&T) -> String) -> String {
    match answer {
        Ok(answer) => good(answer),
        Err(error) => error.to_string(),
    }
}

/// An answer in one line.
fn said(input: &Input) -> String {
    match input {
        Input::Greeted(answer) => told(answer, |_: &Session| "welcome".to_owned()),
        Input::Claimed(answer) => told(answer, |claim| match claim {
            Claim::Run(assignment) => format!("run {}", Attempt::assigned(assignment)),
            Claim::Finish { workflow, action } => format!("{workflow} has ended: {action:?}"),
            Claim::Wait { reason, .. } => format!("wait: {reason}"),
        }),
        Input::Reported(answer) => {
            told(answer, |ack: &ReportAck| if ack.repeated { "known" } else { "counted" }.to_owned())
        }
        Input::Heartbeat(_, answer) => told(answer, |beat| format!("{beat:?}")),
        Input::HookTold(answer) => told(answer, |()| "noted".to_owned()),
        _ => String::new(),
    }
}
