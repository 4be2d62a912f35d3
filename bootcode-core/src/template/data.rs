//! What a template sees.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::document::{Hardware, Interface};

/// Finds the machine that a worker's id means: by name or MAC. Returns the machine's name.
pub type Resolve<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The values of a template, and how the workers that it names become machines.
#[derive(Clone)]
pub struct TemplateData<'a> {
    pub(super) values: Value,
    pub(super) disks: Vec<String>,
    pub(super) now: Option<Timestamp>,
    pub(super) resolve: &'a Resolve<'a>,
}

impl fmt::Debug for TemplateData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may hold what nobody should read in a log.
        f.debug_struct("TemplateData").field("disks", &self.disks).finish_non_exhaustive()
    }
}

impl<'a> TemplateData<'a> {
    /// Every entry of `hardware_map` by its name; `device_1`, unless the map has it, the machine's own MAC; `hardware`, the machine's
    /// document with its Profile merged in and its `hostname` always there; `Hardware`, the same by the names that older templates use.
    #[must_use]
    pub fn new(
        machine: &Hardware,
        hardware_map: &BTreeMap<String, String>,
        resolve: &'a Resolve<'a>,
    ) -> Self {
        let mut values = Map::new();
        let own = machine.netboot_interface().or_else(|| machine.spec.interfaces.first());
        // A machine without an interface is still known by its name.
        let id = own.map_or_else(|| machine.name.clone(), |interface| interface.mac.to_string());
        values.insert("device_1".to_owned(), id.into());
        // A spec is made of plain types, so this cannot fail; were it to, templates would find no key.
        let mut spec = serde_json::to_value(&machine.spec).unwrap_or_default();
        if let Value::Object(spec) = &mut spec {
            spec.insert("hostname".to_owned(), machine.hostname().into());
        }
        values.insert(
            "hardware".to_owned(),
            json!({
                "metadata": {"name": machine.name, "labels": machine.labels},
                "spec": spec,
            }),
        );
        values.insert("Hardware".to_owned(), legacy(machine));
        for (name, value) in hardware_map {
            values.insert(name.clone(), value.clone().into());
        }
        let disks = machine.spec.storage.iter().flat_map(|storage| &storage.disks);
        let disks = disks.filter(|disk| !disk.keep).map(|disk| disk.id.clone()).collect();
        Self { values: Value::Object(values), disks, now: None, resolve }
    }

    /// With the time that `now` gives.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }
}

/// `.Hardware` of Tinkerbell, with Go's names.
fn legacy(machine: &Hardware) -> Value {
    let disks = machine.spec.storage.iter().flat_map(|storage| &storage.disks);
    let disks: Vec<&str> = disks.filter_map(|disk| disk.device.as_deref()).collect();
    let interface = |interface: &Interface| {
        let address = interface.ip.map(|ip| ip.to_string()).unwrap_or_default();
        json!({"DHCP": {
            "MAC": interface.mac.to_string(),
            "Hostname": machine.hostname(),
            "IP": {"Address": address},
        }})
    };
    json!({
        "Disks": disks,
        "Interfaces": machine.spec.interfaces.iter().map(interface).collect::<Vec<_>>(),
        "UserData": machine.spec.user_data.as_deref().unwrap_or_default(),
        "VendorData": machine.spec.vendor_data.as_deref().unwrap_or_default(),
        "Metadata": {"Instance": {"ID": machine.instance_id(), "Hostname": machine.hostname()}},
    })
}
