//! What is known of workers and stands in no log: when they were last heard of, and why the next action is not handed out.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::Engine;
use crate::{
    clock::Timestamp,
    workflow::{State, Status},
};

/// Gone with the process, and true again with each worker's next call.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// By machine; heartbeats come every 5 s, far too often for a log.
    heard: Mutex<HashMap<String, Timestamp>>,
    /// By workflow.
    waiting: Mutex<HashMap<String, String>>,
}

impl Live {
    pub(super) fn heard(&self, machine: &str, now: Timestamp) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.get_mut(machine) {
            Some(at) => *at = now,
            None => drop(heard.insert(machine.to_owned(), now)),
        }
    }

    /// Why a workflow's next action is not handed out; `None` once it is.
    pub(super) fn waits(&self, workflow: &str, reason: Option<&str>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => drop(waiting.insert(workflow.to_owned(), reason.to_owned())),
            None => drop(waiting.remove(workflow)),
        }
    }
}

impl Engine {
    /// A status with what only this process knows.
    pub(super) fn status_of(&self, state: &State) -> Status {
        let mut status = state.status();
        if let Some(open) = &state.open {
            let heard = self.live.heard.lock().unwrap_or_else(PoisonError::into_inner);
            status.last_heard = heard.get(&open.worker).copied();
        } else if state.phase.is_open() && status.reason.is_none() {
            let waiting = self.live.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            status.reason = waiting.get(&state.name).cloned();
        }
        status
    }
}
