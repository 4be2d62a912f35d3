//! The embedded store: SQLite in WAL mode, one writer thread with group commit, a few readers.
//!
//! ```text
//! commit --queue--> writer thread: BEGIN, batches, COMMIT (one fsync) --> answers --> broadcast to watchers
//! get, list, read --> spawn_blocking on a reading connection
//! ```

mod beside;
mod open;
mod rows;
mod tables;
mod writer;

use std::{
    collections::VecDeque,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::writer::Job;
use super::{
    Batch, Commit, Entry, Key, Revision, Store, StoreError, Stored, Watch, Watched, bounds,
    follow::{Kept, follow},
};
use crate::limits::{STORE_GROUP, WATCH_QUEUE};

/// Reading connections kept open; more requests at once open more for their time.
const IDLE_READERS: usize = 4;

/// The reading connections of one file.
#[derive(Debug, Clone)]
struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A store in one file. Only one process may have it open.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Readers,
    commits: broadcast::Sender<Arc<Watched>>,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<thread::JoinHandle<()>>,
    /// Locked for as long as this lives; the lock goes with the process, whatever ends it.
    _lock: File,
}

impl Readers {
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let work = move || -> rusqlite::Result<T> {
            let reused = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match reused {
                Some(connection) => connection,
                None => open::reading(&path)?,
            };
            let answer = read(&mut connection)?;
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_READERS {
                idle.push(connection);
            }
            Ok(answer)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| StoreError::Unavailable { message: error.to_string() })?
            .map_err(|error| StoreError::Unavailable { message: error.to_string() })
    }
}

#[async_trait]
impl Kept for Readers {
    async fn after(&self, revision: Revision) -> Result<Option<VecDeque<Watched>>, StoreError> {
        self.read(move |connection| tables::after(connection, revision)).await
    }
}

impl SqliteStore {
    /// Opens the store in this file, or makes it. Blocks; the schema of an older version is brought up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`] where the place cannot be used or another process has it open, [`StoreError::Damaged`] where
    /// the file is no store or has lost its integrity. It is never overwritten.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = open::lock(path)?;
        let connection = open::writing(path)?;
        let commits = broadcast::Sender::new(WATCH_QUEUE);
        let (jobs, queue) = mpsc::channel(STORE_GROUP);
        let announce = commits.clone();
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer::run(connection, queue, &announce))
            .map_err(|error| open::cannot(path, &error))?;
        Ok(Self {
            readers: Readers { path: path.to_owned(), idle: Arc::default() },
            commits,
            jobs: Some(jobs),
            writer: Some(writer),
            _lock: lock,
        })
    }

    /// Checks every page and index of the file.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what is wrong.
    pub async fn check_integrity(&self) -> Result<(), StoreError> {
        let path = self.readers.path.clone();
        self.readers.read(move |connection| Ok(open::integrity(connection, &path, "integrity_check"))).await?
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::Unavailable { message: "the store is closing".to_owned() };
        self.jobs.as_ref().ok_or_else(gone)?.send(job(answer)).await.map_err(|_| gone())?;
        // The writer was ended between taking the job and answering.
        answered.await.map_err(|_| StoreError::Unknown)?
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has answered nobody; there is nothing left to do for it here.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let key = key.clone();
        self.readers.read(move |connection| tables::get(connection, key)).await
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        let kind = kind.to_owned();
        self.readers.read(move |connection| tables::list(connection, &kind)).await
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        let log = log.to_owned();
        self.readers.read(move |connection| tables::read(connection, &log, from)).await
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let prefix = prefix.to_owned();
        self.readers.read(move |connection| tables::logs(connection, &prefix)).await
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        let log = log.to_owned();
        self.ask(|answer| Job::Trim { log, before, answer }).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        bounds::check_bounds(&batch)?;
        self.ask(|answer| Job::Commit { batch, answer }).await
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        follow(from, self.readers.clone(), &self.commits).await
    }
}
