//! The bounds of a batch.

use super::{Batch, StoreError};
use crate::limits::{BATCH_BYTES, BATCH_OPERATIONS};

/// Refuses a batch that is larger than any backend has to take; a backend's `commit` begins with this.
///
/// # Errors
/// [`StoreError::TooLarge`].
pub fn check_bounds(batch: &Batch) -> Result<(), StoreError> {
    let (operations, bytes) = size(batch);
    if operations > BATCH_OPERATIONS || bytes > BATCH_BYTES {
        return Err(StoreError::TooLarge { operations, bytes });
    }
    Ok(())
}

/// The operations and bytes of a batch, as the bounds count them.
pub(crate) fn size(batch: &Batch) -> (usize, usize) {
    let entries: usize = batch.appends.iter().map(|append| append.entries.len()).sum();
    let operations = batch.expects.len() + batch.puts.len() + batch.deletes.len() + entries;
    let values = batch.puts.iter().map(|(_, value)| value);
    let bytes: usize = values
        .chain(batch.appends.iter().flat_map(|append| &append.entries))
        .map(|v| v.to_string().len())
        .sum();
    (operations, bytes)
}
