use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    follow::{FIRST_WAIT, LONGEST_WAIT, Waits},
    *,
};
use crate::{
    clock::{Clock, ManualClock},
    limits::STORE_CHANGES,
    store::{Batch, Commit, Entry, Key, MemoryStore, Stored, Watch},
};

/// A store behind a wire that can be cut: what is asked then fails, and watches end.
struct Cut {
    inner: MemoryStore,
    is_cut: watch::Sender<bool>,
}

impl Cut {
    fn ask(&self) -> Result<&MemoryStore, StoreError> {
        let away = || StoreError::Unavailable { message: "the wire is cut".to_owned() };
        if *self.is_cut.borrow() { Err(away()) } else { Ok(&self.inner) }
    }

    /// Writes a machine as another server of the store would: the cut is on our side.
    async fn put(&self, name: &str) -> Revision {
        let interface = json!({"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "netboot": true});
        let value = json!({"apiVersion": "bootcode/v1", "kind": "Hardware", "metadata": {"name": name},
                           "spec": {"interfaces": [interface]}});
        let batch = Batch { puts: vec![(Key::new("Hardware", name), value)], ..Batch::default() };
        match self.inner.commit(batch).await.unwrap() {
            Commit::Done(revision) => revision,
            Commit::Conflict { what } => panic!("{what}"),
        }
    }
}

#[async_trait]
impl Store for Cut {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.ask()?.get(key).await
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        self.ask()?.list(kind).await
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.ask()?.read(log, from).await
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.ask()?.logs(prefix).await
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        self.ask()?.trim(log, before).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.ask()?.commit(batch).await
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        let watch = self.ask()?.watch(from).await?;
        let mut is_cut = self.is_cut.subscribe();
        Ok(Box::pin(watch.take_until(async move { is_cut.wait_for(|is_cut| *is_cut).await.map(drop) })))
    }
}

/// A clock by hand that tells until when somebody sleeps.
struct Told {
    clock: ManualClock,
    sleeps: mpsc::Sender<Timestamp>,
}

#[async_trait]
impl Clock for Told {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        self.sleeps.send(deadline).await.unwrap();
        self.clock.sleep_until(deadline).await;
    }
}

impl Told {
    /// The follower's next wait, as long as it is.
    async fn next(&self, sleeps: &mut mpsc::Receiver<Timestamp>) -> Duration {
        let until = sleeps.recv().await.unwrap();
        until.duration_since(self.now()).try_into().unwrap()
    }
}

#[tokio::test]
async fn a_store_that_went_away_and_compacted_is_served_from_memory_and_followed_again() {
    let store = Arc::new(Cut { inner: MemoryStore::new(), is_cut: watch::Sender::new(false) });
    let (sleeps, mut slept) = mpsc::channel(1);
    let clock = Arc::new(Told { clock: ManualClock::new(Timestamp::UNIX_EPOCH), sleeps });
    let snapshot = Snapshot::load(&*store).await.unwrap();
    let cancel = CancellationToken::new();
    let following = tokio::spawn({
        let (snapshot, cancel) = (Arc::clone(&snapshot), cancel.clone());
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        async move { snapshot.follow(store, clock, cancel).await }
    });
    snapshot.reached(store.put("before").await).await;
    assert!(snapshot.hardware("before").is_some());

    store.is_cut.send_replace(true);
    let mut expected = FIRST_WAIT;
    for ask in 0..12 {
        let wait = clock.next(&mut slept).await;
        assert_eq!(wait, expected, "the wait after ask {ask}");
        assert!(snapshot.hardware("before").is_some(), "answered as it last was");
        expected = (wait * 2).min(LONGEST_WAIT);
        clock.clock.advance(wait);
    }
    assert_eq!(expected, LONGEST_WAIT, "the waits grow up to their bound");

    let wait = clock.next(&mut slept).await;
    // More than the store keeps for watchers.
    store.put("meanwhile").await;
    for _ in 0..=STORE_CHANGES {
        store.put("other").await;
    }
    assert!(snapshot.hardware("meanwhile").is_none(), "the wire is cut");
    store.is_cut.send_replace(false);
    clock.clock.advance(wait);
    snapshot.reached(store.put("back").await).await;
    for name in ["before", "meanwhile", "back"] {
        assert!(snapshot.hardware(name).is_some(), "{name}");
    }
    // No clock moves here: what was compacted is followed again at once, and live.
    snapshot.reached(store.put("live").await).await;
    assert!(snapshot.hardware("live").is_some());

    store.is_cut.send_replace(true);
    assert_eq!(clock.next(&mut slept).await, FIRST_WAIT, "the waits start anew");
    cancel.cancel();
    following.await.unwrap();
}

#[test]
fn waits_start_anew_after_a_watch_that_stood() {
    let mut waits = Waits::default();
    let quick = Duration::from_millis(1);
    assert_eq!(
        [waits.after(quick), waits.after(quick), waits.after(LONGEST_WAIT)],
        [50, 100, 200].map(Duration::from_millis)
    );
    assert_eq!(waits.after(LONGEST_WAIT + quick), FIRST_WAIT, "a quiet night is no failure");
}
