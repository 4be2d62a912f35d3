use serde_json::json;

use super::world::{World, hello, is_ours, later, new_workflow, report};
use crate::{
    clock::Clock as _,
    document::{Overwrite, WorkflowDocSpec},
    engine::{EngineError, NewWorkflow, log_name},
    journal::Journal as _,
    limits::{CLAIM_SECONDS, SESSION_SECONDS},
    session::{Claims, Use},
    source::Work,
    store::Store as _,
    timeline::Reason,
    workflow::{
        Assignment, Claim, Heartbeat, Hold, HookCause, HookStart, LogChunk, MachineAction, Outcome,
        Rejection, ServiceError, WorkflowService as _,
        fixtures::{action, declared, disk, failed, hardware, spec},
    },
};

#[tokio::test]
async fn a_machine_is_provisioned_action_by_action_and_told_to_restart() {
    let world = World::new();
    let engine = world.engine().await;
    assert!(engine.create(&new_workflow("w", spec())).await.unwrap());
    assert!(!engine.create(&new_workflow("w", spec())).await.unwrap(), "the same again");
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    assert!(is_ours(&session));
    for name in ["look", "wipe", "grub"] {
        let Claim::Run(assignment) = engine.claim(&session.token).await.unwrap() else { panic!("{name}") };
        assert_eq!(assignment.action, name);
        assert_eq!(assignment.digest, Some(format!("sha256:{name}:v3")));
        assert_eq!(assignment.writable.len(), usize::from(name != "look"));
        let again = engine.claim(&session.token).await.unwrap();
        assert_eq!(again, Claim::Run(assignment.clone()), "a lost answer is given again");
        let beat = engine.heartbeat(&session.token, "w", assignment.attempt).await.unwrap();
        assert_eq!(beat, Heartbeat::Continue);
        let done = report(&assignment, Outcome::Succeeded);
        assert!(!engine.report(&session.token, done.clone()).await.unwrap().repeated);
        assert!(engine.report(&session.token, done).await.unwrap().repeated);
        let beat = engine.heartbeat(&session.token, "w", assignment.attempt).await.unwrap();
        assert_eq!(beat, Heartbeat::Cancel, "it is over");
    }
    let end = Claim::Finish { workflow: "w".to_owned(), action: MachineAction::Reboot };
    assert_eq!(engine.claim(&session.token).await.unwrap(), end);
    assert_eq!(engine.claim(&session.token).await.unwrap(), end);
    assert_eq!(engine.status("w").unwrap().state, "Succeeded");
    assert_eq!(engine.index.work(&hardware()), Work::Idle);
    let expected = [
        "WorkflowState Pending",
        "OsieStarted",
        "WorkerConnected",
        "ActionStarted look",
        "ActionSucceeded look",
        "ActionStarted wipe",
        "ActionSucceeded wipe",
        "ActionStarted grub",
        "ActionSucceeded grub",
        "WorkflowState Succeeded",
        "Rebooted reboot",
    ];
    assert_eq!(world.timeline(), expected);
}

#[tokio::test]
async fn a_boot_token_is_good_for_one_boot_and_one_nonce() {
    let world = World::new();
    let engine = world.engine().await;
    engine.create(&new_workflow("w", spec())).await.unwrap();
    let token = world.token();
    let first = engine.hello(hello(&token, "boot-1")).await.unwrap();
    assert_eq!(engine.hello(hello(&token, "boot-1")).await.unwrap(), first, "a worker that was restarted");
    later(&world.clock, 100_000);
    assert!(is_ours(&engine.hello(hello(&token, "boot-1")).await.unwrap()), "however late");
    engine.tick().await;
    let stolen = engine.hello(hello(&token, "boot-2")).await;
    assert!(matches!(stolen, Err(ServiceError::Refused { reason: Reason::TokenUsed })), "{stolen:?}");
    assert_eq!(engine.state("w").unwrap().held, None, "it expired meanwhile, so nothing is there to hold");

    engine.create(&new_workflow("w2", spec())).await.unwrap();
    let token = world.token();
    let second = engine.hello(hello(&token, "boot-3")).await.unwrap();
    let replayed = engine.hello(hello(&token, "boot-4")).await;
    assert!(matches!(replayed, Err(ServiceError::Refused { reason: Reason::TokenUsed })));
    assert_eq!(engine.state("w2").unwrap().held, Some(Hold::TokenReused));
    assert!(world.timeline().contains(&"WorkerRefused token-used".to_owned()));
    let old = engine.claim(&first.token).await;
    assert!(
        matches!(old, Err(ServiceError::Refused { reason: Reason::BadToken })),
        "an earlier boot: {old:?}"
    );
    engine.release("w2").await.unwrap();
    assert!(matches!(engine.claim(&second.token).await.unwrap(), Claim::Run(_)));

    let unredeemed = world.token();
    later(&world.clock, 3601);
    for bad in [unredeemed.as_str(), "", "a.b", &second.token] {
        let refused = engine.hello(hello(bad, "boot-5")).await;
        assert!(matches!(refused, Err(ServiceError::Refused { reason: Reason::BadToken })), "{bad}");
    }
}

