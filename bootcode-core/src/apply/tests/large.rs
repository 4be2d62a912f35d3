//! An apply of more than one batch: all of it or nothing, wherever it is cut off, and at every moment for whoever reads.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{source::HardwareKey, source::HardwareSource as _};

const MACHINES: usize = 100;
const WORKFLOWS: usize = 6;

/// A fleet, and workflows for some of its machines.
fn fleet() -> Vec<String> {
    let machines: Vec<String> = (0..MACHINES).map(|n| machine(&format!("node-{n}"), n)).collect();
    let workflows: Vec<String> =
        (0..WORKFLOWS).map(|n| workflow(&format!("w{n}"), &format!("node-{n}"))).collect();
    vec![NETWORK.into(), TEMPLATE.into(), machines.join("---\n"), workflows.join("---\n")]
}

impl World {
    async fn apply_all(&self, texts: &[String]) -> Result<Done, ApplyError> {
        self.apply(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// What is stored, without the revisions: they tell how often something was tried.
    async fn values(&self) -> Vec<String> {
        let mut values = self.store.logs("").await.unwrap();
        for kind in Kind::ALL.map(Kind::name).into_iter().chain(["WritingWorkflow", "Apply"]) {
            let (stored, _) = self.store.list(kind).await.unwrap();
            values.extend(stored.iter().map(|stored| format!("{:?} {}", stored.key, stored.value)));
        }
        values
    }
}

#[tokio::test]
async fn a_large_apply_is_all_or_nothing_whichever_commit_is_the_last() {
    let whole = World::with_a_machine().await;
    // Machine `node-1` is there already, and another one: every machine of the fleet moves up, into an address that was another's.
    let changed: Vec<String> =
        fleet().iter().map(|text| text.replace("ip: 10.0.0.", "ip: 10.0.9.")).collect();
    let first = whole.store.commits.load(Ordering::SeqCst);
    whole.apply_all(&changed).await.unwrap();
    let commits = whole.store.commits.load(Ordering::SeqCst) - first;
    let all = whole.values().await;
    assert!(commits >= 6, "records, the decision, the parts and the end: {commits} commits");
    let (mut nothing, mut everything) = (0, 0);
    for commit in 0..commits {
        for fault in [Meanwhile::Dies, Meanwhile::DiesAfter] {
            let world = World::with_a_machine().await;
            let before = world.values().await;
            world.meanwhile(commit, fault.clone());
            let decided = match world.apply_all(&changed).await {
                Err(ApplyError::Unfinished { .. }) => true,
                Err(_) => false,
                // Only the answer to the very last commit was lost.
                Ok(done) => done.revision == world.store.list("Hardware").await.unwrap().1,
            };

            let next = World::on(Arc::clone(&world.store)).await;
            let after = next.values().await;
            assert!(after == before || after == all, "commit {commit}, {fault:?}: a part of it is there");
            assert!(!decided || after == all, "commit {commit}, {fault:?}: it was said to be applied");
            if after == all {
                everything += 1;
                assert_eq!(next.state("w5"), Some("Pending"));
            } else {
                nothing += 1;
                assert_eq!(next.state("w5"), None);
            }
            // Applying it again does what is left, and nothing where nothing is.
            let again = next.apply_all(&changed).await.unwrap();
            assert_eq!(again.diff.is_empty(), after == all);
            assert_eq!(next.values().await, all, "commit {commit}, {fault:?}");
        }
    }
    assert!(nothing > 2 && everything > 2, "{nothing} times nothing, {everything} times everything");
}

#[tokio::test]
async fn an_apply_goes_through_whatever_single_commit_fails() {
    let whole = World::new().await;
    whole.apply_all(&fleet()).await.unwrap();
    let (commits, all) = (whole.store.commits.load(Ordering::SeqCst), whole.values().await);
    for commit in 0..commits {
        for fault in [Meanwhile::LosesTheAnswer, Meanwhile::LosesBoth] {
            let world = World::new().await;
            world.meanwhile(commit, fault.clone());
            world
                .apply_all(&fleet())
                .await
                .unwrap_or_else(|error| panic!("commit {commit}, {fault:?}: {error}"));
            assert_eq!(world.values().await, all, "commit {commit}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_store_that_went_away_left_is_written_when_it_is_back() {
    let world = Arc::new(World::new().await);
    world.apply(&[NETWORK]).await.unwrap();
    let records = 4;
    world.meanwhile(records + 1, Meanwhile::Dies);
    let machines: Vec<String> = (0..200).map(|n| machine(&format!("node-{n}"), n)).collect();
    let error = world.apply_all(&machines).await.unwrap_err();
    assert!(matches!(error, ApplyError::Unfinished { .. }), "after the records and the decision: {error}");
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (world, cancel) = (Arc::clone(&world), cancel.clone());
        async move { world.applier.run(cancel).await }
    });
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(world.store.list("Hardware").await.unwrap().0.is_empty(), "the store is away still");
    world.store.script.lock().unwrap().clear();
    world.store.dead.store(false, Ordering::SeqCst);
    tokio::time::sleep(AGAIN * 2).await;
    assert_eq!(world.store.list("Hardware").await.unwrap().0.len(), 200, "nobody had to ask for it");
    cancel.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn whoever_reads_sees_all_of_an_apply_or_nothing() {
    let world = World::with_a_machine().await;
    let snapshot = Snapshot::load(&*world.store).await.unwrap();
    let cancel = CancellationToken::new();
    let store: Arc<dyn Store> = Arc::<Busy>::clone(&world.store);
    let follow = tokio::spawn({
        let (snapshot, cancel) = (Arc::clone(&snapshot), cancel.clone());
        async move { snapshot.follow(store, Arc::new(crate::clock::SystemClock), cancel).await }
    });
    let mac = |number: usize| crate::mac::MacAddr([0x52, 0x54, 0, 0, 0, u8::try_from(number + 1).unwrap()]);
    let read = async {
        let (mut seen, mut looks) = (std::collections::BTreeSet::new(), 0);
        loop {
            let mut known = 0;
            for number in 20..MACHINES {
                let found = snapshot.find(&HardwareKey::Mac(mac(number))).await.unwrap();
                known += usize::from(found.is_some());
            }
            // A snapshot that is loaded in the middle sees it so, too.
            let fresh = Snapshot::load(&*world.store).await.unwrap();
            let loaded = (20..MACHINES).filter(|n| fresh.hardware(&format!("node-{n}")).is_some()).count();
            assert!(loaded == 0 || loaded == MACHINES - 20, "a new snapshot has {loaded} machines");
            let listed = {
                let _whole = world.applier.whole().await;
                world.store.inner.list("Hardware").await.unwrap().0.len()
            };
            assert!(listed == 1 || listed == MACHINES, "{listed} machines are listed");
            seen.insert(known);
            looks += 1;
            if known == MACHINES - 20 {
                return (seen, looks);
            }
            tokio::task::yield_now().await;
        }
    };
    let texts = fleet();
    let (done, (seen, looks)) = futures_util::future::join(world.apply_all(&texts), read).await;
    done.unwrap();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, MACHINES - 20], "after {looks} looks");
    assert!(looks >= 4, "only {looks} looks");
    cancel.cancel();
    follow.await.unwrap();
}

#[tokio::test]
async fn of_two_servers_that_apply_at_once_both_are_done() {
    let one = World::with_a_machine().await;
    let two = World::on(Arc::clone(&one.store)).await;
    let machines = |from: usize| -> Vec<String> {
        (from..from + 200).map(|number| machine(&format!("node-{number}"), number)).collect()
    };
    let (first, second) = (machines(20), machines(300));
    let (a, b) = futures_util::future::join(one.apply_all(&first), two.apply_all(&second)).await;
    for (world, texts, done) in [(&one, first, a), (&two, second, b)] {
        match done {
            Ok(_) => {}
            Err(ApplyError::Contended) => drop(world.apply_all(&texts).await.unwrap()),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(one.store.list("Hardware").await.unwrap().0.len(), 401);
    assert!(one.store.list("Apply").await.unwrap().0.is_empty(), "no record is left");
}
