//! The store: documents and logs behind one revision, one atomic commit and one watch.

#[cfg(feature = "engine")]
mod bounds;
#[cfg(all(feature = "engine", any(test, feature = "testing")))]
pub mod conformance;
#[cfg(feature = "engine")]
mod follow;
#[cfg(feature = "engine")]
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;

#[cfg(feature = "engine")]
pub use bounds::check_bounds;
#[cfg(feature = "engine")]
pub(crate) use bounds::size as batch_size;
#[cfg(feature = "engine")]
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Orders everything in a store. The first commit makes revision 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// Names a document: its kind (those of `document::Kind` by name, and internal ones) and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// `Hardware`, `Lease` ..
    pub kind: String,
    /// Unique within the kind.
    pub name: String,
}

impl Key {
    /// The key of this kind and name.
    #[must_use]
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), name: name.into() }
    }
}

/// A stored document.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Which.
    pub key: Key,
    /// The revision that wrote it last.
    pub revision: Revision,
    /// Its content.
    pub value: Value,
}

/// What must be so for a batch to be carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Expect {
    /// The document does not exist.
    Absent(Key),
    /// The document was last written by this revision.
    At(Key, Revision),
}

/// Entries for the end of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Append {
    /// The log's name: `workflow/<name>`.
    pub log: String,
    /// The sequence number of the last entry that the writer knows; 0 for an empty log. Anything else is a conflict.
    pub after: u64,
    /// In order.
    pub entries: Vec<Value>,
}

/// Changes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Conditions.
    pub expects: Vec<Expect>,
    /// Documents to write.
    pub puts: Vec<(Key, Value)>,
    /// Documents to delete; deleting an absent one is no error.
    pub deletes: Vec<Key>,
    /// Log entries.
    pub appends: Vec<Append>,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Commit {
    /// It is durable.
    Done(Revision),
    /// A condition or a log's sequence number did not hold; nothing was changed.
    Conflict {
        /// Which: the key, or the log's name.
        what: String,
    },
}

/// One change, as watchers see it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A document was written.
    Put(Stored),
    /// A document was deleted.
    Deleted(Key),
    /// A log grew.
    Appended {
        /// Its name.
        log: String,
        /// The sequence number of the first new entry.
        seq: u64,
        /// The new entries.
        entries: Vec<Value>,
    },
}

/// A commit as watchers see it: whole, and in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// A commit.
    Commit {
        /// Its revision.
        revision: Revision,
        /// Its changes, in the batch's order: puts, deletes, appends.
        changes: Vec<Change>,
    },
    /// The watcher fell too far behind: list again. The stream ends after this.
    Compacted,
}

/// A log entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Counts from 1.
    pub seq: u64,
    /// Its content.
    pub value: Value,
}

/// A stream of commits.
pub type Watch = Pin<Box<dyn Stream<Item = Watched> + Send>>;

/// Documents and logs. `conformance::check` says what an implementation owes.
#[async_trait]
pub trait Store: Send + Sync {
    /// A document.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError>;
    /// All documents of a kind, by name, and the revision at which this was so.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError>;
    /// The entries of a log with sequence number `from` and above.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError>;
    /// The names of the logs that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
    /// Removes the entries of a log before `before`; sequence numbers stay.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError>;
    /// Carries a batch out: atomic, and durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where the answer was lost: read and look for your own entries.
    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError>;
    /// Every commit after `from`, in order, then new ones as they come.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn watch(&self, from: Revision) -> Result<Watch, StoreError>;
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It does not answer; nothing was changed.
    #[error("the store does not answer: {message}")]
    Unavailable {
        /// The backend's words.
        message: String,
    },
    /// The answer to a commit was lost.
    #[error(
        "the store lost the answer to a commit; whether it was carried out is unknown: look, and do it again; the server's log says why"
    )]
    Unknown,
    /// The batch is larger than the bounds of `limits`.
    #[error("a batch of {operations} operations and {bytes} bytes is over the bound")]
    TooLarge {
        /// Its operations.
        operations: usize,
        /// Its bytes.
        bytes: usize,
    },
    /// What is stored cannot be read.
    #[error("the store at {place} is damaged: {message}; it was left as it is, restore a backup")]
    Damaged {
        /// Its place.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// The storage cannot be written: it, its directory or its file system is read-only for the server's user.
    #[error(
        "the store at {place} cannot be written: {message}; give the server's user the right to write the file and its directory \
         (chown, or a mount that is not read-only), or configure another data_dir"
    )]
    ReadOnly {
        /// Its place.
        place: String,
        /// What was refused.
        message: String,
    },
    /// The storage cannot be opened.
    #[error("the store at {place} cannot be opened: {message}")]
    Open {
        /// Its place.
        place: String,
        /// Why.
        message: String,
    },
}
