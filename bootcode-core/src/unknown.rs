//! Machines that asked and that no Hardware names: an internal kind, `Unknown/<mac>`, that nobody applies.

mod adopt;
#[cfg(feature = "engine")]
mod inventories;
mod inventory;
#[cfg(feature = "engine")]
#[cfg(test)]
mod inventory_tests;
#[cfg(feature = "engine")]
mod recorder;
mod table;
#[cfg(test)]
mod tests;

use std::{net::Ipv4Addr, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[cfg(feature = "engine")]
pub use self::{
    inventories::Inventories,
    recorder::{UnknownDriver, UnknownLost, UnknownQueue},
};
pub use self::{
    inventory::{InventoryService, Standby, Told},
    table::UnknownTable,
};
use crate::{
    arch::ClientArch, clock::Timestamp, document::name_fault, mac::MacAddr, store::Key, workflow::Inventory,
};

/// The internal kind.
pub const UNKNOWN_KIND: &str = "Unknown";

/// Takes note of unknown machines. Called from the path that receives packets: never blocks, never fails the caller.
pub trait UnknownRecorder: Send + Sync {
    /// This machine asked.
    fn saw(&self, machine: Unknown);
}

/// All that a machine told, as its boot stages told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unknown {
    /// The interface that asked.
    pub mac: MacAddr,
    /// Option 93, in the client's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archs: Vec<ClientArch>,
    /// Option 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_class: Option<String>,
    /// Option 77.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_class: Option<String>,
    /// The 16 bytes of option 97 in hexadecimal, as sent: EDK2 sends SMBIOS's order of bytes, iPXE the network's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Option 61 in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Option 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// `giaddr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
    /// Sub-option 1 of option 82: text where it is printable, else hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_id: Option<String>,
    /// Sub-option 2 of option 82, in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// The Network that it asked from last.
    pub network: String,
    /// When it asked first.
    pub first_seen: Timestamp,
    /// When it asked last; what the store keeps may be a minute behind.
    pub last_seen: Timestamp,
    /// How often it asked.
    pub times: u64,
    /// What OSIE found, where its Network says `unknown: boot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Arc<Inventory>>,
}

impl Unknown {
    /// The key of a machine.
    #[must_use]
    pub fn key(mac: MacAddr) -> Key {
        Key::new(UNKNOWN_KIND, mac.to_string())
    }

    /// As the store keeps it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!(self)
    }

    /// A machine of which only its inventory is known: its record was lost, or made room.
    fn told(told: &Told) -> Self {
        Self {
            mac: told.mac,
            archs: Vec::new(),
            vendor_class: None,
            user_class: None,
            guid: None,
            client_id: None,
            hostname: None,
            relay: None,
            circuit_id: None,
            remote_id: None,
            network: told.network.clone(),
            first_seen: told.at,
            last_seen: told.at,
            times: 0,
            inventory: None,
        }
    }

    /// Takes over what it says now; what a later stage of the same boot leaves out stays as an earlier one told it.
    pub fn seen_again(&mut self, now: Self) {
        fn newer<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        if !now.archs.is_empty() {
            self.archs = now.archs;
        }
        newer(&mut self.vendor_class, now.vendor_class);
        newer(&mut self.user_class, now.user_class);
        newer(&mut self.guid, now.guid);
        newer(&mut self.client_id, now.client_id);
        newer(&mut self.hostname, now.hostname);
        newer(&mut self.inventory, now.inventory);
        // A machine that moved is at its new place only.
        (self.relay, self.circuit_id, self.remote_id) = (now.relay, now.circuit_id, now.remote_id);
        self.network = now.network;
        self.last_seen = self.last_seen.max(now.last_seen);
        self.times = self.times.saturating_add(now.times);
    }

    /// Whether anything but times and counts differs.
    fn tells_more_than(&self, other: &Self) -> bool {
        let mut same = self.clone();
        (same.first_seen, same.last_seen, same.times) = (other.first_seen, other.last_seen, other.times);
        same != *other
    }

    /// The name that it gave, where documents may be called so, else one made of its hardware address.
    #[must_use]
    pub fn suggested_name(&self) -> String {
        let said = self.hostname.as_deref().map(str::to_ascii_lowercase);
        said.filter(|name| name_fault(name).is_none())
            .unwrap_or_else(|| format!("node-{}", self.mac.to_string().replace(':', "")))
    }
}
