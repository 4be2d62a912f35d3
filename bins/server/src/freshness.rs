//! Whether the store is the one that this server used last (DESIGN: safety).

use std::{sync::Arc, time::Duration};

use bootcode_core::{
    clock::Clock,
    snapshot::Snapshot,
    store::{Batch, Commit, Expect, Key, Revision, Store, StoreError, Stored},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::data::{DataDir, DataError};

/// What the epochs of the data directory and of the store say; the gravest comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Freshness {
    /// The store continues where this server left it.
    Continued,
    /// The store was created at this start.
    Fresh,
    /// The store is older than the data directory, or the data directory is another one.
    Restored,
}

/// How often it is written down how far the store is. A copy that is put back is told where more than this lies between the two.
const MARK: Duration = Duration::from_secs(1);

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
/// What was found stays with the store until [`settle`]: a start that fails in its middle is no start, and the next one
/// finds the same.
///
/// # Errors
/// See [`FreshnessError`].
pub(crate) async fn begin(data: &DataDir, store: &dyn Store) -> Result<Freshness, FreshnessError> {
    let file = data.epoch()?;
    let (_, Revision(at)) = store.list(&key().kind).await?;
    let stored = store.get(&key()).await?;
    let field = |name: &str| stored.as_ref().and_then(|stored| stored.value.get(name).cloned());
    let in_store = field("epoch").and_then(|epoch| epoch.as_u64());
    let unsettled = field("unsettled").and_then(|found| serde_json::from_value(found).ok());
    // A store may be restored that was never settled: what is found now counts as well as what was found then.
    let mut freshness = compare(file, in_store, unsettled);
    // Revisions never go back. This tells a copy that was made and put back between two starts, which has the right epoch.
    if freshness == Freshness::Continued && data.reached()?.is_some_and(|reached| reached > at) {
        freshness = Freshness::Restored;
    }
    let epoch = file.unwrap_or(0).max(in_store.unwrap_or(0)) + 1;
    write(store, stored.as_ref(), json!({"epoch": epoch, "unsettled": freshness})).await?;
    data.set_epoch(epoch)?;
    // The last of the three: until here a start that fails leaves the next one to find the same.
    data.set_reached(at)?;
    Ok(freshness)
}

/// Writes down, until cancelled and once then, how far the store is: what is put back later and is behind it is told by [`begin`].
pub(crate) async fn follow(
    data: DataDir,
    snapshot: Arc<Snapshot>,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
) {
    let mut written = Revision::default();
    loop {
        let now = clock.now();
        let next = now.saturating_add(MARK).unwrap_or(now);
        let is_over = cancel.run_until_cancelled(clock.sleep_until(next)).await.is_none();
        let reached = snapshot.revision();
        if reached != written {
            let data = data.clone();
            let done = tokio::task::spawn_blocking(move || data.set_reached(reached.0)).await;
            match done {
                Ok(Ok(())) => written = reached,
                Ok(Err(error)) => tracing::warn!(%error, "how far the store is cannot be written down now"),
                Err(error) => tracing::error!(%error, "how far the store is was not written down"),
            }
        }
        if is_over {
            return;
        }
    }
}

/// Everything that follows from what [`begin`] found is durable: the next start continues this one.
///
/// # Errors
/// See [`FreshnessError`].
pub(crate) async fn settle(store: &dyn Store) -> Result<(), FreshnessError> {
    let stored = store.get(&key()).await?;
    let epoch = stored.as_ref().map(|stored| stored.value["epoch"].clone());
    write(store, stored.as_ref(), json!({"epoch": epoch})).await
}

/// Says in a copy of a store that it is one: whichever server is started on it finds it restored. Between two starts of a server its
/// epochs do not change, so that they alone would not tell a copy from the store that was copied.
///
/// # Errors
/// See [`FreshnessError`].
pub(crate) async fn mark_copy(copy: &dyn Store) -> Result<(), FreshnessError> {
    let stored = copy.get(&key()).await?;
    let epoch = stored.as_ref().map_or(json!(0), |stored| stored.value["epoch"].clone());
    write(copy, stored.as_ref(), json!({"epoch": epoch, "unsettled": Freshness::Restored})).await
}

fn key() -> Key {
    Key::new("Site", "epoch")
}

