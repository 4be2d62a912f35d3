//! The files that every machine of a hall asks for, kept in memory.

mod sealed;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use self::sealed::Content;
use super::{Blob, Body, FileError, FileRequest, FileSource};
use crate::{
    clock::{Clock, Timestamp},
    limits,
};

/// A file that was written so short a time ago may be written again without another time of change: file systems' clocks tick
/// every 10 ms at most, networks' every second or two.
const SETTLED: Duration = Duration::from_secs(3);

/// Another source with its small files in memory, up to a bound; the one that was asked for least recently goes first.
///
/// The source is asked for every file anew, unless [told otherwise](Self::trusting), and its entity tag decides: a file that changed is
/// another one, and is read again. Who opened the old version keeps it whole. A file is read once, however many ask at the same time.
#[derive(Clone)]
pub struct Hot {
    source: Arc<dyn FileSource>,
    /// Tells the sources apart that share a memory.
    number: u64,
    clock: Arc<dyn Clock>,
    bytes: u64,
    trust: Duration,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    files: HashMap<Key, Entry>,
    bytes: u64,
    asked: u64,
    sources: u64,
}

/// The source's number and the file's name.
type Key = (u64, String);

struct Entry {
    etag: String,
    len: u64,
    asked: u64,
    /// When the source was asked last.
    at: Timestamp,
    in_memory: Arc<OnceCell<Blob>>,
}

impl Hot {
    /// Keeps at most `bytes` of `source`; 0 keeps nothing.
    #[must_use]
    pub fn new(source: Arc<dyn FileSource>, clock: Arc<dyn Clock>, bytes: u64) -> Self {
        Self { source, number: 0, clock, bytes, trust: Duration::ZERO, kept: Arc::default() }
    }

    /// What the source said of a file in memory is believed for so long, whoever asks: a hall that boots asks for the same few files ten thousand
    /// times a second. Only for sources that answer everybody alike.
    #[must_use]
    pub fn trusting(mut self, trust: Duration) -> Self {
        self.trust = trust;
        self
    }

    /// Another source in the same memory, under the same bound.
    #[must_use]
    pub fn beside(&self, source: Arc<dyn FileSource>) -> Self {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.sources += 1;
        Self { source, number: kept.sources, ..self.clone() }
    }

    fn is_worth_keeping(&self, blob: &Blob, now: Timestamp) -> bool {
        let settled = blob
            .modified
            .is_none_or(|modified| modified.saturating_add(SETTLED).is_ok_and(|then| then <= now));
        settled && blob.len <= limits::HOT_FILE_BYTES.min(self.bytes)
    }

    /// A file of which the source spoke just now.
    fn remembered(&self, key: &Key, now: Timestamp) -> Option<Blob> {
        if self.trust.is_zero() {
            return None;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let asked = kept.asked;
        let entry = kept.files.get_mut(key)?;
        let until = entry.at.saturating_add(self.trust).ok()?;
        // A clock that was set back says nothing of how long ago that was.
        if !(entry.at..until).contains(&now) {
            return None;
        }
        let blob = entry.in_memory.get()?.clone();
        entry.asked = asked;
        Some(blob)
    }

    /// The place of this version of a file, of which the source was asked at `at`; makes room for it where it is new.
    fn place(&self, key: &Key, blob: &Blob, at: Timestamp) -> Arc<OnceCell<Blob>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let asked = kept.asked;
        if let Some(entry) = kept.files.get_mut(key)
            && entry.etag == blob.etag
        {
            entry.asked = asked;
            entry.at = at;
            return Arc::clone(&entry.in_memory);
        }
        kept.remove(key);
        while kept.bytes + blob.len > self.bytes {
            let oldest = kept.files.iter().min_by_key(|(_, entry)| entry.asked).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            kept.remove(&oldest);
        }
        let in_memory = Arc::new(OnceCell::new());
        // A name costs memory, too, even that of an empty file.
        if kept.files.len() < limits::HOT_FILES {
            let (etag, in_memory) = (blob.etag.clone(), Arc::clone(&in_memory));
            let entry = Entry { etag, len: blob.len, asked, at, in_memory };
            kept.bytes += blob.len;
            kept.files.insert(key.clone(), entry);
        }
        in_memory
    }

    fn forget(&self, key: &Key) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Kept {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.files.remove(key) {
            self.bytes -= entry.len;
        }
    }
}

#[async_trait]
impl FileSource for Hot {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        let (key, now) = ((self.number, request.name.to_string()), self.clock.now());
        if let Some(blob) = self.remembered(&key, now) {
            return Ok(Some(blob));
        }
        let Some(blob) = self.source.open(request).await? else { return Ok(None) };
        if matches!(blob.body, Body::Memory(_)) || !self.is_worth_keeping(&blob, now) {
            return Ok(Some(blob));
        }
        match self.place(&key, &blob, now).get_or_try_init(|| read(blob.clone())).await {
            Ok(Blob { body, sealed, .. }) => {
                Ok(Some(Blob { body: body.clone(), sealed: sealed.clone(), ..blob }))
            }
            Err(source) => {
                self.forget(&key);
                Err(FileError::Io { name: key.1, source })
            }
        }
    }
}

/// The same file, in memory.
async fn read(blob: Blob) -> io::Result<Blob> {
    let read = tokio::task::spawn_blocking(move || {
        // At most HOT_FILE_BYTES.
        let mut bytes = vec![0; usize::try_from(blob.len).map_err(io::Error::other)?];
        blob.read_full(&mut bytes, 0)?;
        let Content { bytes, file } = Content::of(bytes);
        Ok(Blob { body: Body::Memory(bytes), sealed: file, ..blob })
    });
    read.await.unwrap_or_else(|failed| Err(io::Error::other(failed)))
}

#[cfg(test)]
mod tests;
