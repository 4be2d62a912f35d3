//! The Hardware that declares a machine, made of what it told.

use std::{collections::HashSet, net::Ipv4Addr};

use serde_json::{Value, json};

use super::Unknown;
use crate::{
    arch::{Arch, Firmware},
    document::{API_VERSION, Document, Kind, Metadata},
    workflow::{DiskReport, Inventory},
};

impl Unknown {
    /// The Hardware that declares it. Without an inventory it has no disks: it boots, and nothing can be written to it until somebody names
    /// them. Nor has it an identity then: the bytes of option 97 do not say in which order they are.
    #[must_use]
    pub fn adopt(&self, name: &str, ip: Option<Ipv4Addr>, profile: Option<&str>) -> Document {
        let mut interface = json!({"id": "nic0", "mac": self.mac, "network": self.network, "netboot": true});
        if let Some(ip) = ip {
            interface["ip"] = json!(ip);
        }
        let mut spec = json!({"interfaces": [interface]});
        if let Some(profile) = profile {
            spec["profile"] = profile.into();
        }
        let inventory = self.inventory.as_deref();
        let asked = || self.archs.iter().find_map(|arch| Some((arch.arch()?, arch.firmware()?)));
        if let Some((arch, firmware)) = inventory.and_then(runs).or_else(asked) {
            spec["arch"] = json!(arch);
            spec["firmware"] = json!(firmware);
        }
        if let Some(identity) = inventory.and_then(identity) {
            spec["identity"] = identity;
        }
        let disks = inventory.map(disks).unwrap_or_default();
        if !disks.is_empty() {
            spec["storage"] = json!({"disks": disks});
        }
        Document {
            api_version: API_VERSION.to_owned(),
            kind: Kind::Hardware,
            metadata: Metadata { name: name.to_owned(), ..Metadata::default() },
            spec,
        }
    }
}

/// What the kernel says that it runs on, which iPXE and option 93 may not know: a 64-bit PC's BIOS is of 16 bits.
fn runs(inventory: &Inventory) -> Option<(Arch, Firmware)> {
    let arch = serde_json::from_value(json!(inventory.arch)).ok()?;
    match (arch, inventory.uefi) {
        (_, true) => Some((arch, Firmware::Uefi)),
        (Arch::X86_64, false) => Some((arch, Firmware::Bios)),
        // Neither: what started it is not said by the kernel.
        (Arch::Aarch64, false) => None,
    }
}

/// The serial number; where there is none the UUID, which some vendors give to all their boards.
fn identity(inventory: &Inventory) -> Option<Value> {
    let told = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    match (told(&inventory.serial), told(&inventory.uuid)) {
        (Some(serial), _) => Some(json!({"serial": serial})),
        (None, Some(uuid)) => Some(json!({"uuid": uuid})),
        (None, None) => None,
    }
}

/// Each disk by what stays the same when cables are moved, else by its node. One with something on it is kept as it is until somebody
/// takes `keep` away (I12).
fn disks(inventory: &Inventory) -> Vec<Value> {
    let found = || inventory.disks.iter().filter(|disk| is_device(&disk.device) && disk.size_bytes > 0);
    let of = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    // Two disks that say the same, as two paths to one do, are told apart by their nodes alone.
    let only = |get: fn(&DiskReport) -> &Option<String>, disk: &DiskReport| {
        let text = of(get(disk));
        let same = found().filter(|other| of(get(other)) == text).count();
        let told = get(disk).as_deref().unwrap_or_default().trim().to_owned();
        (!text.is_empty() && same == 1).then_some(told)
    };
    let mut ids = HashSet::new();
    found()
        .filter(|disk| ids.insert(disk.device.as_str()))
        .map(|disk| {
            let mut value = json!({"id": disk.device.trim_start_matches("/dev/").replace('/', "-")});
            if let Some(wwn) = only(|disk| &disk.wwn, disk) {
                value["match"] = json!({"wwn": wwn});
            } else if let Some(serial) = only(|disk| &disk.serial, disk) {
                value["match"] = json!({"serial": serial});
            } else {
                value["device"] = json!(disk.device);
            }
            if !disk.blank {
                value["keep"] = json!(true);
            }
            value
        })
        .collect()
}

fn is_device(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/!".contains(&byte);
    path.strip_prefix("/dev/").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
        && !path.split('/').any(|part| part == "..")
}
