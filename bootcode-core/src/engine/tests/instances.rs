use super::world::{Fault, World, hello, later, new_workflow, report};
use crate::{
    document::{Overwrite, WorkflowDocSpec},
    engine::{Engine, NewWorkflow},
    source::{CalledHome, InstanceStore as _, SourceError},
    workflow::{
        Claim, Outcome, WorkflowService as _,
        fixtures::{at, declared, hardware, spec},
    },
};

async fn id(engine: &Engine) -> String {
    engine.instance_id(&hardware()).await.unwrap()
}

/// Runs a workflow to its end; the ids that metadata told while each of its actions ran.
async fn run(world: &World, engine: &Engine, workflow: &NewWorkflow) -> Vec<String> {
    engine.create(workflow).await.unwrap();
    let boot = format!("boot of {}", workflow.name);
    let session = engine.hello(hello(&world.token(), &boot)).await.unwrap();
    let mut told = Vec::new();
    while let Claim::Run(assignment) = engine.claim(&session.token).await.unwrap() {
        told.push(id(engine).await);
        engine.report(&session.token, report(&assignment, Outcome::Succeeded)).await.unwrap();
    }
    told
}

#[tokio::test]
async fn an_instance_lasts_from_its_first_writing_action_to_the_next_one_s() {
    let world = World::new();
    let mut engine = world.engine().await;
    assert_eq!(id(&engine).await, "i-node-1");
    let again = |name: &str| NewWorkflow {
        declared: WorkflowDocSpec { overwrite: Overwrite::Any, ..declared() },
        ..new_workflow(name, spec())
    };
    let first = run(&world, &engine, &again("first")).await;
    let one = id(&engine).await;
    assert_eq!(first, ["i-node-1", &one, &one], "`look` writes nothing, `wipe` does");
    assert_eq!(one, "i-node-1-1-00000000");

    engine = world.engine().await;
    assert_eq!(id(&engine).await, one, "the same over a restart of the server");
    let mut looks = spec();
    looks.tasks[0].actions.truncate(1);
    run(&world, &engine, &new_workflow("looks", looks)).await;
    assert_eq!(id(&engine).await, one, "a workflow that writes nothing installs nothing");

    engine.create(&again("second")).await.unwrap();
    assert_eq!(id(&engine).await, one, "the system that is there goes on until it is written over");
    let second = run(&world, &engine, &again("second")).await;
    let two = id(&engine).await;
    assert_eq!(second, [&*one, &two, &two]);

    // A clock that was set back makes the newest installation look like the oldest one.
    world.clock.set(at(-5_000));
    run(&world, &engine, &again("third")).await;
    let three = id(&engine).await;
    assert!(![&*one, &*two, "i-node-1"].contains(&&*three), "{three}");
    engine = world.engine().await;
    assert_eq!(id(&engine).await, three, "and an id that was never comes back");
}

#[tokio::test]
async fn a_call_home_marks_its_own_instance_installed_and_no_other() {
    let world = World::new();
    let mut engine = world.engine().await;
    run(&world, &engine, &new_workflow("first", spec())).await;
    let one = id(&engine).await;
    let call = |instance: &str, keys: &[&str]| CalledHome {
        instance: instance.to_owned(),
        host_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let installed = async |engine: &Engine| engine.machine_status("node-1").await.unwrap();
    assert_eq!((installed(&engine).await.state, installed(&engine).await.instance), (None, one.clone()));

    let machine = hardware();
    assert!(engine.called_home(&machine, &call(&one, &["ssh-ed25519 AAAA"])).await.unwrap());
    let first = installed(&engine).await;
    assert_eq!(first.state.as_deref(), Some("Installed"));
    assert_eq!((first.phoned_home, first.host_keys.len()), (Some(at(0)), 1));
    later(&world.clock, 60);
    let commits = world.store.commits();
    for keys in [&["ssh-ed25519 AAAA"][..], &[]] {
        assert!(engine.called_home(&machine, &call(&one, keys)).await.unwrap());
    }
    assert_eq!(
        (installed(&engine).await, world.store.commits()),
        (first.clone(), commits),
        "again is nothing new"
    );
    assert!(engine.called_home(&machine, &call(&one, &["ssh-rsa BBBB"])).await.unwrap());
    assert_eq!(installed(&engine).await.host_keys, ["ssh-rsa BBBB"], "new keys are");
    assert_eq!(installed(&engine).await.phoned_home, Some(at(0)));
    for other in ["i-node-1", "i-node-1-2-00000000", ""] {
        assert!(!engine.called_home(&machine, &call(other, &[])).await.unwrap(), "{other}");
    }
    engine = world.engine().await;
    assert_eq!(installed(&engine).await.state.as_deref(), Some("Installed"), "over a restart");
    assert_eq!(engine.machine_statuses(&["none", "node-1"]).await.unwrap()[1], installed(&engine).await);

    let again = NewWorkflow {
        declared: WorkflowDocSpec { overwrite: Overwrite::Any, ..declared() },
        ..new_workflow("second", spec())
    };
    run(&world, &engine, &again).await;
    assert_eq!(installed(&engine).await.state, None, "a new installation has not called yet");
    assert!(!engine.called_home(&machine, &call(&one, &[])).await.unwrap(), "the one before is gone");
    assert_eq!(installed(&engine).await.state, None);
}

#[tokio::test]
async fn a_call_home_is_in_the_store_before_it_is_answered() {
    for (fault, kept) in [(Fault::Refuses, false), (Fault::LosesTheAnswer, true), (Fault::LosesBoth, true)] {
        let world = World::new();
        let engine = world.engine().await;
        world.store.fail(world.store.commits(), fault);
        let home = CalledHome { instance: "i-node-1".to_owned(), host_keys: Vec::new() };
        let answer = engine.called_home(&hardware(), &home).await;
        assert_eq!(answer.is_ok(), kept, "{fault:?}: {answer:?}");
        assert!(kept || matches!(answer, Err(SourceError::Unavailable { .. })), "{fault:?}");
        let state = world.engine().await.machine_status("node-1").await.unwrap().state;
        assert_eq!(state.is_some(), kept, "{fault:?}: a system that was told so need not call again");
    }
}
