//! Logs of actions go once their workflow ended long ago, and no other ones do.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::world::{World, hello, later, new_workflow};
use crate::{
    journal::Journal as _,
    workflow::{LogChunk, Phase, WorkflowService as _, fixtures::spec},
};

const KEEP: Duration = Duration::from_secs(90 * 86_400);

#[tokio::test]
async fn logs_of_what_ended_long_ago_are_removed_and_no_others() {
    let world = World::new();
    let engine = world.engine().await;
    engine.create(&new_workflow("w", spec())).await.unwrap();
    let session = engine.hello(hello(&world.token(), "boot-1")).await.unwrap();
    engine.claim(&session.token).await.unwrap();
    let chunk = LogChunk {
        workflow: "w".to_owned(),
        action: "look".to_owned(),
        attempt: 1,
        offset: 0,
        text: "one\n".to_owned(),
    };
    engine.log(&session.token, chunk).await.unwrap();
    for other in ["log/of nobody/look/1", "log/w2/look/1", "timeline/node-1"] {
        world.journal.append(other, b"x").await.unwrap();
    }
    later(&world.clock, KEEP.as_secs() * 2);
    assert_eq!(engine.trim_logs(KEEP).await.unwrap(), 0, "it is open, however old its log is");

    // It stops, which is its last event.
    engine.tick().await;
    assert!(engine.state("w").unwrap().phase.is_stopped(), "{:?}", engine.state("w").unwrap().phase);
    later(&world.clock, KEEP.as_secs());
    assert_eq!(engine.trim_logs(KEEP).await.unwrap(), 0, "kept as long as was said");
    later(&world.clock, 1);
    assert_eq!(engine.trim_logs(KEEP).await.unwrap(), 1);
    let left = world.journal.streams("").await.unwrap();
    assert_eq!(left, ["log/of nobody/look/1", "log/w2/look/1", "timeline/node-1"]);
    assert_ne!(engine.state("w").unwrap().phase, Phase::Absent, "the workflow itself stays");
    assert_eq!(engine.trim_logs(KEEP).await.unwrap(), 0);
}

#[tokio::test]
async fn old_logs_are_looked_for_every_day() {
    let world = World::new();
    let engine = Arc::new(world.engine().await);
    engine.create(&new_workflow("w", spec())).await.unwrap();
    engine.cancel("w").await.unwrap();
    world.journal.append("log/w/look/1", b"x").await.unwrap();
    let cancel = CancellationToken::new();
    let mut running = Box::pin(engine.keep_logs(KEEP, cancel.clone()));
    for day in 0..=90 {
        assert!((&mut running).now_or_never().is_none(), "it goes on");
        assert_eq!(world.journal.len("log/w/look/1").await.unwrap(), 1, "day {day}");
        later(&world.clock, 86_400);
    }
    assert!((&mut running).now_or_never().is_none());
    assert_eq!(world.journal.len("log/w/look/1").await.unwrap(), 0, "after 91 days");
    cancel.cancel();
    running.await;
}
