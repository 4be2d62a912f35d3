//! The snapshot's maps.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    document::{Document, Hardware, Kind, Network, merge},
    mac::MacAddr,
    source::HardwareKey,
    store::Key,
};

#[derive(Debug, Default)]
pub(super) struct Index {
    networks: BTreeMap<String, Arc<Network>>,
    profiles: BTreeMap<String, Value>,
    /// As declared, for when a Profile changes.
    declared: BTreeMap<String, Document>,
    machines: BTreeMap<String, Arc<Hardware>>,
    by_mac: HashMap<MacAddr, Arc<Hardware>>,
    by_ip: HashMap<Ipv4Addr, Arc<Hardware>>,
    by_uuid: HashMap<String, Arc<Hardware>>,
}

impl Index {
    pub(super) fn put(&mut self, key: &Key, value: &Value) {
        let Ok(kind) = key.kind.parse::<Kind>() else { return };
        let document: Document = match serde_json::from_value(value.clone()) {
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
                self.declared.insert(key.name.clone(), document);
                self.resolve(&key.name);
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
                self.declared.remove(&key.name);
                self.forget(&key.name);
            }
            _ => {}
        }
    }

    pub(super) fn hardware(&self, key: &HardwareKey) -> Option<Arc<Hardware>> {
        match key {
            HardwareKey::Mac(mac) => self.by_mac.get(mac).cloned(),
            HardwareKey::Ip(IpAddr::V4(ip)) => self.by_ip.get(ip).cloned(),
            HardwareKey::Ip(IpAddr::V6(_)) => None,
            HardwareKey::Name(name) => self.machines.get(name).cloned(),
            HardwareKey::MachineId(id) => self.by_uuid.get(&uuid(id)).cloned(),
        }
    }

    /// The narrowest network that contains the address.
    pub(super) fn network(&self, address: Ipv4Addr) -> Option<Arc<Network>> {
        let contains = |network: &&Arc<Network>| network.spec.cidr.contains(&address);
        self.networks.values().filter(contains).max_by_key(|network| network.spec.cidr.prefix_len()).cloned()
    }

    fn resolve_all(&mut self, profile: &str) {
        let uses =
            |document: &&Document| document.spec.get("profile").and_then(Value::as_str) == Some(profile);
        let names: Vec<String> =
            self.declared.values().filter(uses).map(|document| document.metadata.name.clone()).collect();
        for name in names {
            self.resolve(&name);
        }
    }

    fn resolve(&mut self, name: &str) {
        self.forget(name);
        let Some(document) = self.declared.get(name) else { return };
        let profile =
            document.spec.get("profile").and_then(Value::as_str).and_then(|name| self.profiles.get(name));
        let spec = match merge(name, profile, &document.spec) {
            Ok(spec) => spec,
            Err(error) => return tracing::error!(%error, name, "a stored Hardware cannot be read"),
        };
        let labels = document.metadata.labels.clone();
        let hardware = Arc::new(Hardware { name: name.to_owned(), labels, spec });
        for interface in &hardware.spec.interfaces {
            self.by_mac.insert(interface.mac, Arc::clone(&hardware));
            if let Some(ip) = interface.ip {
                self.by_ip.insert(ip, Arc::clone(&hardware));
            }
        }
        if let Some(uuid) = declared_uuid(&hardware) {
            self.by_uuid.insert(uuid, Arc::clone(&hardware));
        }
        self.machines.insert(name.to_owned(), hardware);
    }

    fn forget(&mut self, name: &str) {
        let Some(hardware) = self.machines.remove(name) else { return };
        if let Some(uuid) = declared_uuid(&hardware)
            && self.by_uuid.get(&uuid).is_some_and(|other| other.name == name)
        {
            self.by_uuid.remove(&uuid);
        }
        for interface in &hardware.spec.interfaces {
            if self.by_mac.get(&interface.mac).is_some_and(|other| other.name == name) {
                self.by_mac.remove(&interface.mac);
            }
            if let Some(ip) = interface.ip
                && self.by_ip.get(&ip).is_some_and(|other| other.name == name)
            {
                self.by_ip.remove(&ip);
            }
        }
    }
}

fn declared_uuid(hardware: &Hardware) -> Option<String> {
    hardware.spec.identity.as_ref()?.uuid.as_ref().map(|uuid| uuid.to_ascii_lowercase())
}

/// As SMBIOS and `dmidecode` write it: option 97 carries the first three fields little-endian (SMBIOS 7.2.1).
fn uuid(id: &[u8; 16]) -> String {
    let hex = |bytes: &mut dyn Iterator<Item = &u8>| {
        bytes.fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    };
    format!(
        "{}-{}-{}-{}-{}",
        hex(&mut id[..4].iter().rev()),
        hex(&mut id[4..6].iter().rev()),
        hex(&mut id[6..8].iter().rev()),
        hex(&mut id[8..10].iter()),
        hex(&mut id[10..].iter())
    )
}
