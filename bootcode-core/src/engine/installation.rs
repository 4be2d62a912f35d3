//! Which instance each machine is, and that it called home.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::{
    clock::Timestamp,
    document::{Hardware, first_instance},
    limits::DECIDE_ROUNDS,
    source::{CalledHome, InstanceStore, SourceError},
    store::{Batch, Commit, Expect, Key, StoreError},
};

/// The kind of the document that keeps a machine's last call: `Installation/<machine>`.
pub const INSTALLATION: &str = "Installation";

/// The last instance of a machine that called home. It is installed as long as the machine is that instance: nobody has to undo it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// Its id.
    pub instance: String,
    /// When it first did.
    pub phoned_home: Timestamp,
    /// The public SSH host keys that it told, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
}

/// What `bootcode get hardware` shows beside the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineStatus {
    /// The id of its instance.
    pub instance: String,
    /// `Installed` where that instance called home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// When it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phoned_home: Option<Timestamp>,
    /// The public SSH host keys that it told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
}

impl Engine {
    fn instance(&self, machine: &str) -> String {
        let last = self.index.instance(machine);
        last.map_or_else(|| first_instance(machine), |instance| instance.id(machine))
    }

    /// The status of a machine by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn machine_status(&self, machine: &str) -> Result<MachineStatus, StoreError> {
        let stored = self.parts.store.get(&Key::new(INSTALLATION, machine)).await?;
        let called = stored.and_then(|stored| Installation::deserialize(stored.value).ok());
        Ok(self.with_call(machine, called))
    }

    /// The status of each of these machines; what none of them says is read once.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn machine_statuses(&self, machines: &[&str]) -> Result<Vec<MachineStatus>, StoreError> {
        let (stored, _) = self.parts.store.list(INSTALLATION).await?;
        let read = |value| Installation::deserialize(value).ok();
        let mut calls: HashMap<String, Installation> =
            stored.into_iter().filter_map(|stored| Some((stored.key.name, read(stored.value)?))).collect();
        Ok(machines.iter().map(|machine| self.with_call(machine, calls.remove(*machine))).collect())
    }

    fn with_call(&self, machine: &str, called: Option<Installation>) -> MachineStatus {
        let instance = self.instance(machine);
        match called.filter(|called| called.instance == instance) {
            None => MachineStatus { instance, state: None, phoned_home: None, host_keys: Vec::new() },
            Some(called) => MachineStatus {
                instance,
                state: Some("Installed".to_owned()),
                phoned_home: Some(called.phoned_home),
                host_keys: called.host_keys,
            },
        }
    }
}

#[async_trait]
impl InstanceStore for Engine {
    async fn instance_id(&self, hardware: &Hardware) -> Result<String, SourceError> {
        Ok(self.instance(&hardware.name))
    }

    async fn called_home(&self, hardware: &Hardware, home: &CalledHome) -> Result<bool, SourceError> {
        let away = |error: StoreError| SourceError::Unavailable {
            what: "installations",
            message: error.to_string(),
        };
        let key = Key::new(INSTALLATION, &hardware.name);
        for _ in 0..DECIDE_ROUNDS {
            // The system of an earlier installation may call for as long as its token is good.
            if self.instance(&hardware.name) != home.instance {
                return Ok(false);
            }
            let stored = self.parts.store.get(&key).await.map_err(away)?;
            let known = stored.as_ref().and_then(|stored| Installation::deserialize(&stored.value).ok());
            let known = known.filter(|known| known.instance == home.instance);
            let mut new = known.clone().unwrap_or_else(|| Installation {
                instance: home.instance.clone(),
                phoned_home: self.now(),
                host_keys: Vec::new(),
            });
            if !home.host_keys.is_empty() {
                new.host_keys.clone_from(&home.host_keys);
            }
            if known.as_ref() == Some(&new) {
                return Ok(true);
            }
            let value = serde_json::to_value(&new).map_err(|error| SourceError::Unavailable {
                what: "installations",
                message: error.to_string(),
            })?;
            let expect = match stored {
                None => Expect::Absent(key.clone()),
                Some(stored) => Expect::At(key.clone(), stored.revision),
            };
            let batch = Batch { expects: vec![expect], puts: vec![(key.clone(), value)], ..Batch::default() };
            match self.parts.store.commit(batch).await {
                Ok(Commit::Done(_)) => return Ok(true),
                // Whether it was carried out shows when it is read again.
                Ok(Commit::Conflict { .. }) | Err(StoreError::Unknown) => {}
                Err(error) => return Err(away(error)),
            }
        }
        let message = format!("{} changed under every one of {DECIDE_ROUNDS} attempts", hardware.name);
        Err(SourceError::Unavailable { what: "installations", message })
    }
}
