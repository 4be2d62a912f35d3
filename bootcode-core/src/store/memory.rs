//! A store in memory: for tests, and for servers whose documents come from a directory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::broadcast;

use super::{
    Batch, Change, Commit, Entry, Expect, Key, Revision, Store, StoreError, Stored, Watch, Watched, bounds,
    follow::{Kept, follow},
};
use crate::limits::{STORE_CHANGES, WATCH_PAGE, WATCH_QUEUE};

/// Keeps everything in memory; nothing outlives the process.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    commits: broadcast::Sender<Arc<Watched>>,
}

#[derive(Debug, Default)]
struct Inner {
    revision: u64,
    documents: BTreeMap<Key, Stored>,
    logs: BTreeMap<String, Log>,
    history: VecDeque<Watched>,
}

/// `entries[0]` has the sequence number `trimmed + 1`.
#[derive(Debug, Default)]
struct Log {
    trimmed: u64,
    entries: VecDeque<Value>,
}

impl Log {
    fn head(&self) -> u64 {
        self.trimmed + self.entries.len() as u64
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { inner: Arc::default(), commits: broadcast::Sender::new(WATCH_QUEUE) }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Kept for Arc<Mutex<Inner>> {
    async fn after(&self, revision: Revision) -> Result<Option<VecDeque<Watched>>, StoreError> {
        let inner = lock(self);
        let first = inner.revision - inner.history.len() as u64;
        if revision.0 < first || revision.0 > inner.revision {
            return Ok(None);
        }
        let skip = usize::try_from(revision.0 - first).unwrap_or(usize::MAX);
        Ok(Some(inner.history.iter().skip(skip).take(WATCH_PAGE).cloned().collect()))
    }
}

impl Inner {
    /// The first thing in a batch that does not hold.
    fn conflict(&self, batch: &Batch) -> Option<String> {
        for expect in &batch.expects {
            let (key, holds) = match expect {
                Expect::Absent(key) => (key, !self.documents.contains_key(key)),
                Expect::At(key, at) => {
                    (key, self.documents.get(key).is_some_and(|stored| stored.revision == *at))
                }
            };
            if !holds {
                return Some(format!("{}/{}", key.kind, key.name));
            }
        }
        let mut heads: BTreeMap<&str, u64> = BTreeMap::new();
        for append in &batch.appends {
            let head =
                heads.entry(&append.log).or_insert_with(|| self.logs.get(&append.log).map_or(0, Log::head));
            if *head != append.after {
                return Some(append.log.clone());
            }
            *head += append.entries.len() as u64;
        }
        None
    }

    fn apply(&mut self, batch: Batch) -> Watched {
        self.revision += 1;
        let revision = Revision(self.revision);
        let mut changes = Vec::new();
        for (key, value) in batch.puts {
            let stored = Stored { key: key.clone(), revision, value };
            self.documents.insert(key, stored.clone());
            changes.push(Change::Put(stored));
        }
        for key in batch.deletes {
            if self.documents.remove(&key).is_some() {
                changes.push(Change::Deleted(key));
            }
        }
        for append in batch.appends {
            let log = self.logs.entry(append.log.clone()).or_default();
            log.entries.extend(append.entries.iter().cloned());
            changes.push(Change::Appended {
                log: append.log,
                seq: append.after + 1,
                entries: append.entries,
            });
        }
        let watched = Watched::Commit { revision, changes };
        self.history.push_back(watched.clone());
        if self.history.len() as u64 > STORE_CHANGES {
            self.history.pop_front();
        }
        watched
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        Ok(self.lock().documents.get(key).cloned())
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        let inner = self.lock();
        let found = inner.documents.range(Key::new(kind, "")..).take_while(|(key, _)| key.kind == kind);
        Ok((found.map(|(_, stored)| stored.clone()).collect(), Revision(inner.revision)))
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        let inner = self.lock();
        let Some(log) = inner.logs.get(log) else { return Ok(Vec::new()) };
        let first = log.trimmed + 1;
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let entries = (first..).zip(&log.entries).skip(skip);
        Ok(entries.map(|(seq, value)| Entry { seq, value: value.clone() }).collect())
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let inner = self.lock();
        let names = inner.logs.range(prefix.to_owned()..).map(|(name, _)| name);
        Ok(names.take_while(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        if let Some(log) = self.lock().logs.get_mut(log) {
            while log.trimmed + 1 < before && log.entries.pop_front().is_some() {
                log.trimmed += 1;
            }
        }
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        bounds::check_bounds(&batch)?;
        let mut inner = self.lock();
        if let Some(what) = inner.conflict(&batch) {
            return Ok(Commit::Conflict { what });
        }
        let watched = inner.apply(batch);
        // Sent under the lock, so that watchers see commits in their order. Nobody listening is no failure.
        let _ = self.commits.send(Arc::new(watched));
        Ok(Commit::Done(Revision(inner.revision)))
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        follow(from, Arc::clone(&self.inner), &self.commits).await
    }
}
