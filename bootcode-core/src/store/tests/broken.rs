//! Stores that break one promise each, and the check that catches each by its name.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};

use crate::store::{
    Batch, Commit, Entry, Key, MemoryStore, Revision, Store, StoreError, Stored, Watch, Watched,
    conformance::{Harness, check},
};

/// How a store is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    IgnoresExpectations,
    IgnoresWhatALogEndsWith,
    LosesAnAppend,
    LosesTheLastCommitInACrash,
    TearsABatch,
    TakesAnOversizeBatch,
    GivesARevisionTwice,
    CountsEachDocumentAnew,
    ReadsFromACache,
    ListsAtALaterRevision,
    SwapsWatchedCommits,
    SkipsAWatchedCommit,
    WatchesFromNowOn,
    NeverSaysCompacted,
    RenumbersATrimmedLog,
    ForgetsToTrim,
    ListsLogsOfOtherPrefixes,
}

/// A store that breaks one promise.
struct Broken {
    inner: Arc<MemoryStore>,
    fault: Fault,
    commits: AtomicUsize,
    /// What was read of each document first.
    cache: Mutex<HashMap<Key, Option<Stored>>>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self { inner: Arc::default(), fault, commits: AtomicUsize::new(0), cache: Mutex::default() }
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        Ok(self.inner.list("").await?.1)
    }
}

#[async_trait]
impl Store for Broken {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let stored = self.inner.get(key).await?;
        if self.fault == Fault::ReadsFromACache {
            return Ok(self.cache.lock().unwrap().entry(key.clone()).or_insert(stored).clone());
        }
        Ok(stored)
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        let (items, revision) = self.inner.list(kind).await?;
        if self.fault == Fault::ListsAtALaterRevision {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            return Ok((items, self.revision().await?));
        }
        Ok((items, revision))
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        let mut read = self.inner.read(log, from).await?;
        if self.fault == Fault::RenumbersATrimmedLog {
            read.iter_mut().zip(1..).for_each(|(entry, seq)| entry.seq = seq);
        }
        Ok(read)
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match self.fault {
            // As `LIKE 'prefix%'` does, where `_` and `%` are wild.
            Fault::ListsLogsOfOtherPrefixes => {
                let all = self.inner.logs("").await?;
                let like = |name: &String| {
                    let mut pairs = name.chars().zip(prefix.chars());
                    name.len() >= prefix.len() && pairs.all(|(c, p)| c == p || p == '_' || p == '%')
                };
                Ok(all.into_iter().filter(like).collect())
            }
            _ => self.inner.logs(prefix).await,
        }
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        if self.fault == Fault::ForgetsToTrim { Ok(()) } else { self.inner.trim(log, before).await }
    }

    async fn commit(&self, mut batch: Batch) -> Result<Commit, StoreError> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::IgnoresExpectations => batch.expects.clear(),
            Fault::IgnoresWhatALogEndsWith => {
                for append in &mut batch.appends {
                    append.after = self.inner.read(&append.log, 1).await?.last().map_or(0, |entry| entry.seq);
                }
            }
            Fault::LosesAnAppend if batch.appends.first().is_some_and(|append| append.after == 30) => {
                return Ok(Commit::Done(self.revision().await?));
            }
            Fault::TearsABatch => {
                let puts = std::mem::take(&mut batch.puts);
                self.inner.commit(Batch { puts, ..Batch::default() }).await?;
            }
            Fault::CountsEachDocumentAnew => {
                // Every document's first version looks like the first one of its name.
                let same = |expect: &crate::store::Expect| matches!(expect, crate::store::Expect::At(_, at) if at.0 == 1);
                batch.expects.retain(|expect| !same(expect));
            }
            _ => {}
        }
        let done = self.inner.commit(batch).await;
        match (self.fault, done) {
            (Fault::TakesAnOversizeBatch, Err(StoreError::TooLarge { .. })) => {
                Ok(Commit::Done(self.revision().await?))
            }
            (Fault::GivesARevisionTwice, Ok(Commit::Done(Revision(revision)))) if number % 8 == 7 => {
                Ok(Commit::Done(Revision(revision - 1)))
            }
            (_, done) => done,
        }
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        let from = match self.fault {
            Fault::WatchesFromNowOn if from <= self.revision().await? => self.revision().await?,
            _ => from,
        };
        let watch = self.inner.watch(from).await?;
        Ok(match self.fault {
            Fault::SkipsAWatchedCommit => {
                let fifth =
                    |seen: &Watched| matches!(seen, Watched::Commit { revision, .. } if revision.0 == 5);
                Box::pin(watch.filter(move |seen| std::future::ready(!fifth(seen))))
            }
            Fault::SwapsWatchedCommits => {
                Box::pin(watch.chunks(2).flat_map(|pair| stream::iter(pair.into_iter().rev())))
            }
            // Whoever fell behind goes on with what comes next.
            Fault::NeverSaysCompacted => {
                let inner = Arc::clone(&self.inner);
                Box::pin(watch.then(move |seen| {
                    let inner = Arc::clone(&inner);
                    async move {
                        if seen != Watched::Compacted {
                            return seen;
                        }
                        let (_, at) = inner.list("").await.unwrap_or_default();
                        Watched::Commit { revision: at, changes: Vec::new() }
                    }
                }))
            }
            _ => watch,
        })
    }
}

