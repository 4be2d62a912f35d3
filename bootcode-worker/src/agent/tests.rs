//! Tables: what happens, and what follows.

use std::{collections::BTreeMap, time::Duration};

use bootcode_core::{
    secret::Secret,
    timeline::Reason,
    workflow::{
        Assignment, Claim, FailureReason, Heartbeat, HookCause, MachineAction, Namespaces, Outcome, Outputs,
        Report, ReportAck, ServiceError, Session,
    },
};

use super::{Agent, AttemptKey, Effect, Ending, Input};
use crate::runtime::{Exit, Finished};

pub(crate) fn assignment(action: &str) -> Assignment {
    Assignment {
        workflow: "install-node-1".into(),
        task: "os".into(),
        action: action.into(),
        index: 0,
        attempt: 1,
        image: format!("{action}:v3"),
        digest: Some(format!("sha256:{}", "a".repeat(64))),
        command: vec![],
        environment: BTreeMap::new(),
        secrets: BTreeMap::new(),
        volumes: vec![],
        namespaces: Namespaces::default(),
        timeout_ms: 90_000,
        pull_timeout_ms: 600_000,
        on_failure: None,
        on_timeout: None,
        writable: vec![],
        outputs: vec![],
        metadata_token: Secret::new("t".to_owned()),
    }
}

fn session() -> Session {
    Session { token: "s".into(), hardware: "node-1".into(), heartbeat_ms: 5_000 }
}

fn away<T>() -> Result<T, ServiceError> {
    Err(ServiceError::Unavailable { message: "connection refused".into() })
}

fn refused<T>() -> Result<T, ServiceError> {
    Err(ServiceError::Refused { reason: Reason::BadToken })
}

fn ended(exit: Exit) -> Input {
    let ran = Duration::from_millis(1500);
    Input::Ended { result: Ok(Finished { exit, ran }), tail: "one\nno disk\n".into(), outputs: Ok(None) }
}

/// An agent with a clock of its own.
struct World {
    agent: Agent,
    now: Duration,
}

impl World {
    fn new() -> Self {
        Self { agent: Agent::new(), now: Duration::ZERO }
    }

    /// What follows, without what is only said.
    fn on(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.agent.handle(input, self.now);
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Say(_))).collect()
    }

    /// Goes on to the next wake.
    fn wake(&mut self) -> Vec<Effect> {
        self.now = self.agent.next_wake().expect("something is due");
        self.on(Input::Woke)
    }

    fn claiming() -> Self {
        let mut world = Self::new();
        assert_eq!(world.on(Input::Started { spooled: vec![] }), [Effect::Hello]);
        assert_eq!(world.on(Input::Greeted(Ok(session()))), [Effect::Claim]);
        world
    }

    fn running(assignment: Assignment) -> Self {
        let mut world = Self::claiming();
        let claim = Claim::Run(Box::new(assignment.clone()));
        let [Effect::Intend(intent)] = &world.on(Input::Claimed(Ok(claim)))[..] else {
            panic!("the intent first")
        };
        assert!(matches!(intent.outcome, Outcome::Failed { reason: FailureReason::WorkerRestarted, .. }));
        let assignment = Box::new(assignment);
        assert_eq!(world.on(Input::Intended(Ok(()))), [Effect::Protect(assignment.clone())]);
        assert_eq!(world.on(Input::Protected(Ok(()))), [Effect::Pull(assignment.clone())]);
        let effects = world.on(Input::Pulled(Ok(())));
        assert!(
            matches!(&effects[..], [Effect::Run { hook: None, limit, .. }] if limit.as_secs() == 90),
            "{effects:?}"
        );
        world
    }

    /// Gives the answer to `Conclude` and expects the report.
    fn concluded(&mut self, effects: &[Effect]) -> Report {
        let [Effect::Conclude { report, .. }] = effects else { panic!("a conclusion: {effects:?}") };
        let next = self.on(Input::Concluded { report: report.clone(), spooled: Ok(()) });
        assert_eq!(next, [Effect::Report(report.clone())]);
        (**report).clone()
    }
}

