//! A journal in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Journal, JournalError, name};

/// Keeps every stream in memory: for tests, and for servers without a data directory.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    streams: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryJournal {
    /// Without streams.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, stream: &str, bytes: &[u8]) -> Result<u64, JournalError> {
        name::check(stream)?;
        let mut streams = self.lock();
        let kept = streams.entry(stream.to_owned()).or_default();
        kept.extend_from_slice(bytes);
        Ok(kept.len() as u64)
    }

    async fn read(&self, stream: &str, from: u64, max: usize) -> Result<Vec<u8>, JournalError> {
        let streams = self.lock();
        let Some(kept) = streams.get(stream) else { return Ok(Vec::new()) };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(kept.len());
        Ok(kept[from..kept.len().min(from.saturating_add(max))].to_vec())
    }

    async fn len(&self, stream: &str) -> Result<u64, JournalError> {
        Ok(self.lock().get(stream).map_or(0, |kept| kept.len() as u64))
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<String>, JournalError> {
        Ok(self.lock().keys().filter(|stream| stream.starts_with(prefix)).cloned().collect())
    }

    async fn replace(&self, stream: &str, bytes: &[u8]) -> Result<(), JournalError> {
        name::check(stream)?;
        self.lock().insert(stream.to_owned(), bytes.to_vec());
        Ok(())
    }

    async fn remove(&self, stream: &str) -> Result<(), JournalError> {
        self.lock().remove(stream);
        Ok(())
    }
}
