//! Applying documents: all of them or none.
//!
//! ```text
//!  files --validate--> DocumentSet --diff--> what is new --one batch, or recorded and decided (pending.rs)--> Store
//!    ^                      +-- new Workflows --compile, Engine::prepare--> their logs, with them
//!    +-- what is stored: all of it, or what a small apply may collide with (fleet.rs)
//! ```

mod batches;
mod directory;
#[cfg(test)]
mod directory_tests;
mod error;
mod fleet;
mod pending;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::{Mutex, Notify, RwLock, RwLockReadGuard};
use tokio_util::sync::CancellationToken;

use crate::{
    document::{
        Catalog, CompileError, Diff, Document, Id, Kind, Plan, WorkflowDocSpec, diff, read, validate, writes,
    },
    engine::{Engine, EngineError, NewWorkflow},
    store::{Batch, Commit, Expect, Key, Revision, Store, StoreError, Stored},
    workflow::{Hold, Rejection},
    yaml::Faults,
};

pub use crate::document::Origin;
pub use directory::{Kept, Pruned};
pub use error::ApplyError;
pub use pending::settle;

use batches::{Batches, Way};
use directory::{Bringer, Source, source_key};
use fleet::Fleet;
use pending::Turn;
pub(crate) use pending::{announced, key as turn_key, unwritten};

/// How often an apply starts again because something else was written meanwhile.
const TRIES: usize = 5;
/// Until a store that went away is asked again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Applies documents to a store.
pub struct Applier {
    store: Arc<dyn Store>,
    engine: Arc<Engine>,
    directory_hold: Option<Hold>,
    /// One writer at a time, and what it knows of the fleet.
    fleet: Mutex<Fleet>,
    /// Written while an apply is carried out: whoever reads sees all of it or nothing.
    whole: RwLock<()>,
    unfinished: Notify,
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

impl Applier {
    /// Applies to `store`. Workflows that a watched directory brings begin with `directory_hold`, where there is one.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, engine: Arc<Engine>, directory_hold: Option<Hold>) -> Self {
        Self {
            store,
            engine,
            directory_hold,
            fleet: Mutex::default(),
            whole: RwLock::default(),
            unfinished: Notify::new(),
        }
    }

    /// Applies the documents of these files: pairs of a name, which faults repeat, and the text.
    ///
    /// # Errors
    /// See [`ApplyError`]; then nothing was applied.
    pub async fn apply(&self, files: &[(String, String)], origin: Origin) -> Result<Done, ApplyError> {
        self.apply_for(files, &Bringer { origin, directory: None, now: self.engine.now() }).await
    }

    async fn apply_for(&self, files: &[(String, String)], by: &Bringer<'_>) -> Result<Done, ApplyError> {
        let mut fleet = self.fleet.lock().await;
        let (mut first, mut again) = (None, Again::Conflict);
        for _ in 0..TRIES {
            let (drafted, written) = self.try_apply(&mut fleet, files, by).await?;
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
        let mut fleet = self.fleet.lock().await;
        let by = Bringer { origin, directory: None, now: self.engine.now() };
        let draft = self.draft(&mut fleet, files, &by).await?;
        drop(fleet);
        let catalog = Catalog::new(&draft.documents).at(by.now);
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
        let _fleet = self.fleet.lock().await;
        let key = Key::new(kind.name(), name);
        for _ in 0..TRIES {
            let turn = self.turn().await?;
            let (existing, _) = self.existing().await?;
            let Some((_, revision)) = existing.get(&key) else {
                return Err(ApplyError::Missing { kind, name: name.to_owned() });
            };
            self.may_delete(kind, name, existing.values().map(|(document, _)| document))?;
            let mut batch = Batch {
                expects: vec![Expect::At(key.clone(), *revision)],
                deletes: vec![key.clone(), source_key(kind, name)],
                ..Batch::default()
            };
            turn.take(&mut batch);
            if let Commit::Done(revision) = self.store.commit(batch).await? {
                return Ok(revision);
            }
        }
        Err(ApplyError::Contended)
    }

    /// Carries out what was decided while the store went away, as soon as it answers; runs until cancelled.
    pub async fn run(&self, cancel: CancellationToken) {
        while cancel.run_until_cancelled(self.unfinished.notified()).await.is_some() {
            let finish = async {
                let _fleet = self.fleet.lock().await;
                self.finish().await
            };
            if let Err(error) = finish.await {
                tracing::warn!(%error, "documents that are applied cannot be written yet");
                let _ = cancel.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
            }
        }
    }

    async fn finish(&self) -> Result<Option<Revision>, StoreError> {
        let _nobody_reads = self.whole.write().await;
        let done = settle(&*self.store).await;
        if done.is_err() {
            self.unfinished.notify_one();
        }
        done
    }

    /// Whose turn it is to write documents; what was decided before is carried out first.
    async fn turn(&self) -> Result<Turn, StoreError> {
        let turn = Turn::read(&*self.store).await?;
        if !turn.is_open() && !pending::has_records(&*self.store).await? {
            return Ok(turn);
        }
        self.finish().await?;
        Turn::read(&*self.store).await
    }

    /// Held while documents are read from the store: no apply is carried out meanwhile, so that all of it is seen or nothing.
    pub async fn whole(&self) -> RwLockReadGuard<'_, ()> {
        self.whole.read().await
    }

