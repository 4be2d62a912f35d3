//! Every step of a provisioning, troubled in every way: the store fails, the server, the worker or the machine restarts, an answer is
//! lost, a call comes twice, the action fails. Whatever it is, each action comes to its end once and the log keeps its rules.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;

use super::world::{World, hello, later, new_workflow, report};
use crate::{
    engine::{Engine, EngineError, log_name},
    store::Store as _,
    workflow::{
        Assignment, Claim, Event, FailureReason, HookCause, HookEnd, HookStart, LogChunk, Outcome, Phase,
        Recorded, Report, ServiceError, State, WorkflowService as _,
        fixtures::{failed, spec},
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// The store refuses its n-th call, whatever it is.
    Store(usize),
    /// Before the n-th call of the worker.
    ServerRestarts(usize),
    /// The n-th call is carried out, and its answer is lost with the server.
    AnswerLost(usize),
    /// The n-th call comes twice.
    Twice(usize),
    /// Before the n-th call, in the same boot.
    WorkerRestarts(usize),
    /// Before the n-th call.
    MachineRestarts(usize),
    /// The n-th attempt fails.
    Fails(usize),
}

struct Run {
    world: World,
    engine: Engine,
    trouble: Trouble,
    calls: usize,
    attempts: usize,
    boot: u32,
    token: String,
    session: Option<String>,
    running: Option<Assignment>,
    spooled: Option<Report>,
}

/// Makes a call until it is answered, with what troubles it; counts the worker's calls.
macro_rules! call {
    ($run:expr, $call:expr) => {{
        let number = $run.calls;
        $run.calls += 1;
        if $run.trouble == Trouble::ServerRestarts(number) {
            $run.engine = $run.world.engine().await;
        }
        if $run.trouble == Trouble::AnswerLost(number) {
            let _ = $call;
            $run.engine = $run.world.engine().await;
        }
        if $run.trouble == Trouble::Twice(number) {
            let _ = $call;
        }
        loop {
            match $call {
                Err(ServiceError::Unavailable { .. }) => $run.engine = $run.world.engine().await,
                answer => break answer,
            }
        }
    }};
}

impl Run {
    async fn new(trouble: Trouble) -> Self {
        let world = World::new();
        if let Trouble::Store(call) = trouble {
            world.store.refuse_call(call);
        }
        let engine = world.engine().await;
        let token = world.token();
        let mut run = Self {
            world,
            engine,
            trouble,
            calls: 0,
            attempts: 0,
            boot: 1,
            token,
            session: None,
            running: None,
            spooled: None,
        };
        run.create().await;
        run
    }

    async fn create(&mut self) {
        let mut spec = spec();
        for action in &mut spec.tasks[0].actions {
            action.retries = 1;
            action.on_failure = Some(vec!["hook".to_owned()]);
        }
        loop {
            match self.engine.create(&new_workflow("w", spec.clone())).await {
                Ok(_) => return,
                Err(EngineError::Store(_)) => self.engine = self.world.engine().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What happens to the worker and its machine before its next call.
    fn restarts(&mut self) {
        if self.trouble == Trouble::WorkerRestarts(self.calls) {
            self.session = None;
            // What its spool holds of an attempt that it was in the middle of.
            if let Some(assignment) = self.running.take() {
                let (reason, message) = (FailureReason::WorkerRestarted, "restarted".to_owned());
                let outcome = Outcome::Failed { reason, exit: None, message, tail: String::new() };
                self.spooled = Some(report(&assignment, outcome));
            }
        } else if self.trouble == Trouble::MachineRestarts(self.calls) {
            self.boot += 1;
            self.token = self.world.token();
            (self.session, self.running, self.spooled) = (None, None, None);
        } else {
            return;
        }
        // Once is enough.
        self.trouble = Trouble::None;
    }

    /// The worker's next call; whether there is another one.
    async fn step(&mut self) -> bool {
        self.restarts();
        let Some(session) = self.session.clone() else {
            let (token, boot) = (self.token.clone(), format!("boot-{}", self.boot));
            let opened = call!(self, self.engine.hello(hello(&token, &boot)).await);
            self.session = Some(opened.unwrap().token);
            return true;
        };
        if let Some(told) = self.spooled.clone() {
            let answer = call!(self, self.engine.report(&session, told.clone()).await);
            assert!(matches!(answer, Ok(_) | Err(ServiceError::StaleAttempt { .. })), "{answer:?}");
            self.spooled = None;
            return true;
        }
        if let Some(assignment) = self.running.clone() {
            self.work(&session, &assignment).await;
            return true;
        }
        later(&self.world.clock, 1);
        match call!(self, self.engine.claim(&session).now_or_never().unwrap_or_else(waited)) {
            Ok(Claim::Run(assignment)) => {
                self.attempts += 1;
                self.running = Some(*assignment);
                true
            }
            Ok(Claim::Finish { .. }) => false,
            // After a restart of a machine that was done there is nothing left.
            Ok(Claim::Wait { reason, .. }) => {
                let phase = self.engine.state("w").unwrap().phase;
                assert_eq!(phase, Phase::Succeeded, "{reason}");
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// An attempt from its heartbeat to its end; the worker may restart in its middle.
    async fn work(&mut self, session: &str, assignment: &Assignment) {
        let chunk = LogChunk {
            workflow: assignment.workflow.clone(),
            action: assignment.action.clone(),
            attempt: assignment.attempt,
            offset: 0,
            text: "line\n".to_owned(),
        };
        call!(self, self.engine.heartbeat(session, "w", assignment.attempt).await).unwrap();
        self.restarts();
        if self.running.is_none() {
            return;
        }
        call!(self, self.engine.log(session, chunk.clone()).await).unwrap();
        self.restarts();
        if self.running.is_none() {
            return;
        }
        let outcome = match self.trouble {
            Trouble::Fails(attempt) if attempt + 1 == self.attempts => failed("no"),
            _ => Outcome::Succeeded,
        };
        let mut told = report(assignment, outcome);
        if told.outcome != Outcome::Succeeded {
            let cause = HookCause::OnFailure;
            let (workflow, action) = (assignment.workflow.clone(), assignment.action.clone());
            let start =
                HookStart { workflow, index: assignment.index, action, attempt: assignment.attempt, cause };
            call!(self, self.engine.hook(session, start.clone()).await).unwrap();
            told.hook =
                Some(HookEnd { cause, exit: Some(0), message: "exit status 0".to_owned(), ran_ms: 1 });
        }
        self.running = None;
        self.spooled = Some(told);
    }

    async fn log(&self) -> Vec<Recorded> {
        let entries = self.world.store.read(&log_name("w"), 1).await.unwrap();
        entries.into_iter().map(|entry| serde_json::from_value(entry.value).unwrap()).collect()
    }
}

fn waited() -> Result<Claim, ServiceError> {
    Ok(Claim::Wait { reason: "a claim that waits".to_owned(), retry_ms: 1 })
}

/// The log's own rules, apart from those that decided it.
fn check(log: &[Recorded], trouble: Trouble) {
    let mut state = State::empty("w");
    let (mut ended, mut succeeded) = (BTreeSet::new(), BTreeSet::new());
    for recorded in log {
        assert!(!state.phase.is_terminal(), "{trouble:?}: {recorded:?} after the end");
        match &recorded.event {
            Event::ActionStarted { index, attempt, .. } => {
                assert!(state.open.is_none(), "{trouble:?}: two attempts open at once");
                assert_eq!(*attempt, state.actions[*index as usize].attempt + 1, "{trouble:?}");
                let armed = !state.armed_on("node-1").is_empty();
                assert!(armed || *index == 0, "{trouble:?}: written before it was armed");
            }
            Event::ActionEnded { index, attempt, outcome, .. } => {
                assert!(ended.insert((*index, *attempt)), "{trouble:?}: counted twice");
                if *outcome == Outcome::Succeeded {
                    assert!(succeeded.insert(*index), "{trouble:?}: action {index} was done twice");
                }
            }
            _ => {}
        }
        state.apply(recorded);
    }
    assert_eq!(state.phase, Phase::Succeeded, "{trouble:?}: {log:#?}");
    assert_eq!(succeeded.len(), 3, "{trouble:?}");
}

/// How many calls the worker made, how many the store had, and the log.
async fn provision(trouble: Trouble) -> (usize, usize, Vec<Recorded>) {
    let mut run = Run::new(trouble).await;
    let mut steps = 0;
    while run.step().await {
        steps += 1;
        assert!(steps < 100, "{trouble:?}: it does not end");
    }
    let store_calls = run.world.store.calls();
    let log = run.log().await;
    check(&log, trouble);
    (run.calls, store_calls, log)
}

#[tokio::test]
async fn whatever_happens_at_whichever_step_each_action_comes_to_its_end_once() {
    let (calls, store_calls, clean) = provision(Trouble::None).await;
    assert!(calls >= 14 && store_calls >= 30, "{calls} calls, {store_calls} of the store");
    for step in 0..calls {
        for trouble in [Trouble::ServerRestarts(step), Trouble::Twice(step), Trouble::AnswerLost(step)] {
            let (_, _, log) = provision(trouble).await;
            let events = |log: &[Recorded]| log.iter().map(|entry| entry.event.clone()).collect::<Vec<_>>();
            assert_eq!(events(&log), events(&clean), "{trouble:?}: nobody sees it in the log");
        }
        for trouble in [Trouble::WorkerRestarts(step), Trouble::MachineRestarts(step)] {
            provision(trouble).await;
        }
    }
    for step in 0..store_calls {
        let (_, _, log) = provision(Trouble::Store(step)).await;
        assert_eq!(log.len(), clean.len(), "the store's call {step}");
    }
    for attempt in 0..3 {
        let (_, _, log) = provision(Trouble::Fails(attempt)).await;
        let hooks = log.iter().filter(|entry| matches!(entry.event, Event::HookEnded { .. })).count();
        assert_eq!(hooks, 1, "attempt {attempt}");
    }
}
