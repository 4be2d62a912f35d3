//! Applying documents: all of them or none.
//!
//! ```text
//!  files --validate--> DocumentSet --diff--> what is new --batches--> Store
//!                           +-- new Workflows --compile, Engine::prepare--> their logs, in the same batches
//! ```

mod directory;
#[cfg(test)]
mod directory_tests;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    document::{
        Catalog, CompileError, Diff, Document, Id, Kind, Plan, WorkflowDocSpec, diff, validate, writes,
    },
    engine::{Engine, EngineError, NewWorkflow},
    limits::{BATCH_BYTES, BATCH_OPERATIONS},
    store::{Batch, Commit, Expect, Key, Revision, Store, StoreError, batch_size},
    workflow::{Hold, Rejection},
    yaml::Faults,
};

pub use crate::document::Origin;
use directory::{Bringer, source_key};
pub use directory::{Kept, Pruned};

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
    /// What has no effect here.
    pub warnings: Faults,
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
    /// A Workflow of this name ran before.
    #[error(
        "Workflow `{workflow}` ran before and is {state}; its log is kept, so its name is taken: give the new one another"
    )]
    NameTaken {
        /// The Workflow.
        workflow: String,
        /// How it ended.
        state: &'static str,
    },
    /// There is no such document.
    #[error("there is no {kind} `{name}`")]
    Missing {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// More than a store takes at once.
    #[error("{what} has {bytes} bytes, with all that belongs to it; a document may have {BATCH_BYTES}")]
    TooLarge {
        /// The document.
        what: String,
        /// Its size.
        bytes: usize,
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
    /// More documents are gone from a directory than may go at once.
    #[error(
        "{} documents are gone from {directory}, more than `maxDelete: {max}` takes for intended: nothing was deleted. Put \
         them back, raise maxDelete, or delete by hand: {}",
        gone.len(), listed(gone)
    )]
    TooMany {
        /// The directory.
        directory: String,
        /// What is gone.
        gone: Vec<Id>,
        /// What may go at once.
        max: u32,
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
        self.apply_for(files, &Bringer { origin, directory: None }).await
    }

    async fn apply_for(&self, files: &[(String, String)], by: &Bringer<'_>) -> Result<Done, ApplyError> {
        let _turn = self.one_at_a_time.lock().await;
        let (mut first, mut again) = (None, Again::Conflict);
        for _ in 0..TRIES {
            let (drafted, written) = self.try_apply(files, by).await?;
            // Where an answer was lost, the second look finds nothing left to do: what the first one found was done.
            let (first, warnings) = first.get_or_insert(drafted);
            match written {
                Ok(revision) => {
                    for id in first.created.iter().filter(|id| id.kind == Kind::Workflow) {
                        self.engine.refresh(&id.name).await?;
                    }
                    return Ok(Done { diff: first.clone(), revision, warnings: warnings.clone() });
                }
                Err(why) => again = why,
            }
        }
        Err(match again {
            Again::Conflict => ApplyError::Contended,
            Again::Lost => StoreError::Unknown.into(),
        })
    }

    /// What [`Applier::apply`] would do with these files now: it finds the same faults and changes nothing.
    ///
    /// # Errors
    /// See [`ApplyError`]; then an apply would be refused for the same reason.
    pub async fn plan(&self, files: &[(String, String)], origin: Origin) -> Result<Plan, ApplyError> {
        let draft = self.draft(files, &Bringer { origin, directory: None }).await?;
        let catalog = Catalog::new(&draft.documents);
        let mut seen = HashMap::new();
        for id in draft.diff.created.iter().filter(|id| id.kind == Kind::Workflow) {
            let workflow = catalog.document(Kind::Workflow, &id.name).ok();
            let machine = workflow.and_then(|workflow| workflow.spec["hardware"].as_str());
            if let Some(machine) = machine
                && let Some(inventory) = self.engine.inventory(machine).await?
            {
                seen.insert(machine.to_owned(), inventory);
            }
        }
        let writes = writes(&draft.diff, &catalog, &|machine| seen.get(machine).cloned());
        Ok(Plan { diff: draft.diff, writes, warnings: draft.warnings })
    }

    /// Deletes a document that nothing refers to; the revision at which it is gone.
    ///
    /// # Errors
    /// [`ApplyError::Needed`] names what refers to it; a Workflow is [`ApplyError::Kept`] until it has ended.
    pub async fn delete(&self, kind: Kind, name: &str) -> Result<Revision, ApplyError> {
        let _turn = self.one_at_a_time.lock().await;
        let key = Key::new(kind.name(), name);
        for _ in 0..TRIES {
            let (existing, _) = self.existing().await?;
            let Some((_, revision)) = existing.get(&key) else {
                return Err(ApplyError::Missing { kind, name: name.to_owned() });
            };
            self.may_delete(kind, name, existing.values().map(|(document, _)| document))?;
            let batch = Batch {
                expects: vec![Expect::At(key.clone(), *revision)],
                deletes: vec![key.clone(), source_key(kind, name)],
                ..Batch::default()
            };
            if let Commit::Done(revision) = self.store.commit(batch).await? {
                return Ok(revision);
            }
        }
        Err(ApplyError::Contended)
    }

    /// What there is to change, and the revision that holds it, or why to look again.
    async fn try_apply(
        &self,
        files: &[(String, String)],
        by: &Bringer<'_>,
    ) -> Result<((Diff, Faults), Result<Revision, Again>), ApplyError> {
        let Draft { diff, batches, mut revision, warnings, .. } = self.draft(files, by).await?;
        let drafted = (diff, warnings);
        // A larger apply is validated as a whole before its first batch; a crash in its middle leaves a valid part, and
        // applying again adds the rest.
        for batch in batches.full.into_iter().chain([batches.open]).filter(|batch| *batch != Batch::default())
        {
            match self.store.commit(batch).await {
                Ok(Commit::Done(done)) => revision = done,
                Ok(Commit::Conflict { .. }) => return Ok((drafted, Err(Again::Conflict))),
                Err(StoreError::Unknown) => return Ok((drafted, Err(Again::Lost))),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((drafted, Ok(revision)))
    }

    /// Everything that an apply does, up to its first commit.
    async fn draft(&self, files: &[(String, String)], by: &Bringer<'_>) -> Result<Draft, ApplyError> {
        let (existing, revision) = self.existing().await?;
        let sources = self.sources().await?;
        let documents: Vec<Document> = existing.values().map(|(document, _)| document.clone()).collect();
        let set = validate(files, &documents, by.origin).map_err(ApplyError::Faults)?;
        let mut diff = diff(&documents, set.documents());
        let obsolete = |id: &&Id| existing.contains_key(&Key::new(id.kind.name(), &id.name));
        diff.deleted = set.obsolete().iter().filter(obsolete).cloned().collect();
        let ids = diff.created.iter().chain(diff.changed.iter().map(|changed| &changed.id));
        let written: HashSet<(Kind, &str)> = ids.map(|id| (id.kind, id.name.as_str())).collect();
        let mut new: Vec<&Document> =
            set.documents().filter(|document| written.contains(&id(document))).collect();
        // What others refer to comes first, should the documents need several batches.
        new.sort_by_key(|document| document.kind);
        let catalog = Catalog::new(documents.iter().chain(set.documents()));
        let mut batches = Batches::default();
        let mut reserved: HashMap<Key, &str> = HashMap::new();
        for document in &new {
            let mut part = match document.kind {
                Kind::Workflow => self.create(document, &catalog, by.origin).await?,
                _ => Batch::default(),
            };
            for (key, _) in &part.puts {
                if let Some(other) = reserved.insert(key.clone(), &document.metadata.name) {
                    return Err(busy(&document.metadata.name, key, other).into());
                }
            }
            let key = Key::new(document.kind.name(), &document.metadata.name);
            part.expects.push(match existing.get(&key) {
                Some((_, revision)) => Expect::At(key.clone(), *revision),
                None => Expect::Absent(key.clone()),
            });
            part.puts.push((key, to_value(document)));
            by.sign(document, &sources, &mut part);
            batches.add(document, part)?;
        }
        for document in set.documents().filter(|document| !written.contains(&id(document))) {
            let mut part = Batch::default();
            by.keep(document, &sources, &mut part);
            batches.add(document, part)?;
        }
        for id in &diff.deleted {
            let key = Key::new(id.kind.name(), &id.name);
            if let Some((document, revision)) = existing.get(&key) {
                let deletes = vec![key.clone(), source_key(id.kind, &id.name)];
                let part = Batch { expects: vec![Expect::At(key, *revision)], deletes, ..Batch::default() };
                batches.add(document, part)?;
            }
        }
        let warnings = Faults(set.warnings().to_vec());
        let kept = existing.into_values().map(|(document, _)| document);
        let documents = kept.chain(set.into_documents()).collect();
        Ok(Draft { diff, batches, revision, warnings, documents })
    }

    /// What creates a new Workflow's log.
    async fn create(
        &self,
        document: &Document,
        catalog: &Catalog<'_>,
        origin: Origin,
    ) -> Result<Batch, ApplyError> {
        let name = document.metadata.name.clone();
        // A directory still holds the file of a Workflow that an operator deleted: that is no mistake.
        if let Some(state) = self.engine.state(&name).filter(|state| state.phase.is_terminal())
            && origin == Origin::Operator
        {
            return Err(ApplyError::NameTaken { workflow: name, state: state.state_name() });
        }
        let failed = |source: CompileError| ApplyError::Compile { workflow: name.clone(), source };
        let declared = WorkflowDocSpec::from_document(document).map_err(|error| failed(error.into()))?;
        let spec = catalog.compile(&declared).map_err(failed)?;
        let from_directory = origin == Origin::Directory;
        let hold = self.directory_hold.clone().filter(|_| from_directory);
        let new = NewWorkflow { name: name.clone(), declared, spec, from_directory, hold };
        Ok(self.engine.prepare(&new).await?)
    }

    /// Whether a document may be deleted: none of those that are stored refers to it.
    fn may_delete<'a>(
        &self,
        kind: Kind,
        name: &str,
        mut existing: impl Iterator<Item = &'a Document>,
    ) -> Result<(), ApplyError> {
        let open = |name: &str| self.engine.state(name).filter(|state| !state.phase.is_terminal());
        if kind == Kind::Workflow {
            return match open(name) {
                Some(state) => Err(ApplyError::Kept { workflow: name.to_owned(), state: state.state_name() }),
                None => Ok(()),
            };
        }
        let names = |document: &Document| match (kind, document.kind) {
            (Kind::Profile, Kind::Hardware) => document.spec["profile"] == name,
            (Kind::Network, Kind::Hardware | Kind::Profile) => uses_network(document, name),
            (Kind::Hardware, Kind::Workflow) => open(&document.metadata.name).is_some_and(|state| {
                let tasks = state.plan.iter().flat_map(|plan| &plan.spec.tasks);
                document.spec["hardware"] == name || tasks.into_iter().any(|task| task.worker == name)
            }),
            // A Workflow holds its rendered Template.
            _ => false,
        };
        match existing.find(|document| names(document)) {
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

/// What an apply is about to write.
struct Draft {
    diff: Diff,
    batches: Batches,
    /// At which it was drafted.
    revision: Revision,
    /// What has no effect.
    warnings: Faults,
    /// Everything as it would stand; of two with one kind and name the later counts.
    documents: Vec<Document>,
}

/// Why an apply begins again.
enum Again {
    /// Somebody else was first.
    Conflict,
    /// The store lost its answer.
    Lost,
}

/// Batches within the bounds of a store, in order.
#[derive(Default)]
struct Batches {
    full: Vec<Batch>,
    open: Batch,
    operations: usize,
    bytes: usize,
}

impl Batches {
    /// Adds to the open batch, or begins another where that one is full. What belongs to one document stays together.
    fn add(&mut self, document: &Document, part: Batch) -> Result<(), ApplyError> {
        let (operations, bytes) = batch_size(&part);
        if bytes > BATCH_BYTES {
            let what = format!("{} `{}`", document.kind, document.metadata.name);
            return Err(ApplyError::TooLarge { what, bytes });
        }
        if self.operations + operations > BATCH_OPERATIONS || self.bytes + bytes > BATCH_BYTES {
            self.full.push(std::mem::take(&mut self.open));
            (self.operations, self.bytes) = (0, 0);
        }
        self.operations += operations;
        self.bytes += bytes;
        self.open.expects.extend(part.expects);
        self.open.puts.extend(part.puts);
        self.open.deletes.extend(part.deletes);
        self.open.appends.extend(part.appends);
        Ok(())
    }
}

/// Two new Workflows want the same machine.
fn busy(workflow: &str, reservation: &Key, other: &str) -> EngineError {
    let (workflow, hardware, other) = (workflow.to_owned(), reservation.name.clone(), other.to_owned());
    Rejection::Busy { workflow, hardware, other }.into()
}

fn listed(ids: &[Id]) -> String {
    const SOME: usize = 10;
    let some: Vec<String> = ids.iter().take(SOME).map(|id| format!("{}/{}", id.kind, id.name)).collect();
    let more = if ids.len() > SOME { " .." } else { "" };
    format!("{}{more}", some.join(", "))
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