    /// What there is to change, and the revision that holds it, or why to look again.
    async fn try_apply(
        &self,
        fleet: &mut Fleet,
        files: &[(String, String)],
        by: &Bringer<'_>,
    ) -> Result<((Diff, Faults), Result<Revision, Again>), ApplyError> {
        let Draft { diff, batches, revision, turn, warnings, .. } = self.draft(fleet, files, by).await?;
        let written = match batches.way(&turn) {
            Way::Nothing => Ok(revision),
            Way::One(batch) => match self.store.commit(batch).await {
                Ok(Commit::Done(done)) => Ok(done),
                Ok(Commit::Conflict { .. }) => Err(Again::Conflict),
                Err(StoreError::Unknown) => Err(Again::Lost),
                Err(error) => return Err(error.into()),
            },
            Way::Many(parts) => match pending::decide(&*self.store, &turn, parts).await {
                Ok(Some(())) => match self.finish().await {
                    Ok(Some(done)) => Ok(done),
                    // Written whole, by another server or with the answer lost.
                    Ok(None) => Ok(Turn::read(&*self.store).await?.revision()),
                    Err(source) => return Err(ApplyError::Unfinished { source }),
                },
                Ok(None) => Err(Again::Conflict),
                Err(StoreError::Unknown) => {
                    // It may be decided, and the store away for longer than anybody waits here.
                    self.unfinished.notify_one();
                    Err(Again::Lost)
                }
                Err(error) => return Err(error.into()),
            },
        };
        if written.is_err() {
            // Somebody who takes no turn may have written what was not looked at.
            *fleet = Fleet::default();
        }
        Ok(((diff, warnings), written))
    }

