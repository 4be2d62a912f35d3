//! Action logs and timelines: append-only streams that may lose their last second in a crash.

// #[cfg(feature = "engine")]
// mod files;
// mod memory;

// #[cfg(feature = "engine")]
// pub use files::FileJournal;
// pub use memory::MemoryJournal;

use async_trait::async_trait;

/// Streams of bytes by name: `log/<workflow>/<action>/<attempt>`, `timeline/<hardware>`.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends to a stream; returns its length after that.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn append(&self, stream: &str, bytes: &[u8]) -> Result<u64, JournalError>;
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
}

/// The journal failed.
#[derive(Debug, thiserror::Error)]
#[error("the journal's stream {stream} failed")]
pub struct JournalError {
    /// Which stream.
    pub stream: String,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}
