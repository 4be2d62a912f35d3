//! Every commit of a whole provisioning fails once, in every way; the server is restarted after each failure.

use super::world::{Fault, World, hello, new_workflow, report};
use crate::{
    engine::{Engine, EngineError, log_name},
    store::Store as _,
    workflow::{Claim, Event, Outcome, Recorded, ServiceError, WorkflowService as _, fixtures::spec},
};

/// Runs a call until it is answered, on a new server after each failure of the store.
macro_rules! until_answered {
    ($world:expr, $engine:ident, $call:expr) => {
        loop {
            match $call {
                Ok(answer) => break answer,
                Err(error) => {
                    assert!(is_the_stores(&error), "{error}");
                    $engine = $world.engine().await;
                }
            }
        }
    };
}

trait MayBeTheStores {
    fn is_the_stores(&self) -> bool;
}

impl MayBeTheStores for ServiceError {
    fn is_the_stores(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl MayBeTheStores for EngineError {
    fn is_the_stores(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

fn is_the_stores(error: &impl MayBeTheStores) -> bool {
    error.is_the_stores()
}

/// A whole provisioning; returns the log.
async fn provision(world: &World) -> Vec<Event> {
    let mut engine: Engine = world.engine().await;
    until_answered!(world, engine, engine.create(&new_workflow("w", spec())).await);
    let token = world.token();
    let mut handed_out = Vec::new();
    loop {
        let session = until_answered!(world, engine, engine.hello(hello(&token, "boot-1")).await);
        match until_answered!(world, engine, engine.claim(&session.token).await) {
            Claim::Run(assignment) => {
                handed_out.push((assignment.index, assignment.attempt));
                let done = report(&assignment, Outcome::Succeeded);
                until_answered!(world, engine, engine.report(&session.token, done.clone()).await);
            }
            Claim::Finish { .. } => break,
            Claim::Wait { reason, .. } => panic!("{reason}"),
        }
    }
    assert_eq!(handed_out, [(0, 1), (1, 1), (2, 1)], "each action runs once");
    let log = world.store.read(&log_name("w"), 1).await.unwrap();
    log.into_iter().map(|entry| serde_json::from_value::<Recorded>(entry.value).unwrap().event).collect()
}

#[tokio::test]
async fn whichever_commit_fails_in_whichever_way_the_log_is_the_same() {
    let world = World::new();
    let expected = provision(&world).await;
    let commits = world.store.commits();
    assert!(commits >= 9, "{commits} commits");
    for commit in 0..commits {
        for fault in [Fault::Refuses, Fault::LosesTheAnswer, Fault::LosesBoth] {
            let world = World::new();
            world.store.fail(commit, fault);
            assert_eq!(provision(&world).await, expected, "commit {commit}, {fault:?}");
        }
    }
}
