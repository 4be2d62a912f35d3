//! One command: load, decide, append, and again where another writer was first.

use std::sync::Arc;

use serde_json::Value;

use super::{Engine, EngineError, LOG_PREFIX, log_name};
use crate::{
    clock::Timestamp,
    limits::DECIDE_ROUNDS,
    store::{Append, Batch, Commit, Entry, StoreError},
    workflow::{
        Command, Event, Recorded, State, decide,
        guard::{Guard, holds},
    },
};

/// What a command did.
pub(super) struct Done {
    /// The workflow after it.
    pub(super) state: Arc<State>,
    /// Whether it added events.
    pub(super) changed: bool,
}

impl Engine {
    /// Decides `command` on what the log says now and makes its events durable before this returns (I4).
    pub(super) async fn command(&self, workflow: &str, command: Command<'_>) -> Result<Done, EngineError> {
        let mut stale = None;
        for _ in 0..DECIDE_ROUNDS {
            let state = self.load(workflow).await?;
            let now = self.parts.clock.now();
            let events = match stale.take() {
                Some(events) => events,
                None => decide(&state, command.clone(), now)?,
            };
            if events.is_empty() {
                return Ok(Done { state, changed: false });
            }
            if !holds(Guard::DecidedAgain) {
                stale = Some(events.clone());
            }
            let (append, recorded) = entries(&state, events, now)?;
            let batch = Batch { appends: vec![append.clone()], ..Batch::default() };
            if self.commit(batch, &append).await? {
                return Ok(Done { state: self.take(&state, recorded), changed: true });
            }
        }
        Err(EngineError::Contended { what: format!("workflow {workflow}"), rounds: DECIDE_ROUNDS })
    }

    /// Whether a batch was carried out. Where the answer was lost, the log tells: our entries are in it or they are not.
    pub(super) async fn commit(&self, batch: Batch, own: &Append) -> Result<bool, EngineError> {
        match self.parts.store.commit(batch).await {
            Ok(Commit::Done(_)) => Ok(true),
            Ok(Commit::Conflict { .. }) => Ok(false),
            Err(StoreError::Unknown) if !holds(Guard::LostAnswerLookedFor) => Ok(true),
            Err(StoreError::Unknown) => {
                let read = self.parts.store.read(&own.log, own.after + 1).await?;
                let kept = read.iter().map(|entry| &entry.value).take(own.entries.len());
                Ok(kept.eq(&own.entries))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Folds events that are durable now, and tells of them.
    pub(super) fn take(&self, state: &State, recorded: Vec<Recorded>) -> Arc<State> {
        let mut next = state.clone();
        for recorded in &recorded {
            next.apply(recorded);
            self.tell(&next, recorded);
        }
        let next = Arc::new(next);
        self.index.put(Arc::clone(&next));
        next
    }

    /// A workflow as its log is now; the empty state where there is none.
    pub(super) async fn load(&self, workflow: &str) -> Result<Arc<State>, EngineError> {
        let known = self.index.get(workflow).unwrap_or_else(|| Arc::new(State::empty(workflow)));
        let entries = self.parts.store.read(&log_name(workflow), known.seq + 1).await?;
        if entries.is_empty() {
            return Ok(known);
        }
        let state = Arc::new(folded(&known, entries)?);
        self.index.put(Arc::clone(&state));
        Ok(state)
    }

    /// Reads every workflow of the store.
    pub(super) async fn reload(&self) -> Result<(), EngineError> {
        // Asked before the logs are read: the watch from there on shows again what was read already, and nothing is missed.
        let (_, revision) = self.parts.store.list("Workflow").await?;
        for log in self.parts.store.logs(LOG_PREFIX).await? {
            let workflow = log.strip_prefix(LOG_PREFIX).unwrap_or(&log);
            match self.load(workflow).await {
                Err(error @ (EngineError::Entry { .. } | EngineError::Gap { .. })) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a workflow is passed over");
                }
                loaded => drop(loaded?),
            }
        }
        self.index.reached(revision);
        Ok(())
    }
}

/// A state with further entries of its log folded in. Entries that it has already are passed over.
pub(super) fn folded(known: &State, entries: Vec<Entry>) -> Result<State, EngineError> {
    let mut state = known.clone();
    for Entry { seq, value } in entries {
        if seq <= state.seq {
            continue;
        }
        if seq != state.seq + 1 {
            return Err(EngineError::Gap { workflow: state.name, seq: state.seq + 1 });
        }
        let fail = |source| EngineError::Entry { workflow: known.name.clone(), seq, source };
        let mut recorded: Recorded = serde_json::from_value(value).map_err(fail)?;
        recorded.seq = seq;
        state.apply(&recorded);
    }
    Ok(state)
}

/// Events as the next entries of a workflow's log.
pub(super) fn entries(
    state: &State,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<(Append, Vec<Recorded>), EngineError> {
    let recorded: Vec<Recorded> =
        (state.seq + 1..).zip(events).map(|(seq, event)| Recorded { seq, at: now, event }).collect();
    let fail = |source| EngineError::Entry { workflow: state.name.clone(), seq: state.seq + 1, source };
    let entries =
        recorded.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>().map_err(fail)?;
    Ok((Append { log: log_name(&state.name), after: state.seq, entries }, recorded))
}
