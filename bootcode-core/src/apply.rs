//! Applying documents: all of them or none.
//!
//! ```text
//!  files --validate--> DocumentSet --diff--> what is new --one batch--> Store
//!                           +-- new Workflows --compile, decide(Create)--> their logs, in the same batch
//! ```

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    clock::Clock,
    document::{Catalog, CompileError, Diff, Document, Kind, WorkflowDocSpec, diff, validate},
    limits::BATCH_OPERATIONS,
    snapshot::Snapshot,
    store::{Append, Batch, Commit, Expect, Key, Revision, Store, StoreError},
    workflow::{Command, Event, Hold, Recorded, Rejection, State, decide},
    yaml::Faults,
};

pub use crate::document::Origin;

/// How often an apply starts again because something else was written meanwhile.
const TRIES: usize = 5;

/// Applies documents to a store.
pub struct Applier {
    store: Arc<dyn Store>,
    snapshot: Arc<Snapshot>,
    clock: Arc<dyn Clock>,
    directory_hold: Option<Hold>,
    one_at_a_time: Mutex<()>,
}

/// What an apply did.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// What was created and changed.
    pub diff: Diff,
    /// The revision that holds it all.
    pub revision: Revision,
}

/// Nothing was applied, or nothing deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The documents have faults.
    #[error("{0}")]
    Faults(Faults),
    /// A Workflow's template does not become what a worker can run.
    #[error("Workflow `{workflow}`: {source}")]
    Compile {
        /// The Workflow.
        workflow: String,
        /// What is wrong.
        #[source]
        source: CompileError,
    },
    /// The rules forbid it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Another document needs it.
    #[error("{what} is needed by {by}: delete or change that first")]
    Needed {
        /// What should be deleted.
        what: String,
        /// What names it.
        by: String,
    },
    /// A Workflow with its log is kept.
    #[error("Workflow `{workflow}` is {state}: its log is kept; `bootcode cancel {workflow}` ends an open one")]
    Kept {
        /// The Workflow.
        workflow: String,
        /// Its state.
        state: &'static str,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else wrote the same documents again and again.
    #[error("the documents were changed by somebody else meanwhile: apply again")]
    Contended,
}

