//! What a worker is handed for the attempt that is under way.

use std::collections::BTreeMap;

use super::{Assignment, Machine, State, WritableDisk, disks};
use crate::{limits::PULL_SECONDS, secret::Secret};

/// What an attempt is given that stands in no log.
#[derive(Clone, Default)]
pub struct Credentials {
    /// What the action may read the machine's metadata with.
    pub metadata_token: Secret,
    /// The values of its secret variables, by the variables' names.
    pub secrets: BTreeMap<String, Secret>,
}

impl State {
    /// The assignment of the open attempt, for the boot that was handed it; the same each time it is asked for.
    ///
    /// `credentials` are what only this attempt is given.
    #[must_use]
    pub fn assignment(&self, machine: &Machine<'_>, credentials: Credentials) -> Option<Assignment> {
        let plan = self.plan.as_ref()?;
        let open = self
            .open
            .as_ref()
            .filter(|open| open.worker == machine.hardware.name && open.boot_id == machine.boot_id)?;
        let (task, action) = self.action(open.index)?;
        let writable = if action.writes_disks() {
            let storage = machine.hardware.spec.storage.as_deref();
            // Armed before this attempt started; what is no longer so is handed out as not writable.
            let armed = self.armed_on(&machine.hardware.name);
            disks::writable(
                &machine.hardware.name,
                storage,
                &plan.declared,
                &plan.spec,
                armed,
                machine.inventory,
            )
            .unwrap_or_default()
        } else {
            Vec::new()
        };
        let own = |id: &String| action.writes.as_ref().is_none_or(|ids| ids.contains(id));
        let left_s = self.global_deadline().map_or(plan.spec.global_timeout_s, |deadline| {
            deadline.as_second().saturating_sub(open.started.as_second()).unsigned_abs()
        });
        Some(Assignment {
            workflow: self.name.clone(),
            task: task.name.clone(),
            action: action.name.clone(),
            index: open.index,
            attempt: open.attempt,
            image: action.image.clone(),
            digest: open.digest.clone(),
            command: action.command.clone(),
            environment: action
                .environment
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.as_text()?.to_owned())))
                .collect(),
            secrets: credentials.secrets,
            volumes: action.volumes.clone(),
            namespaces: action.namespaces.clone(),
            timeout_ms: action.timeout_s.unwrap_or(left_s).min(left_s).saturating_mul(1000),
            pull_timeout_ms: PULL_SECONDS * 1000,
            on_failure: action.on_failure.clone(),
            on_timeout: action.on_timeout.clone(),
            writable: writable
                .into_iter()
                .filter(|disk| own(&disk.id))
                .map(|disk| WritableDisk { id: disk.id, device: disk.device })
                .collect(),
            outputs: self.outputs_before(open.index),
            metadata_token: credentials.metadata_token,
        })
    }
}