async fn write(store: &dyn Store, stored: Option<&Stored>, value: Value) -> Result<(), FreshnessError> {
    let expect = match stored {
        Some(stored) => Expect::At(key(), stored.revision),
        None => Expect::Absent(key()),
    };
    let batch = Batch { expects: vec![expect], puts: vec![(key(), value)], ..Batch::default() };
    match store.commit(batch).await? {
        Commit::Done(_) => Ok(()),
        Commit::Conflict { .. } => Err(FreshnessError::Shared),
    }
}

fn compare(file: Option<u64>, store: Option<u64>, unsettled: Option<Freshness>) -> Freshness {
    let found = match (file, store) {
        (_, None) => Freshness::Fresh,
        // One ahead: the last start ended between the two writes.
        (Some(file), Some(store)) if store == file || store == file + 1 => Freshness::Continued,
        // The very first start ended between the two writes, and said so in the store.
        (None, Some(1)) if unsettled == Some(Freshness::Fresh) => Freshness::Fresh,
        (_, Some(_)) => Freshness::Restored,
    };
    unsettled.map_or(found, |unsettled| unsettled.max(found))
}

#[cfg(test)]
mod tests {
    use bootcode_core::store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn a_start_that_fails_is_no_start() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let store = MemoryStore::new();
        for _ in 0..3 {
            assert_eq!(begin(&data, &store).await.unwrap(), Freshness::Fresh);
        }
        settle(&store).await.unwrap();
        assert_eq!(begin(&data, &store).await.unwrap(), Freshness::Continued);
        settle(&store).await.unwrap();
        data.set_epoch(40).unwrap();
        for _ in 0..2 {
            assert_eq!(begin(&data, &store).await.unwrap(), Freshness::Restored);
        }
        settle(&store).await.unwrap();
        assert_eq!(begin(&data, &store).await.unwrap(), Freshness::Continued);
    }

    #[tokio::test]
    async fn a_copy_is_told_from_the_store_that_was_copied() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let store = MemoryStore::new();
        begin(&data, &store).await.unwrap();
        settle(&store).await.unwrap();
        // Without a start in between.
        mark_copy(&store).await.unwrap();
        for _ in 0..2 {
            assert_eq!(begin(&data, &store).await.unwrap(), Freshness::Restored);
        }
        settle(&store).await.unwrap();
        assert_eq!(begin(&data, &store).await.unwrap(), Freshness::Continued);
    }

    #[tokio::test]
    async fn a_plain_copy_that_is_put_back_without_a_start_in_between_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let store = MemoryStore::new();
        begin(&data, &store).await.unwrap();
        settle(&store).await.unwrap();
        // The copy: the same epoch, fewer commits.
        let copy = MemoryStore::new();
        write(&copy, None, store.get(&key()).await.unwrap().unwrap().value).await.unwrap();
        let (_, Revision(at)) = store.list("Site").await.unwrap();
        data.set_reached(at).unwrap();
        for _ in 0..2 {
            assert_eq!(begin(&data, &copy).await.unwrap(), Freshness::Restored);
        }
        settle(&copy).await.unwrap();
        for _ in 0..2 {
            assert_eq!(begin(&data, &copy).await.unwrap(), Freshness::Continued);
        }
    }

    #[test]
    fn epochs_tell_a_lost_a_restored_and_a_continued_store_apart() {
        use Freshness::{Continued, Fresh, Restored};
        for (file, store, unsettled, expected) in [
            (None, None, None, Fresh),
            (Some(5), None, None, Fresh),
            (Some(5), Some(5), None, Continued),
            (Some(5), Some(6), None, Continued),
            (Some(5), Some(4), None, Restored),
            (Some(5), Some(7), None, Restored),
            // The data directory is another one.
            (None, Some(5), None, Restored),
            (None, Some(1), None, Restored),
            (None, Some(1), Some(Fresh), Fresh),
            (None, Some(3), Some(Fresh), Restored),
            (Some(1), Some(2), Some(Fresh), Fresh),
            (Some(9), Some(2), Some(Fresh), Restored),
            (Some(5), Some(5), Some(Restored), Restored),
        ] {
            let found = compare(file, store, unsettled);
            assert_eq!(found, expected, "file {file:?}, store {store:?}, unsettled {unsettled:?}");
        }
    }
}
