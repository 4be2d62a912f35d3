//! Whether the store is the one that this server used last (DESIGN: safety).

use bootcode_core::store::{Batch, Commit, Expect, Key, Store, StoreError};
use serde_json::json;

use crate::data::{DataDir, DataError};

/// What the epochs of the data directory and of the store say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The store continues where this server left it.
    Continued,
    /// The store was created at this start.
    Fresh,
    /// The store is older than the data directory, or the data directory is another one.
    Restored,
}

/// The epochs cannot be read or raised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FreshnessError {
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another server raised the store's epoch meanwhile.
    #[error("another server uses this store: one server owns a data_dir, stop the other")]
    Shared,
}

/// Compares the epochs, then raises both: the store's first, so that a crash between the two leaves it one ahead.
///
/// # Errors
/// See [`FreshnessError`].
pub(crate) async fn begin(data: &DataDir, store: &dyn Store) -> Result<Freshness, FreshnessError> {
    let key = Key::new("Site", "epoch");
    let file = data.epoch()?;
    let stored = store.get(&key).await?;
    let in_store = stored.as_ref().and_then(|stored| stored.value.get("epoch")?.as_u64());
    let freshness = compare(file, in_store);
    let epoch = file.max(in_store.unwrap_or(0)) + 1;
    let expect = match &stored {
        Some(stored) => Expect::At(key.clone(), stored.revision),
        None => Expect::Absent(key.clone()),
    };
    let batch =
        Batch { expects: vec![expect], puts: vec![(key, json!({"epoch": epoch}))], ..Batch::default() };
    match store.commit(batch).await? {
        Commit::Done(_) => data.set_epoch(epoch)?,
        Commit::Conflict { .. } => return Err(FreshnessError::Shared),
    }
    Ok(freshness)
}

fn compare(file: u64, store: Option<u64>) -> Freshness {
    match store {
        None => Freshness::Fresh,
        // One ahead: the last start ended between the two writes.
        Some(store) if store == file || store == file + 1 => Freshness::Continued,
        Some(_) => Freshness::Restored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_tell_a_lost_a_restored_and_a_continued_store_apart() {
        for (file, store, expected) in [
            (0, None, Freshness::Fresh),
            (5, None, Freshness::Fresh),
            (5, Some(5), Freshness::Continued),
            (5, Some(6), Freshness::Continued),
            (5, Some(4), Freshness::Restored),
            (0, Some(5), Freshness::Restored),
            (5, Some(7), Freshness::Restored),
        ] {
            assert_eq!(compare(file, store), expected, "file {file}, store {store:?}");
        }
    }
}