    /// Everything that an apply does, up to its first commit.
    async fn draft(
        &self,
        fleet: &mut Fleet,
        files: &[(String, String)],
        by: &Bringer<'_>,
    ) -> Result<Draft, ApplyError> {
        let turn = self.turn().await?;
        let ((existing, revision), sources) = match self.concerned(fleet, &turn, files, by).await? {
            Some(concerned) => concerned,
            None => (self.existing().await?, self.sources().await?),
        };
        let documents: Vec<Document> = existing.values().map(|(document, _)| document.clone()).collect();
        let set = validate(files, &documents, by.origin, by.now).map_err(ApplyError::Faults)?;
        let mut diff = diff(&documents, set.documents());
        let obsolete = |id: &&Id| existing.contains_key(&Key::new(id.kind.name(), &id.name));
        diff.deleted = set.obsolete().iter().filter(obsolete).cloned().collect();
        let ids = diff.created.iter().chain(diff.changed.iter().map(|changed| &changed.id));
        let written: HashSet<(Kind, &str)> = ids.map(|id| (id.kind, id.name.as_str())).collect();
        let mut new: Vec<&Document> =
            set.documents().filter(|document| written.contains(&id(document))).collect();
        // What others refer to comes first: a Workflow's log is there when its machine is.
        new.sort_by_key(|document| document.kind);
        let catalog = Catalog::new(documents.iter().chain(set.documents())).at(by.now);
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
        Ok(Draft { diff, batches, revision, turn, warnings, documents })
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
        // Its template was rendered when it was created; by now it may say something else.
        let plan = self.engine.state(&name).and_then(|state| state.plan.clone());
        if plan.is_some_and(|plan| *plan.declared == declared) {
            return Ok(Batch::default());
        }
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

    /// The stored documents that a small apply has to be checked with. `None` where it is not small, and where it has faults: those are
    /// told by looking at everything, for what a name may have been meant.
    async fn concerned(
        &self,
        fleet: &mut Fleet,
        turn: &Turn,
        files: &[(String, String)],
        by: &Bringer<'_>,
    ) -> Result<Option<(Existing, HashMap<String, Source>)>, StoreError> {
        let Some(set) = read(files).ok().filter(Fleet::is_small) else { return Ok(None) };
        fleet.catch_up(&*self.store, turn).await?;
        let (mut existing, mut revision) = (BTreeMap::new(), Revision::default());
        for kind in [Kind::Network, Kind::Profile] {
            let (stored, at) = self.store.list(kind.name()).await?;
            revision = at;
            for stored in stored {
                insert(&mut existing, stored)?;
            }
        }
        for key in fleet.concerned(&set) {
            if let Some(stored) = self.store.get(&key).await? {
                insert(&mut existing, stored)?;
            }
        }
        let documents: Vec<Document> = existing.values().map(|(document, _)| document.clone()).collect();
        let whole = validate(files, &documents, by.origin, by.now).is_ok_and(|set| Fleet::is_small(&set));
        if !whole {
            return Ok(None);
        }
        let mut sources = HashMap::new();
        for (kind, name) in set.documents().map(id) {
            sources.extend(self.source(kind, name).await?);
        }
        Ok(Some(((existing, revision), sources)))
    }

    /// Every document with the revision that wrote it, and the revision at which this was so.
    async fn existing(&self) -> Result<Existing, StoreError> {
        let (mut existing, mut revision) = (BTreeMap::new(), Revision::default());
        for kind in Kind::ALL {
            let (stored, at) = self.store.list(kind.name()).await?;
            revision = at;
            for stored in stored {
                insert(&mut existing, stored)?;
            }
        }
        Ok((existing, revision))
    }
}

/// Documents, each with the revision that wrote it, and the revision at which this was so.
type Existing = (BTreeMap<Key, (Document, Revision)>, Revision);

fn insert(existing: &mut BTreeMap<Key, (Document, Revision)>, stored: Stored) -> Result<(), StoreError> {
    let document = serde_json::from_value(stored.value).map_err(|error| StoreError::Damaged {
        place: format!("{}/{}", stored.key.kind, stored.key.name),
        message: error.to_string(),
    })?;
    existing.insert(stored.key, (document, stored.revision));
    Ok(())
}

/// What an apply is about to write.
struct Draft {
    diff: Diff,
    batches: Batches,
    /// At which it was drafted.
    revision: Revision,
    turn: Turn,
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

/// Two new Workflows want the same machine.
fn busy(workflow: &str, reservation: &Key, other: &str) -> EngineError {
    let (workflow, hardware, other) = (workflow.to_owned(), reservation.name.clone(), other.to_owned());
    Rejection::Busy { workflow, hardware, other }.into()
}

fn id(document: &Document) -> (Kind, &str) {
    (document.kind, document.metadata.name.as_str())
}

fn uses_network(hardware: &Document, name: &str) -> bool {
    let lists = [&hardware.spec["interfaces"], &hardware.spec["links"]["vlans"]];
    lists
        .into_iter()
        .filter_map(|list| list.as_array())
        .flatten()
        .any(|interface| interface["network"] == name)
}

/// Documents are made of strings, numbers and maps with text keys: they always have a JSON form.
fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
