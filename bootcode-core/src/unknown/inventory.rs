//! What a machine that nobody declared tells of itself once OSIE runs on it, and what it is told.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    boot::{BootStep, Script},
    clock::Timestamp,
    limits::{INVENTORY_DISKS, STANDBY_MS, UNKNOWN_INVENTORY_BYTES, UNKNOWN_TEXT_CHARS},
    mac::MacAddr,
    workflow::{Inventory, ServiceError},
};

/// Where such a machine tells its inventory, and asks whether it is to go on waiting. In process or over HTTP.
#[async_trait]
pub trait InventoryService: Send + Sync {
    /// Takes the inventory of the machine that holds this token. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where the token is not valid, or no longer; [`ServiceError::Unavailable`] where it is to be tried again.
    async fn inventory(&self, token: &str, inventory: Inventory) -> Result<Standby, ServiceError>;
}

/// What a machine is to do that told its inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "do")]
pub enum Standby {
    /// Nothing: ask again.
    Wait {
        /// Which machine it is, for the console.
        mac: MacAddr,
        /// Whether it was declared meanwhile; then there is no work for it yet.
        declared: bool,
        /// When to ask again.
        retry_ms: u64,
    },
    /// Restart: what it boots next is something else.
    Restart,
}

impl Standby {
    /// Of a machine that would boot `step` now: while that is OSIE for its inventory, or its disk, it stays where it is, so that an operator
    /// who declares it and gives it work need not go and switch it on.
    #[must_use]
    pub fn of(mac: MacAddr, step: &BootStep, declared: bool) -> Self {
        match step {
            BootStep::Script { script: Script::Inventory, .. } | BootStep::LocalDisk { .. } => {}
            // Its document is to be mended, and nothing else would boot.
            BootStep::Refuse(_) if declared => {}
            // Nor does its Network want to know it any longer: its firmware is told to go on.
            BootStep::Script { .. } | BootStep::Nbp { .. } | BootStep::Refuse(_) => return Self::Restart,
        }
        Self::Wait { mac, declared, retry_ms: STANDBY_MS }
    }
}

/// An inventory that was told, on its way to the machine's record.
#[derive(Debug, Clone)]
pub struct Told {
    /// Of whom.
    pub mac: MacAddr,
    /// The Network that had it boot.
    pub network: String,
    /// What it is, within [`UNKNOWN_INVENTORY_BYTES`].
    pub inventory: Arc<Inventory>,
    /// When.
    pub at: Timestamp,
}

impl Told {
    /// What is kept of what a stranger says: no text that could do anything to a terminal or is longer than a name, and no more than a
    /// record may hold. Further paths of the disks go first, then the last disks.
    #[must_use]
    pub fn new(mac: MacAddr, network: String, mut inventory: Inventory, at: Timestamp) -> Self {
        inventory.disks.truncate(INVENTORY_DISKS);
        let texts = [Some(&mut inventory.arch), inventory.serial.as_mut(), inventory.uuid.as_mut()];
        texts.into_iter().flatten().for_each(plain);
        for disk in &mut inventory.disks {
            disk.paths.iter_mut().for_each(plain);
            let ids = [disk.wwn.as_mut(), disk.serial.as_mut(), disk.table_id.as_mut()];
            let texts = [&mut disk.device, &mut disk.kind, &mut disk.found];
            ids.into_iter().flatten().chain(texts).for_each(plain);
        }
        if bytes(&inventory) > UNKNOWN_INVENTORY_BYTES {
            inventory.disks.iter_mut().for_each(|disk| disk.paths = Vec::new());
        }
        let mut left = UNKNOWN_INVENTORY_BYTES
            .saturating_sub(bytes(&Inventory { disks: Vec::new(), ..inventory.clone() }));
        inventory.disks.retain(|disk| {
            // And the comma behind it; once one does not fit, none after it does.
            left = left.saturating_sub(bytes(disk) + 1);
            left > 0
        });
        Self { mac, network, inventory: Arc::new(inventory), at }
    }
}

/// How long something is as the store keeps it.
pub(super) fn bytes(value: &impl Serialize) -> usize {
    // Structs of texts and numbers have no way to fail.
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

fn plain(text: &mut String) {
    *text = text.chars().filter(|c| !c.is_control()).take(UNKNOWN_TEXT_CHARS).collect();
}
