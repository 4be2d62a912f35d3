use super::world::{World, hello, new_workflow, report};
use crate::{
    document::{Overwrite, WorkflowDocSpec},
    engine::{Engine, NewWorkflow},
    source::InstanceSource as _,
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