#[async_trait]
impl Harness for Fault {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(Broken::new(*self))
    }

    async fn crash_and_reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        if *self != Fault::LosesTheLastCommitInACrash {
            return None;
        }
        // What a store that acknowledges before it writes comes back with.
        let reopened = Broken::new(*self);
        let (documents, Revision(last)) = store.list("Thing").await.unwrap();
        let log = store.read("log/a", 1).await.unwrap();
        let mut head = 0;
        for revision in 1..last {
            let puts = documents.iter().map(|stored| (stored.key.clone(), stored.value.clone())).collect();
            let entries = log.iter().filter(|entry| entry.seq == revision).map(|entry| entry.value.clone());
            let entries: Vec<_> = entries.collect();
            let append = crate::store::Append { log: "log/a".to_owned(), after: head, entries };
            head += append.entries.len() as u64;
            reopened.inner.commit(Batch { puts, appends: vec![append], ..Batch::default() }).await.unwrap();
        }
        Some(Arc::new(reopened))
    }
}

#[tokio::test(start_paused = true)]
async fn every_broken_store_is_caught_by_a_named_check() {
    let cases = [
        (Fault::IgnoresExpectations, "an_expectation_that_fails_changes_nothing"),
        (Fault::IgnoresWhatALogEndsWith, "an_append_after_another_sequence_number_conflicts"),
        (Fault::LosesAnAppend, "an_acknowledged_entry_is_never_lost"),
        (Fault::LosesTheLastCommitInACrash, "a_reopened_store_has_all_that_was_acknowledged"),
        (Fault::TearsABatch, "a_batch_is_carried_out_whole_or_not_at_all"),
        (Fault::TakesAnOversizeBatch, "a_batch_over_the_bounds_is_refused"),
        (Fault::GivesARevisionTwice, "no_two_commits_share_a_revision"),
        (Fault::CountsEachDocumentAnew, "a_document_that_is_made_again_is_another"),
        (Fault::ReadsFromACache, "a_read_after_a_commit_sees_it"),
        (Fault::ListsAtALaterRevision, "what_list_saw_and_the_watch_after_it_make_the_present"),
        (Fault::SwapsWatchedCommits, "a_watch_shows_every_commit_whole_and_in_order"),
        (Fault::SkipsAWatchedCommit, "a_watch_goes_on_where_its_reader_stopped"),
        (Fault::WatchesFromNowOn, "a_watch_goes_on_where_its_reader_stopped"),
        (Fault::NeverSaysCompacted, "a_watcher_that_falls_behind_sees_everything_or_is_told"),
        (Fault::RenumbersATrimmedLog, "a_trimmed_log_keeps_its_sequence_numbers"),
        (Fault::ForgetsToTrim, "a_trimmed_log_keeps_its_sequence_numbers"),
        (Fault::ListsLogsOfOtherPrefixes, "logs_are_listed_by_prefix_in_order"),
    ];
    for (fault, named) in cases {
        let report = check(&fault).await;
        assert!(
            report.failed.iter().any(|(name, _)| *name == named),
            "{fault:?} is not caught by {named}: {report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_stores_leaves_the_others_whole() {
    // The wrapper itself breaks nothing: without a crash, this fault is none.
    let report = check(&Fault::LosesTheLastCommitInACrash).await;
    assert_eq!(report.failed.len(), 1, "{report}");
}
