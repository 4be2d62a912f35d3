//! An apply that is larger than one batch: all of it or nothing, whenever the server ends.
//!
//! ```text
//! record     Apply/1 .. n = one batch each, as JSON       nobody reads them; each commit expects what its batch expects
//! decide     Site/documents = {"parts": n}                one commit: from here on all of it is applied
//! carry out  batch 1 .. n, each with the deletion of its record, then Site/documents = {"parts": 0}
//! ```
//!
//! `Site/documents` is also what every writer of documents expects as it was read and writes anew: nobody writes between the two
//! last steps, and of two who write at once one looks again. Whoever finds it open carries the rest out first: the next apply,
//! and a server when it starts. A snapshot shows nothing of it before all is there.

use serde_json::{Value, json};

use crate::{
    limits::BATCH_OPERATIONS,
    store::{Append, Batch, Commit, Expect, Key, Revision, Store, StoreError, Stored},
};

/// The kind of the records.
const RECORD: &str = "Apply";
/// How often a conflict with another server that carries the same out is looked at again.
const ROUNDS: u32 = 64;

/// What every writer of documents expects, and writes anew.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    revision: Option<Revision>,
    parts: u64,
}

impl Turn {
    /// As it stands.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let stored = store.get(&key()).await?;
        let parts = stored.as_ref().map_or(0, |stored| parts(&stored.value));
        Ok(Self { revision: stored.map(|stored| stored.revision), parts })
    }

    /// Whether an apply was decided that is not carried out yet.
    pub(crate) const fn is_open(&self) -> bool {
        self.parts > 0
    }

    /// The commit that wrote it last.
    pub(crate) fn revision(&self) -> Revision {
        self.revision.unwrap_or_default()
    }

    /// That nobody wrote documents since it was read.
    pub(crate) fn expect(&self) -> Expect {
        self.revision.map_or_else(|| Expect::Absent(key()), |revision| Expect::At(key(), revision))
    }

    /// Makes a batch one that writes documents.
    pub(crate) fn take(&self, batch: &mut Batch) {
        batch.expects.push(self.expect());
        batch.puts.push((key(), json!({"parts": 0})));
    }
}

impl Turn {
    /// A batch that took it was carried out: the next one of the same writer goes on from there.
    pub(super) const fn taken(&mut self, at: Revision) {
        self.revision = Some(at);
    }
}

/// Whether an apply left records: decided ones, or such that nobody decides any more.
///
/// # Errors
/// See [`StoreError`].
pub(super) async fn has_records(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(!store.list(RECORD).await?.0.is_empty())
}

/// How many parts of an apply are to be carried out, where this change says so.
pub(crate) fn announced(changed: &Key, value: &Value) -> Option<u64> {
    (*changed == key()).then(|| parts(value))
}

/// The document that [`Turn`] is.
pub(crate) fn key() -> Key {
    Key::new("Site", "documents")
}

fn parts(value: &Value) -> u64 {
    value["parts"].as_u64().unwrap_or(0)
}

/// The documents that an apply which was decided still has to write, in order; none where there is none.
///
/// # Errors
/// See [`StoreError`].
pub(crate) async fn unwritten(store: &dyn Store) -> Result<Vec<(Key, Value)>, StoreError> {
    let (records, _) = store.list(RECORD).await?;
    let mut puts = Vec::new();
    for record in records {
        puts.extend(batch(&record)?.puts);
    }
    Ok(puts)
}

/// Records and decides these parts; `None` where somebody else wrote documents meanwhile.
///
/// # Errors
/// [`StoreError::Unknown`] where it may be decided: [`settle`] knows.
pub(super) async fn decide(
    store: &dyn Store,
    turn: &Turn,
    parts: Vec<Batch>,
) -> Result<Option<()>, StoreError> {
    let count = parts.len();
    for (number, mut part) in (1..).zip(parts) {
        let mut expects = std::mem::take(&mut part.expects);
        let key = Key::new(RECORD, format!("{number:08}"));
        // Of two who record at once, one finds the other's.
        expects.extend([turn.expect(), Expect::Absent(key.clone())]);
        let batch = Batch { expects, puts: vec![(key, json!(part))], ..Batch::default() };
        if let Commit::Conflict { .. } = store.commit(batch).await? {
            return Ok(None);
        }
    }
    let decided = Batch {
        expects: vec![turn.expect()],
        puts: vec![(key(), json!({"parts": count}))],
        ..Batch::default()
    };
    Ok(match store.commit(decided).await? {
        Commit::Done(_) => Some(()),
        Commit::Conflict { .. } => None,
    })
}

