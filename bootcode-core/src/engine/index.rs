//! The folded states that the engine knows, by workflow and by machine.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;

use crate::{
    store::Revision,
    workflow::{State, work_for},
};

/// Every state that was folded. Behind the store by some milliseconds at most; nothing is decided on it alone.
#[derive(Debug)]
pub(super) struct Index {
    known: RwLock<Known>,
    /// Counts changes; waiting claims listen.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    states: BTreeMap<String, Arc<State>>,
    machines: HashMap<String, BTreeSet<String>>,
    /// Where a watch goes on.
    revision: Revision,
}

impl Default for Index {
    fn default() -> Self {
        Self { known: RwLock::default(), changed: watch::Sender::new(0) }
    }
}

impl Index {
    pub(super) fn get(&self, workflow: &str) -> Option<Arc<State>> {
        self.read().states.get(workflow).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<State>> {
        self.read().states.values().cloned().collect()
    }

    /// The workflows that concern a machine, oldest first.
    pub(super) fn of(&self, machine: &str) -> Vec<Arc<State>> {
        let known = self.read();
        let names = known.machines.get(machine).into_iter().flatten();
        let mut states: Vec<_> = names.filter_map(|name| known.states.get(name).cloned()).collect();
        states.sort_by(|a, b| crate::workflow::age(a).cmp(&crate::workflow::age(b)));
        states
    }

    pub(super) fn work(&self, hardware: &crate::document::Hardware) -> crate::source::Work {
        work_for(self.of(&hardware.name).iter().map(|state| &**state), hardware)
    }

    /// How far each workflow of a machine is known: another value means that a claim may have another answer.
    pub(super) fn progress(&self, machine: &str) -> Vec<(String, u64)> {
        self.of(machine).iter().map(|state| (state.name.clone(), state.seq)).collect()
    }

    /// Keeps a state unless a newer one is known.
    pub(super) fn put(&self, state: Arc<State>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.states.get(&state.name).is_some_and(|old| old.seq >= state.seq) {
            return;
        }
        if let Some(plan) = &state.plan {
            let tasks = plan.spec.tasks.iter().map(|task| &task.worker);
            for machine in tasks.chain([&plan.declared.hardware]) {
                known.machines.entry(machine.clone()).or_default().insert(state.name.clone());
            }
        }
        known.states.insert(state.name.clone(), state);
        drop(known);
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn revision(&self) -> Revision {
        self.read().revision
    }

    pub(super) fn reached(&self, revision: Revision) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).revision = revision;
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}
