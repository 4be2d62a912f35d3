//! What operators and directories of documents ask for.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::{Engine, EngineError, command::entries};
use crate::{
    document::{Hardware, WorkflowDocSpec},
    limits::DECIDE_ROUNDS,
    source::{SourceError, Work, WorkSource},
    store::{Batch, Expect, Key},
    template::WorkflowSpec,
    workflow::{
        Command, Hold, Recorded, Rejection, State, Status, decide,
        guard::{Guard, holds},
    },
};

/// The kind of the document that names the one open workflow of a machine that writes: `WritingWorkflow/<machine>`.
const WRITING: &str = "WritingWorkflow";

/// A workflow to create.
#[derive(Debug, Clone)]
pub struct NewWorkflow {
    /// Its name.
    pub name: String,
    /// As declared.
    pub declared: WorkflowDocSpec,
    /// The rendered and validated template.
    pub spec: WorkflowSpec,
    /// Whether a watched directory brings it, which may never say `overwrite: any`.
    pub from_directory: bool,
    /// A hold that it starts with.
    pub hold: Option<Hold>,
}

impl Engine {
    /// Creates a workflow. The same again changes nothing and is no error; returns whether it is new.
    ///
    /// # Errors
    /// [`Rejection`] where another one has the name, the machine is busy or a directory says `overwrite: any`.
    pub async fn create(&self, new: &NewWorkflow) -> Result<bool, EngineError> {
        for _ in 0..DECIDE_ROUNDS {
            let (batch, state, recorded) = self.draft(new).await?;
            let Some(append) = batch.appends.first().cloned() else { return Ok(false) };
            if self.commit(batch, &append).await? {
                self.take(&state, recorded);
                return Ok(true);
            }
        }
        Err(EngineError::Contended { what: format!("workflow {}", new.name), rounds: DECIDE_ROUNDS })
    }

    /// The changes that would create a workflow, for a larger batch that is all or nothing; empty where it exists and is the same.
    /// After that batch is done, [`Engine::refresh`] makes it known at once.
    ///
    /// # Errors
    /// As [`Engine::create`].
    pub async fn prepare(&self, new: &NewWorkflow) -> Result<Batch, EngineError> {
        Ok(self.draft(new).await?.0)
    }

    /// Reads what was added to a workflow's log by somebody else.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn refresh(&self, workflow: &str) -> Result<(), EngineError> {
        self.load(workflow).await.map(drop)
    }

    async fn draft(&self, new: &NewWorkflow) -> Result<(Batch, Arc<State>, Vec<Recorded>), EngineError> {
        let state = self.load(&new.name).await?;
        let now = self.parts.clock.now();
        let create = Command::Create {
            declared: &new.declared,
            spec: &new.spec,
            from_directory: new.from_directory,
            hold: new.hold.clone(),
        };
        let events = decide(&state, create, now)?;
        if events.is_empty() {
            return Ok((Batch::default(), state, Vec::new()));
        }
        let mut batch = Batch::default();
        if holds(Guard::OneWriterAMachine) {
            self.reserve(new, &mut batch).await?;
        }
        let (append, recorded) = entries(&state, events, now)?;
        batch.appends.push(append);
        Ok((batch, state, recorded))
    }

    /// Adds to a batch that no machine whose disks the workflow writes has another open one that does.
    async fn reserve(&self, new: &NewWorkflow, batch: &mut Batch) -> Result<(), EngineError> {
        let tasks = new.spec.tasks.iter().map(|task| task.worker.as_str());
        let mut machines: Vec<&str> = tasks.filter(|machine| new.spec.writes_on(machine)).collect();
        machines.sort_unstable();
        machines.dedup();
        for machine in machines {
            let key = Key::new(WRITING, machine);
            let stored = self.parts.store.get(&key).await?;
            let other = stored.as_ref().and_then(|stored| stored.value["workflow"].as_str());
            if let Some(other) = other.filter(|other| *other != new.name) {
                let state = self.load(other).await?;
                if state.plan.is_some() && !state.phase.is_terminal() {
                    let (workflow, hardware, other) =
                        (new.name.clone(), machine.to_owned(), other.to_owned());
                    return Err(Rejection::Busy { workflow, hardware, other }.into());
                }
            }
            batch.expects.push(match &stored {
                None => Expect::Absent(key.clone()),
                Some(stored) => Expect::At(key.clone(), stored.revision),
            });
            batch.puts.push((key, json!({ "workflow": new.name })));
        }
        Ok(())
    }

    /// Lets a held workflow go on. What is still wrong holds it again.
    ///
    /// # Errors
    /// [`Rejection`] where it is not held.
    pub async fn release(&self, workflow: &str) -> Result<Status, EngineError> {
        self.operate(workflow, Command::Release).await
    }

    /// Ends a workflow; an open attempt is stopped first.
    ///
    /// # Errors
    /// [`Rejection`] where it has ended.
    pub async fn cancel(&self, workflow: &str) -> Result<Status, EngineError> {
        self.operate(workflow, Command::Cancel).await
    }

    /// Has a stopped workflow continue, at the action at which it stopped or an earlier one.
    ///
    /// # Errors
    /// [`Rejection`] where it has not stopped or has no such action.
    pub async fn retry(&self, workflow: &str, from: Option<&str>) -> Result<Status, EngineError> {
        self.operate(workflow, Command::Retry { from }).await
    }

    /// Holds a workflow; one that does not go on anyway stays as it is.
    ///
    /// # Errors
    /// [`Rejection`] where there is none.
    pub async fn hold(&self, workflow: &str, reason: Hold) -> Result<Status, EngineError> {
        self.operate(workflow, Command::Hold { reason }).await
    }

    /// Holds every open workflow, as after the store was restored. Returns how many were.
    ///
    /// # Errors
    /// See [`EngineError`]; some may be held then.
    pub async fn hold_all(&self, reason: &Hold) -> Result<usize, EngineError> {
        let mut held = 0;
        for state in self.index.all().iter().filter(|state| state.phase.is_open()) {
            let done = self.command(&state.name, Command::Hold { reason: reason.clone() }).await?;
            held += usize::from(done.changed);
        }
        Ok(held)
    }

    async fn operate(&self, workflow: &str, command: Command<'_>) -> Result<Status, EngineError> {
        Ok(self.status_of(&self.command(workflow, command).await?.state))
    }

    /// A workflow's status.
    #[must_use]
    pub fn status(&self, workflow: &str) -> Option<Status> {
        self.state(workflow).map(|state| self.status_of(&state))
    }

    /// A workflow's folded log.
    #[must_use]
    pub fn state(&self, workflow: &str) -> Option<Arc<State>> {
        self.index.get(workflow).filter(|state| state.plan.is_some())
    }

    /// The status of every workflow, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Status> {
        self.index
            .all()
            .iter()
            .filter(|state| state.plan.is_some())
            .map(|state| self.status_of(state))
            .collect()
    }
}

#[async_trait]
impl WorkSource for Engine {
    async fn work(&self, hardware: &Hardware) -> Result<Work, SourceError> {
        Ok(self.index.work(hardware))
    }
}
