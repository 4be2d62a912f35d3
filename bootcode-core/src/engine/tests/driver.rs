//! What runs beside the engine.

use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::world::{World, later};

#[tokio::test]
async fn a_store_whose_watches_end_at_once_is_asked_once_a_tick() {
    const ENDED: usize = 1000;
    let world = World::new();
    let engine = world.engine().await;
    world.store.ended_watches.store(ENDED, Ordering::SeqCst);
    let cancel = CancellationToken::new();
    let mut running = Box::pin(engine.run(cancel.clone()));
    for second in 1..=5 {
        for _ in 0..10 {
            assert!((&mut running).now_or_never().is_none(), "it goes on");
        }
        let asked = ENDED - world.store.ended_watches.load(Ordering::SeqCst);
        assert!((1..=second + 1).contains(&asked), "asked {asked} times in {second} s");
        later(&world.clock, 1);
    }
    cancel.cancel();
    running.await;
}
