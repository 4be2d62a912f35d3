#![cfg(feature = "engine")]

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::{
    Batch, Change, Commit, Entry, Key, MemoryStore, Revision, Store, StoreError, Stored, Watch, Watched,
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

/// How a store is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    IgnoresExpectations,
    LosesAnAppend,
    TearsABatch,
    SwapsWatchedCommits,
    SkipsAWatchedCommit,
    RenumbersATrimmedLog,
}

/// A store that breaks one promise.
struct Broken {
    inner: MemoryStore,
    fault: Fault,
}

#[async_trait]
impl Store for Broken {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        self.inner.list(kind).await
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        let mut read = self.inner.read(log, from).await?;
        if self.fault == Fault::RenumbersATrimmedLog {
            read.iter_mut().zip(1..).for_each(|(entry, seq)| entry.seq = seq);
        }
        Ok(read)
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.logs(prefix).await
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        self.inner.trim(log, before).await
    }

    async fn commit(&self, mut batch: Batch) -> Result<Commit, StoreError> {
        match self.fault {
            Fault::IgnoresExpectations => batch.expects.clear(),
            Fault::LosesAnAppend if batch.appends.first().is_some_and(|append| append.after == 30) => {
                return Ok(Commit::Done(self.inner.list("").await?.1));
            }
            Fault::TearsABatch => {
                let puts = std::mem::take(&mut batch.puts);
                self.inner.commit(Batch { puts, ..Batch::default() }).await?;
            }
            _ => {}
        }
        self.inner.commit(batch).await
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        let watch = self.inner.watch(from).await?;
        Ok(match self.fault {
            Fault::SkipsAWatchedCommit => {
                let fifth =
                    |seen: &Watched| matches!(seen, Watched::Commit { revision, .. } if revision.0 == 5);
                Box::pin(watch.filter(move |seen| std::future::ready(!fifth(seen))))
            }
            Fault::SwapsWatchedCommits => {
                Box::pin(watch.chunks(2).flat_map(|pair| futures_util::stream::iter(pair.into_iter().rev())))
            }
            _ => watch,
        })
    }
}

#[async_trait]
impl Harness for Fault {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(Broken { inner: MemoryStore::new(), fault: *self })
    }

    async fn crash_and_reopen(&self, _: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn every_broken_store_is_caught_by_a_named_check() {
    let cases = [
        (Fault::IgnoresExpectations, "an_expectation_that_fails_changes_nothing"),
        (Fault::LosesAnAppend, "an_acknowledged_entry_is_never_lost"),
        (Fault::TearsABatch, "a_batch_is_carried_out_whole_or_not_at_all"),
        (Fault::SwapsWatchedCommits, "a_watch_shows_every_commit_whole_and_in_order"),
        (Fault::SkipsAWatchedCommit, "a_watch_goes_on_where_its_reader_stopped"),
        (Fault::RenumbersATrimmedLog, "a_trimmed_log_keeps_its_sequence_numbers"),
    ];
    for (fault, named) in cases {
        let report = check(&fault).await;
        assert!(
            report.failed.iter().any(|(name, _)| *name == named),
            "{fault:?} is not caught by {named}: {report}"
        );
    }
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

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use crate::store::SqliteStore;

    struct Sqlite {
        directory: tempfile::TempDir,
        count: std::sync::atomic::AtomicU32,
    }

    impl Sqlite {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap(), count: 0.into() }
        }

        fn path(&self) -> std::path::PathBuf {
            let count = self.count.load(std::sync::atomic::Ordering::Relaxed);
            self.directory.path().join(format!("{count}.db"))
        }
    }

    #[async_trait]
    impl Harness for Sqlite {
        async fn fresh(&self) -> Arc<dyn Store> {
            self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Arc::new(SqliteStore::open(&self.path()).unwrap())
        }

        async fn crash_and_reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
            // What a crash leaves: the files as they are while the store is still open.
            let (from, to) = (self.path(), self.directory.path().join("crashed.db"));
            for end in ["", "-wal"] {
                let name = |path: &std::path::Path| format!("{}{end}", path.display());
                if std::path::Path::new(&name(&from)).exists() {
                    std::fs::copy(name(&from), name(&to)).unwrap();
                }
            }
            drop(store);
            Some(Arc::new(SqliteStore::open(&to).unwrap()))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_sqlite_store_conforms() {
        let report = check(&Sqlite::new()).await;
        assert!(report.failed.is_empty() && report.skipped.is_empty(), "{report}");
    }

    #[tokio::test]
    async fn a_store_that_is_open_cannot_be_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let first = SqliteStore::open(&path).unwrap();
        let second = SqliteStore::open(&path).unwrap_err();
        assert!(second.to_string().contains("another server has it open"), "{second}");
        drop(first);
        SqliteStore::open(&path).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_file_is_named_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        std::fs::write(&path, b"this is no database, and it is longer than a header".repeat(200)).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = SqliteStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("a.db"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let missing = SqliteStore::open(&directory.path().join("none/a.db")).unwrap_err();
        assert!(missing.to_string().contains("the directory must exist"), "{missing}");
    }

    #[tokio::test]
    async fn a_watch_after_reopening_shows_what_came_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let one = || Batch { puts: vec![(Key::new("Thing", "a"), 1.into())], ..Batch::default() };
        let store = SqliteStore::open(&path).unwrap();
        store.commit(one()).await.unwrap();
        store.commit(one()).await.unwrap();
        drop(store);
        let store = SqliteStore::open(&path).unwrap();
        let mut watch = store.watch(Revision(1)).await.unwrap();
        let Some(Watched::Commit { revision: Revision(2), changes }) = watch.next().await else { panic!() };
        assert!(matches!(&changes[..], [Change::Put(stored)] if stored.value == 1));
    }

    #[tokio::test]
    async fn a_backup_is_a_whole_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("a.db")).unwrap();
        store
            .commit(Batch { puts: vec![(Key::new("Thing", "a"), 1.into())], ..Batch::default() })
            .await
            .unwrap();
        store.check_integrity().await.unwrap();
        let copy = directory.path().join("b.db");
        store.backup(&copy).await.unwrap();
        let copy = SqliteStore::open(&copy).unwrap();
        assert_eq!(copy.get(&Key::new("Thing", "a")).await.unwrap().unwrap().value, 1);
    }
}
