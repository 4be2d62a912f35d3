//! Applying documents: all of them or none.
//!
//! ```text
//!  files --validate--> DocumentSet --diff--> what is new --one batch--> Store
//!                           +-- new Workflows --compile, Engine::prepare--> their logs, in the same batch
//! ```

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    document::{Catalog, CompileError, Diff, Document, Kind, WorkflowDocSpec, diff, validate},
    engine::{Engine, EngineError, NewWorkflow},
    limits::BATCH_OPERATIONS,
    store::{Batch, Commit, Expect, Key, Revision, Store, StoreError},
    workflow::Hold,
    yaml::Faults,
};

pub use crate::document::Origin;

/// How often an apply starts again because something else was written meanwhile.
const TRIES: usize = 5;

/// Applies documents to a store.
pub struct Applier {
    store: Arc<dyn Store>,
    engine: Arc<Engine>,
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
    /// The engine refuses a Workflow, or cannot answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Another document needs it.
    #[error("{what} is needed by {by}: delete or change that first")]
    Needed {
        /// What should be deleted.
        what: String,
        /// What names it.
        by: String,
    },
    /// A Workflow with its log is kept.
    #[error(
        "Workflow `{workflow}` is {state}: its log is kept; `bootcode cancel {workflow}` ends an open one"
    )]
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
    pub fn new(store: Arc<dyn Store>, engine: Arc<Engine>, directory_hold: Option<Hold>) -> Self {
        Self { store, engine, directory_hold, one_at_a_time: Mutex::new(()) }
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
        let (existing, mut revision) = self.existing().await?;
        let documents: Vec<Document> = existing.values().map(|(document, _)| document.clone()).collect();
        let set = validate(files, &documents, origin).map_err(ApplyError::Faults)?;
        let diff = diff(&documents, set.documents());
        let ids = diff.created.iter().chain(diff.changed.iter().map(|changed| &changed.id));
        let written: HashSet<(Kind, &str)> = ids.map(|id| (id.kind, id.name.as_str())).collect();
        let mut new: Vec<&Document> =
            set.documents().filter(|document| written.contains(&id(document))).collect();
        // What others refer to comes first, should the documents need several batches.
        new.sort_by_key(|document| document.kind);
        let catalog = Catalog::new(documents.iter().chain(set.documents()));
        let mut batches = vec![Batch::default()];
        for document in &new {
            let mut part = match document.kind {
                Kind::Workflow => self.create(document, &catalog, origin).await?,
                _ => Batch::default(),
            };
            let key = Key::new(document.kind.name(), &document.metadata.name);
            part.expects.push(match existing.get(&key) {
                Some((_, revision)) => Expect::At(key.clone(), *revision),
                None => Expect::Absent(key.clone()),
            });
            part.puts.push((key, to_value(document)));
            add(&mut batches, part);
        }
        // A larger apply is validated as a whole before its first batch; a crash in its middle leaves a valid part, and
        // applying again adds the rest.
        for batch in batches.into_iter().filter(|batch| !batch.puts.is_empty()) {
            match self.store.commit(batch).await? {
                Commit::Done(done) => revision = done,
                Commit::Conflict { .. } => return Ok(None),
            }
        }
        for workflow in new.iter().filter(|document| document.kind == Kind::Workflow) {
            self.engine.refresh(&workflow.metadata.name).await?;
        }
        Ok(Some(Done { diff, revision }))
    }

    /// What creates a new Workflow's log.
    async fn create(
        &self,
        document: &Document,
        catalog: &Catalog<'_>,
        origin: Origin,
    ) -> Result<Batch, ApplyError> {
        let name = document.metadata.name.clone();
        let failed = |source: CompileError| ApplyError::Compile { workflow: name.clone(), source };
        let declared = WorkflowDocSpec::from_document(document).map_err(|error| failed(error.into()))?;
        let spec = catalog.compile(&declared).map_err(failed)?;
        let from_directory = origin == Origin::Directory;
        let hold = self.directory_hold.clone().filter(|_| from_directory);
        let new = NewWorkflow { name: name.clone(), declared, spec, from_directory, hold };
        Ok(self.engine.prepare(&new).await?)
    }

    /// Whether a document may be deleted: nothing that is stored refers to it.
    ///
    /// # Errors
    /// [`ApplyError::Needed`] names what does; a Workflow is [`ApplyError::Kept`] until it has ended.
    pub async fn may_delete(&self, kind: Kind, name: &str) -> Result<(), ApplyError> {
        let open = |name: &str| self.engine.state(name).filter(|state| !state.phase.is_terminal());
        if kind == Kind::Workflow {
            return match open(name) {
                Some(state) => Err(ApplyError::Kept { workflow: name.to_owned(), state: state.state_name() }),
                None => Ok(()),
            };
        }
        let names = |document: &Document| match (kind, document.kind) {
            (Kind::Profile, Kind::Hardware) => document.spec["profile"] == name,
            (Kind::Network, Kind::Hardware) => uses_network(document, name),
            (Kind::Hardware, Kind::Workflow) => {
                document.spec["hardware"] == name && open(&document.metadata.name).is_some()
            }
            // A Workflow holds its rendered Template.
            _ => false,
        };
        let (existing, _) = self.existing().await?;
        match existing.values().map(|(document, _)| document).find(|document| names(document)) {
            None => Ok(()),
            Some(by) => Err(ApplyError::Needed {
                what: format!("{kind} `{name}`"),
                by: format!("{} `{}`", by.kind, by.metadata.name),
            }),
        }
    }

    /// Every document with the revision that wrote it, and the revision at which this was so.
    async fn existing(&self) -> Result<(BTreeMap<Key, (Document, Revision)>, Revision), StoreError> {
        let (mut existing, mut revision) = (BTreeMap::new(), Revision::default());
        for kind in Kind::ALL {
            let (stored, at) = self.store.list(kind.name()).await?;
            revision = at;
            for stored in stored {
                let document = serde_json::from_value(stored.value).map_err(|error| StoreError::Damaged {
                    place: format!("{}/{}", stored.key.kind, stored.key.name),
                    message: error.to_string(),
                })?;
                existing.insert(stored.key, (document, stored.revision));
            }
        }
        Ok((existing, revision))
    }
}

/// Adds to the last batch, or begins another where that one is full.
fn add(batches: &mut Vec<Batch>, part: Batch) {
    let operations = |batch: &Batch| batch.puts.len() + batch.deletes.len() + batch.appends.len();
    match batches.last_mut() {
        Some(last) if operations(last) + operations(&part) <= BATCH_OPERATIONS => {
            last.expects.extend(part.expects);
            last.puts.extend(part.puts);
            last.appends.extend(part.appends);
        }
        _ => batches.push(part),
    }
}

fn id(document: &Document) -> (Kind, &str) {
    (document.kind, document.metadata.name.as_str())
}

fn uses_network(hardware: &Document, name: &str) -> bool {
    let interfaces = hardware.spec["interfaces"].as_array().map(Vec::as_slice).unwrap_or_default();
    interfaces.iter().any(|interface| interface["network"] == name)
}

/// Documents are made of strings, numbers and maps with text keys: they always have a JSON form.
fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
