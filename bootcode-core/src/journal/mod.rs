//! Action logs and timelines: append-only streams that may lose their last second in a crash.

#[cfg(feature = "engine")]
mod files;
#[cfg(feature = "engine")]
mod gathered;
mod memory;
mod name;
#[cfg(feature = "engine")]
mod wal;

#[cfg(feature = "engine")]
pub use files::FileJournal;
pub use memory::MemoryJournal;
pub use name::{action_log, action_logs};

use async_trait::async_trait;

/// Streams of bytes by name: `log/<workflow>/<action>/<attempt>`, `timeline/<hardware>`.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends to a stream; returns its length after that.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn append(&self, stream: &str, bytes: &[u8]) -> Result<u64, JournalError>;
    /// Appends to many streams at once; their lengths after that, in the same order. One that writes to disks does it by few writes.
    ///
    /// # Errors
    /// See [`JournalError`]; some may be appended then.
    async fn append_all(&self, appends: Vec<(String, Vec<u8>)>) -> Result<Vec<u64>, JournalError> {
        let mut lengths = Vec::with_capacity(appends.len());
        for (stream, bytes) in appends {
            lengths.push(self.append(&stream, &bytes).await?);
        }
        Ok(lengths)
    }
    /// At most `max` bytes of a stream from `from` on; empty at its end and where there is no such stream.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn read(&self, stream: &str, from: u64, max: usize) -> Result<Vec<u8>, JournalError>;
    /// A stream's length; 0 where there is none.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn len(&self, stream: &str) -> Result<u64, JournalError>;
    /// The names of streams that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn streams(&self, prefix: &str) -> Result<Vec<String>, JournalError>;
    /// Puts other content in a stream's place: the old or the new is there after a crash, never a part.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn replace(&self, stream: &str, bytes: &[u8]) -> Result<(), JournalError>;
    /// Removes a stream; removing one that is not there is no error.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn remove(&self, stream: &str) -> Result<(), JournalError>;
}

/// The journal failed.
#[derive(Debug, thiserror::Error)]
#[error("the journal's stream {stream} failed: {source}")]
pub struct JournalError {
    /// Which stream.
    pub stream: String,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}