#[test]
fn every_end_of_a_container_has_its_outcome() {
    let failed = |reason, exit: i32, message: &str| Outcome::Failed {
        reason,
        exit: Some(exit),
        message: message.into(),
        tail: "one\nno disk\n".into(),
    };
    for (exit, outcome) in [
        (Exit::Status(0), Outcome::Succeeded),
        (Exit::Status(7), failed(FailureReason::ExitStatus, 7, "no disk")),
        (Exit::Signal(9), failed(FailureReason::Signal, 137, "ended by signal 9")),
        (Exit::TimedOut, Outcome::TimedOut { tail: "one\nno disk\n".into() }),
        (Exit::Cancelled, Outcome::Cancelled),
    ] {
        let mut world = World::running(assignment("wipe"));
        let effects = world.on(ended(exit));
        let report = world.concluded(&effects);
        assert_eq!((report.outcome, report.ran_ms), (outcome, 1500), "{exit}");
        let next = world.on(Input::Reported(Ok(ReportAck { repeated: false })));
        assert_eq!(next, [Effect::Forget(AttemptKey::of(&assignment("wipe"))), Effect::Claim]);
    }
}

#[test]
fn a_fault_before_the_container_is_reported_with_its_step() {
    type Case = (&'static str, Vec<Input>, FailureReason);
    let cases: [Case; 3] = [
        ("disks", vec![Input::Protected(Err("x".into()))], FailureReason::DiskProtection),
        ("image", vec![Input::Protected(Ok(())), Input::Pulled(Err("x".into()))], FailureReason::ImagePull),
        (
            "start",
            vec![
                Input::Protected(Ok(())),
                Input::Pulled(Ok(())),
                Input::Ended { result: Err("x".into()), tail: String::new(), outputs: Ok(None) },
            ],
            FailureReason::ContainerStart,
        ),
    ];
    for (name, inputs, expected) in cases {
        let mut world = World::claiming();
        world.on(Input::Claimed(Ok(Claim::Run(Box::new(assignment("wipe"))))));
        world.on(Input::Intended(Ok(())));
        let mut effects = vec![];
        for input in inputs {
            effects = world.on(input);
        }
        let report = world.concluded(&effects);
        assert!(
            matches!(&report.outcome, Outcome::Failed { reason, exit: None, .. } if *reason == expected),
            "{name}"
        );
    }
}

#[test]
fn nothing_runs_when_disks_are_not_protected() {
    let mut world = World::claiming();
    world.on(Input::Claimed(Ok(Claim::Run(Box::new(assignment("wipe"))))));
    world.on(Input::Intended(Err("disk full".into())));
    let effects = world.on(Input::Protected(Err("vdb ignored it".into())));
    assert!(matches!(effects[..], [Effect::Conclude { .. }]), "{effects:?}");
}

#[test]
fn an_attempt_that_died_with_its_worker_is_reported_before_anything_else() {
    let world = World::running(assignment("wipe"));
    let intent = world.agent.attempt.as_ref().unwrap().intent();
    let mut world = World::new();
    world.on(Input::Started { spooled: vec![(*intent).clone()] });
    assert_eq!(world.on(Input::Greeted(Ok(session()))), [Effect::Report(intent.clone())]);
    assert_eq!(world.on(Input::Reported(away())), []);
    assert_eq!(world.wake(), [Effect::Report(intent)]);
    let next = world.on(Input::Reported(Ok(ReportAck { repeated: true })));
    assert!(matches!(next[..], [Effect::Forget(_), Effect::Claim]), "{next:?}");
}

#[test]
fn calls_are_tried_for_ever_with_growing_pauses() {
    let mut world = World::new();
    world.on(Input::Started { spooled: vec![] });
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let before = world.now;
        assert_eq!(world.on(Input::Greeted(away())), []);
        assert_eq!(world.wake(), [Effect::Hello]);
        pauses.push((world.now - before).as_millis());
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    assert_eq!(world.on(Input::Greeted(Ok(session()))), [Effect::Claim]);
    assert_eq!(world.on(Input::Claimed(away())), []);
    assert_eq!(world.agent.next_wake(), Some(world.now + Duration::from_millis(500)));
}

#[test]
fn the_container_goes_on_while_the_server_is_away() {
    let mut world = World::running(assignment("wipe"));
    let key = AttemptKey::of(&assignment("wipe"));
    for _ in 0..50 {
        assert_eq!(world.wake(), [Effect::Heartbeat(key.clone())]);
        assert_eq!(world.on(Input::Heartbeat { of: key.clone(), answer: away() }), []);
    }
    assert_eq!(world.now, Duration::from_secs(250));
    let effects = world.on(ended(Exit::Status(0)));
    assert_eq!(world.concluded(&effects).outcome, Outcome::Succeeded);
    assert_eq!(world.on(Input::Reported(away())), []);
    assert!(matches!(world.wake()[..], [Effect::Report(_)]));
}

#[test]
fn a_heartbeat_that_says_stop_kills_the_container() {
    for answer in [
        Ok(Heartbeat::Cancel),
        Err(ServiceError::StaleAttempt { workflow: "w".into(), action: "a".into(), attempt: 1 }),
    ] {
        let mut world =
            World::running(Assignment { on_failure: Some(vec!["x".into()]), ..assignment("wipe") });
        let key = AttemptKey::of(&assignment("wipe"));
        world.wake();
        assert_eq!(world.on(Input::Heartbeat { of: key, answer }), [Effect::Kill]);
        let effects = world.on(ended(Exit::Cancelled));
        assert_eq!(world.concluded(&effects).outcome, Outcome::Cancelled);
    }
}

#[test]
fn a_stop_while_the_image_is_pulled_starts_no_container() {
    let mut world = World::claiming();
    world.on(Input::Claimed(Ok(Claim::Run(Box::new(assignment("wipe"))))));
    world.on(Input::Intended(Ok(())));
    world.on(Input::Protected(Ok(())));
    let key = AttemptKey::of(&assignment("wipe"));
    world.wake();
    assert_eq!(world.on(Input::Heartbeat { of: key, answer: Ok(Heartbeat::Cancel) }), [Effect::Kill]);
    let effects = world.on(Input::Pulled(Ok(())));
    assert_eq!(world.concluded(&effects).outcome, Outcome::Cancelled);
}

#[test]
fn the_answer_about_an_earlier_attempt_stops_nothing() {
    let mut world = World::running(assignment("wipe"));
    let of = AttemptKey { attempt: 9, ..AttemptKey::of(&assignment("wipe")) };
    assert_eq!(world.on(Input::Heartbeat { of, answer: Ok(Heartbeat::Cancel) }), []);
}

#[test]
fn hooks_run_after_their_own_kind_of_end_and_do_not_change_it() {
    let hooks = || Assignment {
        on_failure: Some(vec!["failed".into()]),
        on_timeout: Some(vec!["late".into()]),
        ..assignment("wipe")
    };
    for (exit, command) in [
        (Exit::Status(0), None),
        (Exit::Status(1), Some("failed")),
        (Exit::Signal(6), Some("failed")),
        (Exit::TimedOut, Some("late")),
    ] {
        let mut world = World::running(hooks());
        let mut effects = world.on(ended(exit));
        if let Some(command) = command {
            let [Effect::Intend(kept)] = &effects[..] else { panic!("kept before the hook: {effects:?}") };
            let kept = kept.clone();
            let run = world.on(Input::Intended(Ok(())));
            let [Effect::TellHook(start), Effect::Run { hook: Some(hook), .. }] = &run[..] else {
                panic!("the hook: {run:?}")
            };
            let cause = if command == "late" { HookCause::OnTimeout } else { HookCause::OnFailure };
            assert_eq!((start.cause, start.attempt), (cause, 1));
            assert_eq!(hook, &[command.to_owned()]);
            effects = world.on(ended(Exit::Status(1)));
            let report = world.concluded(&effects);
            let killed = kept.hook.clone().unwrap();
            assert_eq!((killed.exit, killed.message.contains("restarted")), (None, true), "if it dies now");
            assert_eq!(report.hook.as_ref().unwrap().exit, Some(1));
            assert_eq!(Report { hook: kept.hook.clone(), ..report }, *kept, "its outcome is the same");
        } else {
            assert_eq!(world.concluded(&effects).outcome, Outcome::Succeeded);
        }
    }
}

#[test]
fn outputs_that_cannot_be_kept_fail_the_action_and_run_its_hook() {
    let outputs: Outputs = [("disk".to_owned(), "a".into())].into_iter().collect();
    let finished = |outputs| Input::Ended {
        result: Ok(Finished { exit: Exit::Status(0), ran: Duration::ZERO }),
        tail: String::new(),
        outputs,
    };
    let mut world = World::running(assignment("wipe"));
    let effects = world.on(finished(Ok(Some(outputs.clone()))));
    assert_eq!(world.concluded(&effects).outputs.as_deref(), Some(&outputs));
    let mut world = World::running(Assignment { on_failure: Some(vec!["f".into()]), ..assignment("wipe") });
    let effects = world.on(finished(Err("outputs.json is a symbolic link".into())));
    let [Effect::Intend(kept)] = &effects[..] else { panic!("{effects:?}") };
    let Outcome::Failed { reason, message, .. } = &kept.outcome else { panic!("{kept:?}") };
    assert_eq!((*reason, message.as_str()), (FailureReason::Outputs, "outputs.json is a symbolic link"));
    assert!(kept.hook.is_some() && kept.outputs.is_none());
}

#[test]
fn a_report_from_an_old_attempt_is_dropped_and_work_goes_on() {
    let mut world = World::running(assignment("wipe"));
    let effects = world.on(ended(Exit::Status(0)));
    let report = world.concluded(&effects);
    let stale = ServiceError::StaleAttempt { workflow: "w".into(), action: "a".into(), attempt: 1 };
    let next = world.on(Input::Reported(Err(stale)));
    assert_eq!(next, [Effect::Forget(AttemptKey::of_report(&report)), Effect::Claim]);
}

#[test]
fn a_refused_hello_ends_the_worker() {
    let mut world = World::new();
    world.on(Input::Started { spooled: vec![] });
    let effects = world.on(Input::Greeted(refused()));
    assert!(matches!(&effects[..], [Effect::Exit(Ending::Refused { .. })]), "{effects:?}");
}

#[test]
fn a_session_that_was_good_is_opened_again_once() {
    let mut world = World::claiming();
    world.on(Input::Claimed(Ok(Claim::Wait { reason: "held".into(), retry_ms: 1000 })));
    assert_eq!(world.wake(), [Effect::Claim]);
    assert_eq!(world.on(Input::Claimed(refused())), [Effect::Hello]);
    assert_eq!(world.on(Input::Greeted(Ok(session()))), [Effect::Claim]);
    let effects = world.on(Input::Claimed(refused()));
    assert!(matches!(&effects[..], [Effect::Exit(Ending::Refused { .. })]), "{effects:?}");
}

#[test]
fn a_refusal_for_good_stops_the_container_first() {
    let mut world = World::running(assignment("wipe"));
    let key = AttemptKey::of(&assignment("wipe"));
    world.wake();
    assert_eq!(world.on(Input::Heartbeat { of: key, answer: refused() }), [Effect::Hello]);
    assert_eq!(world.on(Input::Greeted(refused())), [Effect::Kill]);
    let effects = world.on(ended(Exit::Cancelled));
    let [Effect::Conclude { report, .. }] = &effects[..] else { panic!("{effects:?}") };
    let effects = world.on(Input::Concluded { report: report.clone(), spooled: Ok(()) });
    assert!(matches!(&effects[..], [Effect::Exit(Ending::Refused { .. })]), "{effects:?}");
}

#[test]
fn a_new_session_in_the_middle_of_an_attempt_leaves_it_alone() {
    let mut world = World::running(assignment("wipe"));
    let key = AttemptKey::of(&assignment("wipe"));
    world.wake();
    assert_eq!(world.on(Input::Heartbeat { of: key, answer: refused() }), [Effect::Hello]);
    assert_eq!(world.on(Input::Greeted(Ok(session()))), []);
    let effects = world.on(ended(Exit::Status(0)));
    assert_eq!(world.concluded(&effects).outcome, Outcome::Succeeded);
}

#[test]
fn the_machine_goes_down_only_when_everything_is_acknowledged() {
    let mut world = World::claiming();
    let finish = |action| Claim::Finish { workflow: "w".into(), action };
    assert_eq!(world.on(Input::Claimed(Ok(finish(MachineAction::Stay)))), []);
    assert_eq!(world.wake(), [Effect::Claim]);
    let effects = world.on(Input::Claimed(Ok(finish(MachineAction::Reboot))));
    assert_eq!(effects, [Effect::Finish { workflow: "w".into(), action: MachineAction::Reboot }]);
    assert_eq!(world.agent.next_wake(), None);
    assert_eq!(world.on(Input::Finished(Err("not ours".into()))), []);
    assert_eq!(world.wake(), [Effect::Claim]);
}

#[test]
fn a_stop_kills_and_leaves_the_intent_for_the_next_worker() {
    let mut world = World::running(assignment("wipe"));
    assert_eq!(world.on(Input::Stop), [Effect::Kill]);
    assert_eq!(world.on(ended(Exit::Cancelled)), [Effect::Exit(Ending::Stopped)]);
    let mut idle = World::claiming();
    assert_eq!(idle.on(Input::Stop), [Effect::Exit(Ending::Stopped)]);
}

#[test]
fn a_stop_while_an_outcome_is_written_waits_for_it() {
    let mut world = World::running(assignment("wipe"));
    let effects = world.on(ended(Exit::Status(0)));
    let [Effect::Conclude { report, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(world.on(Input::Stop), []);
    let effects = world.on(Input::Concluded { report: report.clone(), spooled: Ok(()) });
    assert_eq!(effects, [Effect::Exit(Ending::Stopped)]);
}

#[test]
fn a_server_that_asks_for_odd_pauses_gets_bounded_ones() {
    for (retry_ms, expected) in [(0, 200), (1000, 1000), (u64::MAX, 300_000)] {
        let mut world = World::claiming();
        world.on(Input::Claimed(Ok(Claim::Wait { reason: "held".into(), retry_ms })));
        assert_eq!(world.agent.next_wake(), Some(Duration::from_millis(expected)));
    }
}

proptest::proptest! {
    /// Whatever comes in whatever order, the agent neither panics nor runs two things at once.
    #[test]
    fn any_order_of_inputs_is_survived(choices in proptest::collection::vec(0_u8..24, 0..200)) {
        let mut agent = Agent::new();
        let mut now = Duration::ZERO;
        let key = AttemptKey::of(&assignment("wipe"));
        for choice in choices {
            now += Duration::from_millis(700);
            let report = agent.attempt.as_ref().map(super::attempt::Attempt::intent);
            let input = match choice {
                0 => Input::Started { spooled: vec![] },
                1 => Input::Greeted(Ok(session())),
                2 => Input::Greeted(away()),
                3 => Input::Claimed(Ok(Claim::Run(Box::new(assignment("wipe"))))),
                4 => Input::Claimed(away()),
                5 => Input::Reported(Ok(ReportAck { repeated: false })),
                6 => Input::Reported(refused()),
                7 => Input::Heartbeat { of: key.clone(), answer: Ok(Heartbeat::Cancel) },
                8 => Input::Heartbeat { of: key.clone(), answer: refused() },
                9 | 10 => Input::Intended(Ok(())),
                11 | 12 => Input::Protected(Ok(())),
                13 | 14 => Input::Pulled(Ok(())),
                15 | 16 => ended(Exit::Status(1)),
                17 | 18 => match report {
                    Some(report) => Input::Concluded { report, spooled: Ok(()) },
                    None => Input::Woke,
                },
                19 => Input::Finished(Ok(())),
                20 => Input::Claimed(refused()),
                21 => Input::Heartbeat { of: key.clone(), answer: Ok(Heartbeat::Continue) },
                _ => Input::Woke,
            };
            let effects = agent.handle(input, now);
            let starts = effects.iter().filter(|effect| matches!(effect, Effect::Run { .. } | Effect::Pull(_))).count();
            proptest::prop_assert!(starts <= 1);
        }
    }
}
