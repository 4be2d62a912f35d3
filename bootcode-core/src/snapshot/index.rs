//! The snapshot's maps.

use std::{
    collections::{BTreeMap, HashMap as StdHashMap},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use serde::Deserialize as _;
use serde_json::Value;
use smol_str::SmolStr;

use super::{ports::Ports, shared::Shared};
use crate::{
    document::{Document, Hardware, Kind, Network, merge},
    mac::MacAddr,
    source::{CircuitKey, HardwareKey, SourceError},
    store::Key,
};

/// Its keys stand in documents: no client can choose those that collide.
type HashMap<K, V> = StdHashMap<K, V, foldhash::fast::RandomState>;

#[derive(Debug, Default)]
pub(super) struct Index {
    networks: BTreeMap<String, Arc<Network>>,
    profiles: BTreeMap<String, Value>,
    /// As declared, of machines that have a Profile: for when that changes. As JSON, which takes a tenth of what it is read into.
    declared: HashMap<SmolStr, Box<[u8]>>,
    /// Short names stand in the table itself: comparing one does not leave it.
    machines: HashMap<SmolStr, Arc<Hardware>>,
    by_mac: HashMap<MacAddr, Arc<Hardware>>,
    by_ip: HashMap<Ipv4Addr, Arc<Hardware>>,
    /// In the order of option 97: nothing is written out to look one up.
    by_uuid: HashMap<[u8; 16], Arc<Hardware>>,
    ports: Ports,
    shared: Shared,
}

impl Index {
    pub(super) fn put(&mut self, key: &Key, value: &Value) {
        let Ok(kind) = key.kind.parse::<Kind>() else { return };
        let document = match Document::deserialize(value) {
            Ok(document) => document,
            Err(error) => {
                return tracing::error!(%error, kind = key.kind, name = key.name, "a stored document cannot be read");
            }
        };
        match kind {
            Kind::Network => match serde_json::from_value(document.spec) {
                Ok(spec) => {
                    let network = Network { name: key.name.clone(), spec };
                    self.networks.insert(key.name.clone(), Arc::new(network));
                }
                Err(error) => tracing::error!(%error, name = key.name, "a stored Network cannot be read"),
            },
            Kind::Profile => {
                self.profiles.insert(key.name.clone(), document.spec);
                self.resolve_all(&key.name);
            }
            Kind::Hardware => {
                self.resolve(&key.name, &document);
                match profile_of(&document).and_then(|_| serde_json::to_vec(&document).ok()) {
                    Some(json) => drop(self.declared.insert(key.name.as_str().into(), json.into())),
                    None => drop(self.declared.remove(key.name.as_str())),
                }
            }
            Kind::Template | Kind::Workflow | Kind::Secret => {}
        }
    }

    pub(super) fn delete(&mut self, key: &Key) {
        match key.kind.parse() {
            Ok(Kind::Network) => drop(self.networks.remove(&key.name)),
            Ok(Kind::Profile) => {
                self.profiles.remove(&key.name);
                self.resolve_all(&key.name);
            }
            Ok(Kind::Hardware) => {
                self.declared.remove(key.name.as_str());
                self.forget(&key.name);
            }
            _ => {}
        }
    }

    pub(super) fn hardware(&self, key: &HardwareKey) -> Option<Arc<Hardware>> {
        match key {
            HardwareKey::Mac(mac) => self.by_mac.get(mac).or_else(|| self.ports.learned(*mac)).cloned(),
            HardwareKey::Ip(IpAddr::V4(ip)) => self.by_ip.get(ip).cloned(),
            HardwareKey::Ip(IpAddr::V6(_)) => None,
            HardwareKey::Name(name) => self.machines.get(name.as_str()).cloned(),
            HardwareKey::MachineId(id) => self.by_uuid.get(id).cloned(),
            HardwareKey::Circuit(key) => self.ports.learned(key.mac).cloned(),
        }
    }

    /// The machine behind a switch port.
    pub(super) fn at_port(&mut self, key: &CircuitKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let Self { ports, machines, .. } = self;
        ports.learn(key, |name| machines.get(name).cloned())
    }

    /// The narrowest network that contains the address.
    pub(super) fn network(&self, address: Ipv4Addr) -> Option<Arc<Network>> {
        let contains = |network: &&Arc<Network>| network.spec.cidr.contains(&address);
        self.networks.values().filter(contains).max_by_key(|network| network.spec.cidr.prefix_len()).cloned()
    }

    pub(super) fn named(&self, network: &str) -> Option<Arc<Network>> {
        self.networks.get(network).cloned()
    }

    fn resolve_all(&mut self, profile: &str) {
        // Taken out meanwhile, for resolving changes the maps beside it.
        let declared = std::mem::take(&mut self.declared);
        for (name, json) in &declared {
            // It was written here: it can be read.
            let Ok(document) = serde_json::from_slice::<Document>(json) else { continue };
            if profile_of(&document) == Some(profile) {
                self.resolve(name, &document);
            }
        }
        self.declared = declared;
    }

    fn resolve(&mut self, name: &str, document: &Document) {
        self.forget(name);
        let profile = profile_of(document).and_then(|name| self.profiles.get(name));
        let mut spec = match merge(name, profile, &document.spec) {
            Ok(spec) => spec,
            Err(error) => return tracing::error!(%error, name, "a stored Hardware cannot be read"),
        };
        self.shared.share(&mut spec);
        let labels = document.metadata.labels.clone();
        let hardware = Arc::new(Hardware { name: name.to_owned(), labels, spec });
        for interface in &hardware.spec.interfaces {
            self.by_mac.insert(interface.mac, Arc::clone(&hardware));
        }
        for (_, ip) in hardware.reservations() {
            self.by_ip.insert(ip, Arc::clone(&hardware));
        }
        if let Some(uuid) = declared_uuid(&hardware) {
            self.by_uuid.insert(uuid, Arc::clone(&hardware));
        }
        self.ports.put(&hardware);
        self.machines.insert(name.into(), hardware);
    }

    fn forget(&mut self, name: &str) {
        let Some(hardware) = self.machines.remove(name) else { return };
        self.ports.forget(&hardware);
        if let Some(uuid) = declared_uuid(&hardware)
            && self.by_uuid.get(&uuid).is_some_and(|other| other.name == name)
        {
            self.by_uuid.remove(&uuid);
        }
        for interface in &hardware.spec.interfaces {
            if self.by_mac.get(&interface.mac).is_some_and(|other| other.name == name) {
                self.by_mac.remove(&interface.mac);
            }
        }
        for (_, ip) in hardware.reservations() {
            if self.by_ip.get(&ip).is_some_and(|other| other.name == name) {
                self.by_ip.remove(&ip);
            }
        }
    }
}

fn profile_of(document: &Document) -> Option<&str> {
    document.spec.get("profile")?.as_str()
}

/// The declared machine id as option 97 carries it.
fn declared_uuid(hardware: &Hardware) -> Option<[u8; 16]> {
    machine_id(hardware.spec.identity.as_ref()?.uuid.as_ref()?)
}

/// Reads what SMBIOS and `dmidecode` write: option 97 carries the first three fields little-endian (SMBIOS 7.2.1).
fn machine_id(uuid: &str) -> Option<[u8; 16]> {
    let fields: Vec<&str> = uuid.split('-').collect();
    if fields.iter().map(|field| field.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    let mut id = u128::from_str_radix(&fields.concat(), 16).ok()?.to_be_bytes();
    for field in [0..4, 4..6, 6..8] {
        id[field].reverse();
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::machine_id;

    #[test]
    fn a_machine_id_is_read_as_option_97_carries_it() {
        let id =
            [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        for (text, expected) in [
            ("00112233-4455-6677-8899-aabbccddeeff", Some(id)),
            ("00112233-4455-6677-8899-AABBCCDDEEFF", Some(id)),
            ("00112233445566778899aabbccddeeff", None),
            ("00112233-4455-6677-8899-aabbccddeefg", None),
            ("0011223-34455-6677-8899-aabbccddeeff", None),
            ("", None),
        ] {
            assert_eq!(machine_id(text), expected, "{text}");
        }
    }
}
