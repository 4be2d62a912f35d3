//! The folded states that the engine knows, by workflow, by machine and by deadline.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::watch;

use crate::{
    clock::Timestamp,
    store::Revision,
    workflow::{Instance, State, next_deadline, work_for},
};

/// Every state that was folded. Behind the store by some milliseconds at most; nothing is decided on it alone.
#[derive(Debug)]
pub(super) struct Index {
    known: RwLock<Known>,
    /// Since when the server can be reached: deadlines depend on it.
    up_since: Timestamp,
}

#[derive(Debug, Default)]
struct Known {
    states: BTreeMap<String, Arc<State>>,
    machines: HashMap<String, Machine>,
    /// When each workflow is next to be ticked, the first one first: a tick looks at what is due and at nothing else.
    due: BTreeSet<(Timestamp, String)>,
    /// Where a watch goes on.
    revision: Revision,
}

#[derive(Debug)]
struct Machine {
    workflows: BTreeSet<String>,
    /// Counts changes of its workflows; its waiting claim listens, and nobody else's.
    changed: watch::Sender<u64>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { workflows: BTreeSet::new(), changed: watch::Sender::new(0) }
    }
}

impl Index {
    pub(super) fn new(up_since: Timestamp) -> Self {
        Self { known: RwLock::default(), up_since }
    }

    pub(super) fn get(&self, workflow: &str) -> Option<Arc<State>> {
        self.read().states.get(workflow).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<State>> {
        self.read().states.values().cloned().collect()
    }

    /// The workflows whose deadline has come, the first one first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<String> {
        let known = self.read();
        known.due.iter().take_while(|(at, _)| *at <= now).map(|(_, name)| name.clone()).collect()
    }

    /// The workflows that concern a machine, oldest first.
    pub(super) fn of(&self, machine: &str) -> Vec<Arc<State>> {
        let known = self.read();
        let names = known.machines.get(machine).into_iter().flat_map(|machine| &machine.workflows);
        let mut states: Vec<_> = names.filter_map(|name| known.states.get(name).cloned()).collect();
        drop(known);
        states.sort_by(|a, b| crate::workflow::age(a).cmp(&crate::workflow::age(b)));
        states
    }

    pub(super) fn work(&self, hardware: &crate::document::Hardware) -> crate::source::Work {
        work_for(self.of(&hardware.name).iter().map(|state| &**state), hardware)
    }

    /// The last instance of a machine.
    pub(super) fn instance(&self, machine: &str) -> Option<Instance> {
        let known = self.read();
        let names = known.machines.get(machine).into_iter().flat_map(|machine| &machine.workflows);
        names.filter_map(|name| known.states.get(name)?.instances.get(machine).copied()).max()
    }

    /// Keeps a state unless a newer one is known.
    pub(super) fn put(&self, state: Arc<State>) {
        let mut guard = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *guard;
        let old = known.states.get(&state.name);
        if old.is_some_and(|old| old.seq >= state.seq) {
            return;
        }
        let (before, after) = (old.and_then(|old| self.deadline(old)), self.deadline(&state));
        if before != after {
            if let Some(at) = before {
                known.due.remove(&(at, state.name.clone()));
            }
            known.due.extend(after.map(|at| (at, state.name.clone())));
        }
        if let Some(plan) = &state.plan {
            let tasks = plan.spec.tasks.iter().map(|task| &task.worker);
            for name in tasks.chain([&plan.declared.hardware]) {
                let machine = known.machines.entry(name.clone()).or_default();
                if !machine.workflows.contains(&state.name) {
                    machine.workflows.insert(state.name.clone());
                }
                machine.changed.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
        known.states.insert(state.name.clone(), state);
    }

    /// Tells of each change of a machine's workflows from now on.
    pub(super) fn changes(&self, machine: &str) -> watch::Receiver<u64> {
        if let Some(machine) = self.read().machines.get(machine) {
            return machine.changed.subscribe();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.machines.entry(machine.to_owned()).or_default().changed.subscribe()
    }

    pub(super) fn revision(&self) -> Revision {
        self.read().revision
    }

    pub(super) fn reached(&self, revision: Revision) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).revision = revision;
    }

    fn deadline(&self, state: &State) -> Option<Timestamp> {
        next_deadline(state, self.up_since)
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}