/// It names the very machine and Network that it could be good for, and opens nothing.
#[tokio::test]
async fn the_token_of_a_machine_that_nobody_declared_gets_no_session_and_no_work() {
    let world = World::new();
    let engine = world.engine().await;
    engine.create(&new_workflow("w", spec())).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    let Claim::Run(assignment) = engine.claim(&session.token).await.unwrap() else { panic!("no work") };
    for (hardware, bound) in [("node-1", "boot-1"), ("02:00:00:00:00:01", "lab")] {
        let expires = world.clock.now().as_second() + 60;
        let (hardware, bound) = (hardware.to_owned(), bound.to_owned());
        let claims = Claims { used_for: Use::Inventory, hardware, id: "0".repeat(32), bound, expires };
        let token = world.sealer.seal(&claims);
        let attempt = assignment.attempt;
        let (workflow, action) = ("w".to_owned(), "look".to_owned());
        let hook = HookStart { workflow, index: 0, action, attempt, cause: HookCause::OnFailure };
        let chunk =
            LogChunk { workflow: "w".into(), action: "look".into(), attempt, offset: 0, text: "x".into() };
        let answers = [
            engine.hello(hello(&token, "boot-1")).await.err(),
            engine.claim(&token).await.err(),
            engine.report(&token, report(&assignment, Outcome::Succeeded)).await.err(),
            engine.heartbeat(&token, "w", attempt).await.err(),
            engine.hook(&token, hook).await.err(),
            engine.log(&token, chunk).await.err(),
        ];
        for (n, error) in answers.into_iter().enumerate() {
            assert!(
                matches!(error, Some(ServiceError::Refused { reason: Reason::BadToken })),
                "call {n}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_claim_waits_and_is_woken_by_work() {
    let world = World::new();
    let engine = world.engine().await;
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    let waiting = engine.claim(&session.token);
    let create = async {
        tokio::task::yield_now().await;
        engine.create(&new_workflow("w", spec())).await.unwrap();
    };
    let (claim, ()) = futures_util::future::join(waiting, create).await;
    assert!(matches!(claim.unwrap(), Claim::Run(_)));

    engine.hold("w", Hold::TokenReused).await.unwrap();
    engine.cancel("w").await.unwrap();
    let waiting = engine.claim(&session.token);
    let wait = async {
        tokio::task::yield_now().await;
        later(&world.clock, CLAIM_SECONDS);
    };
    let (claim, ()) = futures_util::future::join(waiting, wait).await;
    assert!(matches!(claim.unwrap(), Claim::Wait { .. }));
}

#[tokio::test]
async fn a_stopped_workflow_waits_and_goes_on_when_it_is_retried() {
    let world = World::new();
    let engine = world.engine().await;
    engine.create(&new_workflow("w", spec())).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    let Claim::Run(assignment) = engine.claim(&session.token).await.unwrap() else { panic!() };
    engine.report(&session.token, report(&assignment, failed("no"))).await.unwrap();
    let other = engine.create(&new_workflow("w2", spec())).await;
    assert!(matches!(other, Err(EngineError::Rejected(Rejection::Busy { .. }))), "{other:?}");
    let waiting = engine.claim(&session.token);
    let wait = async {
        tokio::task::yield_now().await;
        later(&world.clock, CLAIM_SECONDS)
    };
    let (claim, _) = futures_util::future::join(waiting, wait).await;
    let Claim::Wait { reason, .. } = claim.unwrap() else { panic!() };
    assert!(reason.contains("look: no") && reason.contains("bootcode retry w"), "{reason}");
    engine.retry("w", None).await.unwrap();
    let Claim::Run(assignment) = engine.claim(&session.token).await.unwrap() else { panic!() };
    assert_eq!((assignment.action.as_str(), assignment.attempt), ("look", 2));
    engine.cancel("w").await.unwrap();
    engine.report(&session.token, report(&assignment, Outcome::Cancelled)).await.unwrap();
    assert!(engine.create(&new_workflow("w2", spec())).await.unwrap(), "the machine is free again");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named_and_no_attempt_is_lost() {
    let world = World::new();
    let engine = world.engine().await;
    let mut spec = spec();
    spec.tasks[0].actions = vec![action("missing")];
    engine.create(&new_workflow("w", spec)).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    let Claim::Wait { reason, .. } = engine.claim(&session.token).await.unwrap() else { panic!() };
    assert!(reason.contains("image missing:v3 is not in the server's images"), "{reason}");
    assert_eq!(engine.status("w").unwrap().actions[0].attempt, 0);
}

#[tokio::test]
async fn a_log_is_kept_once_whatever_is_repeated() {
    let world = World::new();
    let engine = world.engine().await;
    engine.create(&new_workflow("w", spec())).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    engine.claim(&session.token).await.unwrap();
    let chunk = |offset, text: &str| LogChunk {
        workflow: "w".to_owned(),
        action: "look".to_owned(),
        attempt: 1,
        offset,
        text: text.to_owned(),
    };
    let cases =
        [(0, "one\n", 4), (0, "one\n", 4), (4, "two\n", 8), (0, "one\ntwo\nthree\n", 14), (4, "two\n", 14)];
    for (offset, text, expected) in cases {
        assert_eq!(
            engine.log(&session.token, chunk(offset, text)).await.unwrap(),
            expected,
            "{offset} {text}"
        );
    }
    assert_eq!(world.journal.read("log/w/look/1", 0, 100).await.unwrap(), b"one\ntwo\nthree\n");
    assert_eq!(engine.log(&session.token, chunk(20, "end")).await.unwrap(), 23, "six bytes were lost");
    assert_eq!(world.journal.len("log/w/look/1").await.unwrap(), 23);
    let foreign = LogChunk { action: "../other".to_owned(), ..chunk(0, "x") };
    assert!(engine.log(&session.token, foreign).await.is_err());
    let later = LogChunk { attempt: 2, ..chunk(0, "x") };
    assert!(engine.log(&session.token, later).await.is_err(), "no such attempt yet");
}

#[tokio::test]
async fn a_directory_never_overwrites_and_a_restored_store_holds() {
    let world = World::new();
    let engine = world.engine().await;
    let any = NewWorkflow {
        declared: WorkflowDocSpec { overwrite: Overwrite::Any, ..declared() },
        from_directory: true,
        ..new_workflow("w", spec())
    };
    let refused = engine.create(&any).await;
    assert!(matches!(refused, Err(EngineError::Rejected(Rejection::OverwriteFromDirectory { .. }))));
    engine.create(&new_workflow("w", spec())).await.unwrap();
    assert_eq!(engine.hold_all(&Hold::RestoredStore).await.unwrap(), 1);
    assert_eq!(engine.status("w").unwrap().state, "Held");
    assert_eq!(engine.index.work(&hardware()), Work::Idle);
    assert_eq!(engine.release("w").await.unwrap().state, "Pending");
    assert!(engine.release("w").await.is_err(), "it is not held");
}

#[tokio::test]
async fn deadlines_are_enforced_beside_the_engine() {
    let world = World::new();
    let engine = world.engine().await;
    engine.create(&new_workflow("w", spec())).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    engine.claim(&session.token).await.unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let watch = async {
        for _ in 0..2000 {
            if engine.status("w").unwrap().state == "TimedOut" {
                break;
            }
            later(&world.clock, 1);
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    futures_util::future::join(engine.run(cancel.clone()), watch).await;
    assert_eq!(engine.status("w").unwrap().state, "TimedOut");
}

#[tokio::test]
async fn what_another_server_writes_is_followed() {
    let world = World::new();
    let (engine, other) = (world.engine().await, world.engine().await);
    let cancel = tokio_util::sync::CancellationToken::new();
    let write = async {
        other.create(&new_workflow("w", spec())).await.unwrap();
        while engine.status("w").is_none() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    futures_util::future::join(engine.run(cancel.clone()), write).await;
    other.cancel("w").await.unwrap();
    assert!(
        matches!(engine.retry("w", None).await, Err(EngineError::Rejected(_))),
        "decided on what is stored"
    );
    assert_eq!(engine.status("w").unwrap().state, "Cancelled");
}

#[tokio::test]
async fn a_disk_that_was_written_in_this_boot_is_looked_at_anew_before_another_workflow_writes_it() {
    let world = World::new();
    let engine = world.engine().await;
    let mut first = spec();
    first.on_success = MachineAction::Stay;
    engine.create(&new_workflow("w", first)).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    while let Claim::Run(assignment) = engine.claim(&session.token).await.unwrap() {
        engine.report(&session.token, report(&assignment, Outcome::Succeeded)).await.unwrap();
        if assignment.action == "grub" {
            break;
        }
    }
    assert_eq!(engine.status("w").unwrap().state, "Succeeded");

    engine.create(&new_workflow("w2", spec())).await.unwrap();
    let restart = Claim::Finish { workflow: "w".to_owned(), action: MachineAction::Reboot };
    assert_eq!(engine.claim(&session.token).await.unwrap(), restart, "what it found is out of date");
    assert!(matches!(engine.index.work(&hardware()), Work::Provision { .. }), "it comes back into OSIE");

    let mut again = hello(&world.token(), "boot-2");
    again.inventory.disks[0] = disk("/dev/vda", "A", "gpt");
    let session = engine.hello(again).await.unwrap();
    let wait = async {
        tokio::task::yield_now().await;
        later(&world.clock, CLAIM_SECONDS)
    };
    futures_util::future::join(engine.claim(&session.token), wait).await.0.unwrap();
    let held = engine.state("w2").unwrap().held.clone();
    assert!(matches!(held, Some(Hold::DiskNotBlank { .. })), "{held:?}");
}

#[tokio::test]
async fn a_machine_that_waits_longer_than_a_session_lasts_gets_another() {
    let world = World::new();
    let engine = world.engine().await;
    let token = world.token();
    let first = engine.hello(hello(&token, "boot-1")).await.unwrap();
    later(&world.clock, SESSION_SECONDS + 1);
    let refused = engine.claim(&first.token).await;
    assert!(matches!(refused, Err(ServiceError::Refused { reason: Reason::BadToken })), "{refused:?}");
    let second = engine.hello(hello(&token, "boot-1")).await.unwrap();
    engine.create(&new_workflow("w", spec())).await.unwrap();
    assert!(matches!(engine.claim(&second.token).await.unwrap(), Claim::Run(_)));
}

#[tokio::test]
async fn an_actions_secret_is_read_when_it_is_handed_out_and_stands_nowhere_else() {
    let world = World::new();
    let engine = world.engine().await;
    let mut spec = spec();
    let variable = |reference: &str| serde_json::from_value(json!({"secretRef": reference})).unwrap();
    spec.tasks[0].actions[0].environment =
        [("PLAIN".to_owned(), "text".into()), ("PASSWORD".to_owned(), variable("site/root"))].into();
    engine.create(&new_workflow("w", spec)).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    let Claim::Wait { reason, .. } = engine.claim(&session.token).await.unwrap() else { panic!() };
    assert_eq!(reason, "workflow w: secret site/root cannot be read: the file is not there");
    assert_eq!(engine.status("w").unwrap().state, "Pending", "no attempt began, nothing failed");
    world.secrets.set("site/root", "hunter2");
    let Claim::Run(assignment) = engine.claim(&session.token).await.unwrap() else { panic!() };
    assert_eq!(assignment.attempt, 1);
    assert_eq!(assignment.environment, [("PLAIN".to_owned(), "text".to_owned())].into());
    assert_eq!(assignment.secrets["PASSWORD"].reveal(), "hunter2");
    let json = serde_json::to_string(&assignment).unwrap();
    assert_eq!(serde_json::from_str::<Assignment>(&json).unwrap(), *assignment, "as it goes over HTTP");
    let log = world.store.read(&log_name("w"), 1).await.unwrap();
    let printed = [
        format!("{assignment:?}"),
        format!("{log:?}"),
        format!("{:?}", engine.state("w")),
        serde_json::to_string(&engine.status("w")).unwrap(),
        world.timeline().join(" "),
    ];
    for text in printed {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(format!("{log:?}").contains("site/root"));
}

#[tokio::test]
async fn the_status_says_when_a_worker_was_last_heard_of_and_why_nothing_is_handed_out() {
    let world = World::new();
    let engine = world.engine().await;
    let mut spec = spec();
    spec.tasks[0].actions.insert(0, action("missing"));
    engine.create(&new_workflow("w", spec)).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    engine.claim(&session.token).await.unwrap();
    let reason = engine.status("w").unwrap().reason.unwrap();
    assert!(reason.starts_with("image missing:v3 is not in"), "{reason}");
    assert_eq!(engine.status("w").unwrap().last_heard, None, "no attempt is under way");

    let engine = world.engine().await;
    engine.create(&new_workflow("other", fixtures_of("look"))).await.unwrap();
    let Claim::Run(run) = engine.claim(&session.token).await.unwrap() else { panic!() };
    assert_eq!(run.workflow, "other", "what one workflow waits for holds up no other");
    let heard = later(&world.clock, 7);
    engine.heartbeat(&session.token, "other", 1).await.unwrap();
    later(&world.clock, 60);
    assert_eq!(engine.status("other").unwrap().last_heard, Some(heard), "60 s of silence show");
    let restarted = world.engine().await;
    assert_eq!(restarted.status("other").unwrap().last_heard, None, "nobody spoke since the server's start");
    engine.report(&session.token, report(&run, Outcome::Succeeded)).await.unwrap();
    assert_eq!(engine.status("other").unwrap().last_heard, None);
}

/// One action that writes no disk.
fn fixtures_of(name: &str) -> crate::template::WorkflowSpec {
    let mut spec = spec();
    spec.tasks[0].actions = vec![crate::template::ActionSpec { volumes: Vec::new(), ..action(name) }];
    spec
}

#[tokio::test]
async fn a_claim_that_waits_is_woken_by_its_own_machines_workflows() {
    let world = World::new();
    let engine = world.engine().await;
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    let created = async {
        tokio::task::yield_now().await;
        engine.create(&new_workflow("w", spec())).await.unwrap();
    };
    let (claim, ()) = futures_util::future::join(engine.claim(&session.token), created).await;
    assert!(matches!(claim.unwrap(), Claim::Run(_)), "without waiting for its time to be over");
}

#[tokio::test]
async fn a_tick_looks_at_what_is_due_and_at_nothing_else() {
    let world = World::new();
    let engine = world.engine().await;
    for name in ["a", "b"] {
        engine.create(&new_workflow(name, fixtures_of("look"))).await.unwrap();
    }
    engine
        .create(&NewWorkflow {
            declared: WorkflowDocSpec { expires: std::time::Duration::from_secs(60), ..declared() },
            ..new_workflow("soon", fixtures_of("look"))
        })
        .await
        .unwrap();
    assert_eq!(engine.index.due(later(&world.clock, 59)), [""; 0]);
    assert_eq!(engine.index.due(later(&world.clock, 1)), ["soon"]);
    engine.tick().await;
    assert_eq!(engine.status("soon").unwrap().state, "Expired");
    assert_eq!(engine.index.due(later(&world.clock, 10)), [""; 0]);
    engine.cancel("a").await.unwrap();
    assert_eq!(engine.index.due(later(&world.clock, 4000)), ["b"], "what has ended is never due");
}
