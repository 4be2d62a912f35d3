//! A store of your own, and the checks that say whether it keeps what stores owe: a file of requests, one JSON line each.
//!
//! `cargo run -p bootcode-examples --example own_store`
//!
//! What was asked is written and synced before it is carried out in memory; opening the file asks the same again, with the same
//! answers. A last line that a crash cut short was never answered and is dropped. The file only grows: this is an example.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bootcode_core::store::{
    Batch, Commit, Entry, Key, MemoryStore, Revision, Store, StoreError, Stored, Watch, check_bounds,
    conformance::{self, Harness},
};
use serde::{Deserialize, Serialize};
use tokio::{fs::File, io::AsyncWriteExt as _};

/// What is asked of the store and changes it.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Commit(Batch),
    Trim(String, u64),
}

/// A store in a file of requests.
struct RequestFile {
    inner: Arc<Inner>,
}

struct Inner {
    memory: MemoryStore,
    file: tokio::sync::Mutex<File>,
}

impl RequestFile {
    async fn open(path: &Path) -> io::Result<Self> {
        let text = match tokio::fs::read_to_string(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let memory = MemoryStore::new();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines() {
            // One that was refused then is refused now.
            let answer = match serde_json::from_str(line)? {
                Request::Commit(batch) => memory.commit(batch).await.map(drop),
                Request::Trim(log, before) => memory.trim(&log, before).await,
            };
            answer.map_err(io::Error::other)?;
        }
        let file = File::options().create(true).append(true).open(path).await?;
        file.set_len(whole as u64).await?;
        Ok(Self { inner: Arc::new(Inner { memory, file: tokio::sync::Mutex::new(file) }) })
    }

    /// Carries a request out, also where whoever asked no longer waits: what is in the file must be in memory.
    async fn ask(&self, request: Request) -> Result<Option<Commit>, StoreError> {
        let inner = Arc::clone(&self.inner);
        let work = async move {
            let mut file = inner.file.lock().await;
            let mut line = serde_json::to_vec(&request).map_err(away)?;
            line.push(b'\n');
            // Whether a line is on the disk is unknown once writing or syncing it failed.
            file.write_all(&line).await.map_err(|_| StoreError::Unknown)?;
            file.flush().await.map_err(|_| StoreError::Unknown)?;
            file.sync_data().await.map_err(|_| StoreError::Unknown)?;
            match request {
                Request::Commit(batch) => inner.memory.commit(batch).await.map(Some),
                Request::Trim(log, before) => inner.memory.trim(&log, before).await.map(|()| None),
            }
        };
        tokio::spawn(work).await.map_err(|_| StoreError::Unknown)?
    }
}

fn away(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable { message: error.to_string() }
}

#[async_trait]
impl Store for RequestFile {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.memory.get(key).await
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        self.inner.memory.list(kind).await
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.inner.memory.read(log, from).await
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.memory.logs(prefix).await
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        self.ask(Request::Trim(log.to_owned(), before)).await.map(drop)
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        check_bounds(&batch)?;
        self.ask(Request::Commit(batch)).await?.ok_or(StoreError::Unknown)
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        self.inner.memory.watch(from).await
    }
}

/// Makes the stores that are checked, each in a file of its own.
struct Files {
    directory: tempfile::TempDir,
    last: Mutex<u32>,
}

impl Files {
    fn path(&self, number: u32) -> PathBuf {
        self.directory.path().join(format!("{number}.requests"))
    }

    fn last(&self) -> std::sync::MutexGuard<'_, u32> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn open(&self, number: u32) -> Arc<dyn Store> {
        Arc::new(RequestFile::open(&self.path(number)).await.expect("the file can be opened"))
    }
}

#[async_trait]
impl Harness for Files {
    async fn fresh(&self) -> Arc<dyn Store> {
        let number = {
            let mut last = self.last();
            *last += 1;
            *last
        };
        self.open(number).await
    }

    async fn crash_and_reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        let number = *self.last();
        // A crash in the middle of the next request, while the store still has the file open.
        let mut bytes = tokio::fs::read(self.path(number)).await.expect("the file is there");
        bytes.extend_from_slice(br#"{"Commit":{"expects":[],"pu"#);
        tokio::fs::write(self.path(number), bytes).await.expect("the file can be written");
        drop(store);
        Some(self.open(number).await)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<ExitCode> {
    let report = conformance::check(&Files { directory: tempfile::tempdir()?, last: Mutex::new(0) }).await;
    println!("{report}");
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_conforms() {
        assert_eq!(main().unwrap(), ExitCode::SUCCESS);
    }
}
