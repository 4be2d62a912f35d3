//! What an apply writes, in batches that a store takes.

use super::{ApplyError, pending::Turn};
use crate::{
    document::Document,
    limits::{BATCH_BYTES, BATCH_OPERATIONS},
    store::{Batch, batch_size},
};

/// What belongs to one document as a part's record has it besides its values: names, kinds, sequence numbers and JSON's signs.
const RECORD_BYTES: usize = 1024;
/// A part that is recorded is written, is not there yet, and has its turn; carried out, its record is expected and deleted.
const OWN_OPERATIONS: usize = 3;

/// Batches within the bounds of a store, in order. What belongs to one document stays together.
#[derive(Default)]
pub(super) struct Batches {
    parts: Vec<(Batch, usize, usize)>,
}

/// How they are written.
pub(super) enum Way {
    /// There is nothing to write.
    Nothing,
    /// All in one commit.
    One(Batch),
    /// Recorded first.
    Many(Vec<Batch>),
}

impl Batches {
    /// Adds what belongs to one document.
    pub(super) fn add(&mut self, document: &Document, part: Batch) -> Result<(), ApplyError> {
        let (operations, bytes) = batch_size(&part);
        if operations == 0 {
            return Ok(());
        }
        if bytes + RECORD_BYTES > BATCH_BYTES || operations + OWN_OPERATIONS > BATCH_OPERATIONS {
            let what = format!("{} `{}`", document.kind, document.metadata.name);
            return Err(ApplyError::TooLarge { what, bytes });
        }
        self.parts.push((part, operations, bytes));
        Ok(())
    }

    /// One batch where all fits, else as few as there need be.
    pub(super) fn way(self, turn: &Turn) -> Way {
        let mut batches: Vec<(Batch, usize, usize)> = Vec::new();
        for (part, operations, bytes) in self.parts {
            match batches.last_mut() {
                Some((batch, all_operations, all_bytes))
                    if *all_operations + operations + OWN_OPERATIONS <= BATCH_OPERATIONS
                        && *all_bytes + bytes + RECORD_BYTES <= BATCH_BYTES =>
                {
                    batch.expects.extend(part.expects);
                    batch.puts.extend(part.puts);
                    batch.deletes.extend(part.deletes);
                    batch.appends.extend(part.appends);
                    *all_operations += operations;
                    *all_bytes += bytes + RECORD_BYTES;
                }
                _ => batches.push((part, operations, bytes + RECORD_BYTES)),
            }
        }
        let mut batches: Vec<Batch> = batches.into_iter().map(|(batch, ..)| batch).collect();
        match batches.len() {
            0 => Way::Nothing,
            1 => {
                let mut one = batches.remove(0);
                turn.take(&mut one);
                Way::One(one)
            }
            _ => Way::Many(batches),
        }
    }
}