/// Carries out an apply that was decided, and drops the records of one that was not. What [`super::Applier`] does before each apply, and
/// a server before it reads its documents. The revision of the last commit, where there was something to do.
///
/// # Errors
/// See [`StoreError`]; what is left to do is done the next time.
pub async fn settle(store: &dyn Store) -> Result<Option<Revision>, StoreError> {
    for _ in 0..ROUNDS {
        let turn = Turn::read(store).await?;
        let (records, _) = store.list(RECORD).await?;
        if !turn.is_open() && records.is_empty() {
            return Ok(None);
        }
        let done = if turn.is_open() {
            carry_out(store, &turn, records).await
        } else {
            drop_records(store, &turn, records).await
        };
        match done {
            Ok(Some(revision)) => return Ok(Some(revision)),
            // Another server does the same, or an answer was lost: what is left is seen in the next round.
            Ok(None) | Err(StoreError::Unknown) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Unavailable {
        message: "an apply cannot be carried out: others write at once".to_owned(),
    })
}

async fn carry_out(
    store: &dyn Store,
    turn: &Turn,
    records: Vec<Stored>,
) -> Result<Option<Revision>, StoreError> {
    for record in records {
        let mut part = batch(&record)?;
        // Its record is there for as long as it is not carried out: nobody carries it out twice.
        part.expects.push(Expect::At(record.key.clone(), record.revision));
        part.deletes.push(record.key.clone());
        while let Commit::Conflict { what } = store.commit(part.clone()).await? {
            let Some(at) = part.appends.iter().position(|append| append.log == what) else { return Ok(None) };
            if is_ours(store, &part.appends[at]).await? {
                return Ok(None);
            }
            // Only a writer that takes no turn gets here. The log that it began stays its own, the rest must not wait for ever.
            tracing::error!(
                log = what,
                "an apply finds a log that somebody else wrote meanwhile; its entries are dropped"
            );
            part.appends.remove(at);
        }
    }
    let mut close = Batch::default();
    turn.take(&mut close);
    match store.commit(close).await? {
        Commit::Done(revision) => Ok(Some(revision)),
        Commit::Conflict { .. } => Ok(None),
    }
}

/// Whether these very entries are in the log: another server carried them out.
async fn is_ours(store: &dyn Store, append: &Append) -> Result<bool, StoreError> {
    let read = store.read(&append.log, append.after + 1).await?;
    Ok(!read.is_empty()
        && read.iter().map(|entry| &entry.value).take(append.entries.len()).eq(&append.entries))
}

/// Removes what an apply recorded that was never decided.
async fn drop_records(
    store: &dyn Store,
    turn: &Turn,
    records: Vec<Stored>,
) -> Result<Option<Revision>, StoreError> {
    let mut turn = turn.clone();
    // The turn's own expectation and its document are two operations of each batch.
    for records in records.chunks(BATCH_OPERATIONS - 2) {
        let deletes = records.iter().map(|record| record.key.clone()).collect();
        let mut batch = Batch { deletes, ..Batch::default() };
        turn.take(&mut batch);
        match store.commit(batch).await? {
            Commit::Done(revision) => turn.taken(revision),
            Commit::Conflict { .. } => return Ok(None),
        }
    }
    Ok(turn.revision)
}

fn batch(record: &Stored) -> Result<Batch, StoreError> {
    serde_json::from_value(record.value.clone()).map_err(|error| StoreError::Damaged {
        place: format!("{}/{}", record.key.kind, record.key.name),
        message: error.to_string(),
    })
}
