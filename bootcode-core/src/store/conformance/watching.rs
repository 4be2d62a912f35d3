//! Watching.

use std::{collections::BTreeMap, sync::Arc};

use super::{append, done, hold, next, put};
use crate::{
    limits::STORE_CHANGES,
    store::{Batch, Change, Key, Revision, Store, Watch, Watched},
};

type Checked = Result<(), String>;

async fn watch(store: &Arc<dyn Store>, from: Revision) -> Result<Watch, String> {
    store.watch(from).await.map_err(|error| error.to_string())
}

async fn commit(watch: &mut Watch, expected: u64) -> Result<Vec<Change>, String> {
    match next(watch).await? {
        Watched::Commit { revision, changes } if revision == Revision(expected) => Ok(changes),
        other => Err(format!("commit {expected} was due, the watch shows {other:?}")),
    }
}

pub(super) async fn a_watch_shows_every_commit_whole_and_in_order(store: Arc<dyn Store>) -> Checked {
    done(&store, put("old", 0)).await?;
    let mut seen = watch(&store, Revision(0)).await?;
    done(&store, Batch { appends: append("log/a", 0, &[1, 2]).appends, ..put("a", 1) }).await?;
    done(&store, Batch { deletes: vec![Key::new("Thing", "a"), Key::new("Thing", "none")], ..put("b", 2) })
        .await?;
    for after in 2..20 {
        done(&store, append("log/a", after, &[after + 1])).await?;
    }
    commit(&mut seen, 1).await?;
    let changes = commit(&mut seen, 2).await?;
    let [Change::Put(stored), Change::Appended { log, seq: 1, entries }] = &changes[..] else {
        return Err(format!("a put and an append are shown as {changes:?}"));
    };
    hold!(
        stored.key.name == "a" && stored.revision == Revision(2) && log == "log/a" && entries.len() == 2,
        "a put and an append are shown as {changes:?}"
    );
    let changes = commit(&mut seen, 3).await?;
    let deleted = matches!(&changes[..], [Change::Put(_), Change::Deleted(key)] if key.name == "a");
    hold!(deleted, "a put, a delete and a delete of nothing are shown as {changes:?}");
    for revision in 4..=21u64 {
        let changes = commit(&mut seen, revision).await?;
        let due = matches!(&changes[..], [Change::Appended { seq, .. }] if *seq == revision - 1);
        hold!(due, "commit {revision} is shown as {changes:?}");
    }
    Ok(())
}

pub(super) async fn a_watch_goes_on_where_its_reader_stopped(store: Arc<dyn Store>) -> Checked {
    for value in 1..=6 {
        done(&store, put("a", value)).await?;
    }
    let mut seen = watch(&store, Revision(3)).await?;
    done(&store, put("a", 7)).await?;
    for revision in 4..=7u64 {
        let changes = commit(&mut seen, revision).await?;
        let due = matches!(&changes[..], [Change::Put(stored)] if stored.value == revision);
        hold!(due, "commit {revision} is shown as {changes:?}");
    }
    Ok(())
}

pub(super) async fn a_watch_from_the_future_says_compacted(store: Arc<dyn Store>) -> Checked {
    done(&store, put("a", 1)).await?;
    let mut seen = watch(&store, Revision(99)).await?;
    let first = next(&mut seen).await?;
    hold!(first == Watched::Compacted, "a watch from a revision that does not exist yet shows {first:?}");
    let second = next(&mut seen).await;
    hold!(second.is_err(), "the watch goes on after Compacted with {second:?}");
    Ok(())
}

pub(super) async fn a_watcher_that_falls_behind_sees_everything_or_is_told(store: Arc<dyn Store>) -> Checked {
    /// More than the backends here keep for one watcher that does not read.
    const COMMITS: u64 = STORE_CHANGES + 2048;
    let behind = watch(&store, Revision(0)).await?;
    for first in (0..COMMITS).step_by(128) {
        let writers = (first..first + 128).map(|value| {
            let store = Arc::clone(&store);
            async move { done(&store, put(&format!("{}", value % 16), value)).await }
        });
        futures_util::future::try_join_all(writers).await?;
    }
    for (what, mut seen) in
        [("a watcher that did not read", behind), ("a late one", watch(&store, Revision(0)).await?)]
    {
        for due in 1..=COMMITS {
            match next(&mut seen).await.map_err(|wrong| format!("{what}: {wrong} at commit {due}"))? {
                Watched::Compacted => break,
                Watched::Commit { revision, .. } if revision == Revision(due) => {}
                Watched::Commit { revision, .. } => {
                    return Err(format!(
                        "{what} is shown {revision:?} where {due} is due, without Compacted"
                    ));
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn what_list_saw_and_the_watch_after_it_make_the_present(store: Arc<dyn Store>) -> Checked {
    let writers = (0..4u64).map(|writer| {
        let store = Arc::clone(&store);
        async move {
            for value in 0..25 {
                done(&store, put(&format!("{writer}-{}", value % 20), value)).await?;
                // A store that never waits would be done before anybody lists.
                tokio::task::yield_now().await;
            }
            Ok::<_, String>(())
        }
    });
    let reader = async {
        tokio::task::yield_now().await;
        let (listed, at) = store.list("Thing").await.map_err(|error| error.to_string())?;
        let known = listed.into_iter().map(|stored| (stored.key.name, stored.value));
        Ok::<_, String>((known.collect::<BTreeMap<_, _>>(), at))
    };
    let (written, read) =
        futures_util::future::join(futures_util::future::try_join_all(writers), reader).await;
    written?;
    let (mut known, at) = read?;
    let mut seen = watch(&store, at).await?;
    for revision in at.0 + 1..=100 {
        for change in commit(&mut seen, revision).await? {
            if let Change::Put(stored) = change {
                known.insert(stored.key.name, stored.value);
            }
        }
    }
    let (listed, _) = store.list("Thing").await.map_err(|error| error.to_string())?;
    let present: BTreeMap<_, _> = listed.into_iter().map(|stored| (stored.key.name, stored.value)).collect();
    hold!(known == present, "list and watch together make {known:?}, present is {present:?}");
    Ok(())
}
