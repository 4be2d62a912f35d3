#![cfg(feature = "engine")]

mod broken;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::{
    Batch, Key, MemoryStore, Revision, Store, Watched,
    conformance::{Harness, check},
};
use crate::limits::{STORE_CHANGES, WATCH_QUEUE};

struct Memory;

#[async_trait]
impl Harness for Memory {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    async fn crash_and_reopen(&self, _: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        None
    }
}

#[tokio::test]
async fn the_memory_store_conforms() {
    let report = check(&Memory).await;
    assert!(report.failed.is_empty(), "{report}");
}

/// Longer than its queue, then longer than what is kept.
#[tokio::test]
async fn a_watcher_that_falls_behind_reads_what_it_missed_as_long_as_that_is_kept() {
    let store = MemoryStore::new();
    let commit = async |count: u64| {
        for value in 0..count {
            let puts = vec![(Key::new("Thing", "a"), value.into())];
            store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
        }
    };
    let mut watch = store.watch(Revision(0)).await.unwrap();
    let mut due = 0;
    for behind in [1, 3 * WATCH_QUEUE as u64, 1, STORE_CHANGES] {
        commit(behind).await;
        for _ in 0..behind {
            due += 1;
            let seen = watch.next().await;
            assert!(
                matches!(&seen, Some(Watched::Commit { revision, .. }) if *revision == Revision(due)),
                "{due} is due: {seen:?}"
            );
        }
    }
    commit(STORE_CHANGES + 1).await;
    assert_eq!(watch.next().await, Some(Watched::Compacted));
    assert_eq!(watch.next().await, None);
}
