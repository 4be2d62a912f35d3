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

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_so_and_never_sees_a_gap() {
    let store = MemoryStore::new();
    let mut watch = store.watch(Revision(0)).await.unwrap();
    for value in 0..2 * crate::limits::WATCH_QUEUE {
        let puts = vec![(Key::new("Thing", "a"), value.into())];
        store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    }
    assert_eq!(watch.next().await, Some(Watched::Compacted));
    assert_eq!(watch.next().await, None);
}