impl Applier {
    /// Applies to `store`. Workflows that a watched directory brings begin with `directory_hold`, where there is one.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        snapshot: Arc<Snapshot>,
        clock: Arc<dyn Clock>,
        directory_hold: Option<Hold>,
    ) -> Self {
        Self { store, snapshot, clock, directory_hold, one_at_a_time: Mutex::new(()) }
    }

    /// Applies the documents of these files: pairs of a name, which faults repeat, and the text.
    ///
    /// # Errors
    /// See [`ApplyError`]; then nothing was applied.
    pub async fn apply(&self, files: &[(String, String)], origin: Origin) -> Result<Done, ApplyError> {
        let _turn = self.one_at_a_time.lock().await;
        for _ in 0..TRIES {
            if let Some(done) = self.try_apply(files, origin).await? {
                return Ok(done);
            }
        }
        Err(ApplyError::Contended)
    }

    async fn try_apply(
        &self,
        files: &[(String, String)],
        origin: Origin,
    ) -> Result<Option<Done>, ApplyError> {
        let existing = self.existing().await?;
        let documents: Vec<Document> = existing.iter().map(|(document, _)| document.clone()).collect();
        let set = validate(files, &documents, origin).map_err(ApplyError::Faults)?;
        let diff = diff(&documents, set.documents());
        let revision_of = |document: &Document| {
            let same = |(other, _): &&(Document, Revision)| {
                other.kind == document.kind && other.metadata.name == document.metadata.name
            };
            existing.iter().find(same).map(|(_, revision)| *revision)
        };
        let written = |document: &&Document| {
            let name = &document.metadata.name;
            diff.created.iter().chain(diff.changed.iter().map(|changed| &changed.id)).any(|id| {
                id.kind == document.kind && id.name == *name
            })
        };
        let mut new: Vec<&Document> = set.documents().filter(written).collect();
        // What others refer to comes first, should the documents need several batches.
        new.sort_by_key(|document| document.kind);
        let catalog = Catalog::new(documents.iter().chain(set.documents()));
        let mut batches = Vec::new();
        for document in new {
            let key = Key::new(document.kind.name(), &document.metadata.name);
            let expect = match revision_of(document) {
                Some(revision) => Expect::At(key.clone(), revision),
                None => Expect::Absent(key.clone()),
            };
            let append = match document.kind {
                Kind::Workflow => Some(self.create(document, &catalog, origin).await?),
                _ => None,
            };
            batches.push((expect, (key, to_value(document)), append));
        }
        self.commit(batches, diff).await
    }

    /// One batch where it fits into one. A larger apply is validated as a whole before its first batch; a crash in its
    /// middle leaves a valid part, and applying again adds the rest.
    async fn commit(
        &self,
        writes: Vec<(Expect, (Key, Value), Option<Append>)>,
        diff: Diff,
    ) -> Result<Option<Done>, ApplyError> {
        let mut revision = self.snapshot.revision();
        let mut batch = Batch::default();
        for (expect, put, append) in writes {
            if batch.puts.len() + batch.appends.len() + 2 > BATCH_OPERATIONS {
                match self.store.commit(std::mem::take(&mut batch)).await? {
                    Commit::Done(done) => revision = done,
                    Commit::Conflict { .. } => return Ok(None),
                }
            }
            batch.expects.push(expect);
            batch.puts.push(put);
            batch.appends.extend(append);
        }
        if !batch.puts.is_empty() {
            match self.store.commit(batch).await? {
                Commit::Done(done) => revision = done,
                Commit::Conflict { .. } => return Ok(None),
            }
        }
        Ok(Some(Done { diff, revision }))
    }

    /// The first entries of a new Workflow's log.
    async fn create(
        &self,
        document: &Document,
        catalog: &Catalog<'_>,
        origin: Origin,
    ) -> Result<Append, ApplyError> {
        let name = &document.metadata.name;
        let failed = |source: CompileError| ApplyError::Compile { workflow: name.clone(), source };
        let declared = WorkflowDocSpec::from_document(document).map_err(|error| failed(error.into()))?;
        let spec = catalog.compile(&declared).map_err(failed)?;
        let from_directory = origin == Origin::Directory;
        let command = Command::Create {
            declared: &declared,
            spec: &spec,
            from_directory,
            hold: self.directory_hold.clone().filter(|_| from_directory),
        };
        let now = self.clock.now();
        let state = State::empty(name.as_str());
        let events = decide(&state, command, now)?;
        self.not_busy(&state, &events, now)?;
        let entries = (1..).zip(events).map(|(seq, event)| to_value(&Recorded { seq, at: now, event })).collect();
        Ok(Append { log: format!("workflow/{name}"), after: 0, entries })
    }

    /// A machine has one open workflow that writes its disks.
    fn not_busy(
        &self,
        state: &State,
        events: &[Event],
        now: crate::clock::Timestamp,
    ) -> Result<(), Rejection> {
        let mut created = state.clone();
        for (seq, event) in (1..).zip(events) {
            created.apply(&Recorded { seq, at: now, event: event.clone() });
        }
        let Some(hardware) = created.plan.as_ref().map(|plan| plan.declared.hardware.clone()) else { return Ok(()) };
        let writes_the_same = |other: &State| {
            !other.phase.is_terminal()
                && other.writes()
                && other.plan.as_ref().is_some_and(|plan| plan.declared.hardware == hardware)
        };
        match self.snapshot.workflows().into_iter().find(writes_the_same) {
            Some(other) if created.writes() => {
                Err(Rejection::Busy { workflow: created.name, hardware, other: other.name })
            }
            _ => Ok(()),
        }
    }

    /// Whether a document may be deleted: nothing that is stored refers to it.
    ///
    /// # Errors
    /// [`ApplyError::Needed`] names what does; a Workflow is [`ApplyError::Kept`] until it has ended.
    pub async fn may_delete(&self, kind: Kind, name: &str) -> Result<(), ApplyError> {
        if kind == Kind::Workflow {
            let open = |state: &State| state.name == name && !state.phase.is_terminal();
            return match self.snapshot.workflows().into_iter().find(open) {
                Some(state) => Err(ApplyError::Kept { workflow: name.to_owned(), state: state.state_name() }),
                None => Ok(()),
            };
        }
        let existing = self.existing().await?;
        let names = |document: &Document| match kind {
            Kind::Profile => document.kind == Kind::Hardware && document.spec["profile"] == name,
            Kind::Network => document.kind == Kind::Hardware && uses_network(document, name),
            Kind::Hardware => document.kind == Kind::Workflow && document.spec["hardware"] == name,
            Kind::Template => document.kind == Kind::Workflow && document.spec["template"] == name,
            Kind::Workflow | Kind::Secret => false,
        };
        let ended = |document: &Document| {
            let done = |state: &State| state.name == document.metadata.name && state.phase.is_terminal();
            document.kind == Kind::Workflow && self.snapshot.workflows().iter().any(done)
        };
        match existing.iter().map(|(document, _)| document).find(|document| names(document) && !ended(document)) {
            None => Ok(()),
            Some(by) => Err(ApplyError::Needed {
                what: format!("{kind} `{name}`"),
                by: format!("{} `{}`", by.kind, by.metadata.name),
            }),
        }
    }

    async fn existing(&self) -> Result<Vec<(Document, Revision)>, StoreError> {
        let mut existing = Vec::new();
        for kind in Kind::ALL {
            for stored in self.store.list(kind.name()).await?.0 {
                match serde_json::from_value(stored.value) {
                    Ok(document) => existing.push((document, stored.revision)),
                    Err(error) => {
                        let place = format!("{}/{}", stored.key.kind, stored.key.name);
                        return Err(StoreError::Damaged { place, message: error.to_string() });
                    }
                }
            }
        }
        Ok(existing)
    }
}

fn uses_network(hardware: &Document, name: &str) -> bool {
    let interfaces = hardware.spec["interfaces"].as_array().map(Vec::as_slice).unwrap_or_default();
    interfaces.iter().any(|interface| interface["network"] == name)
}

/// Documents and events are made of strings, numbers and maps with text keys: they always have a JSON form.
fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
