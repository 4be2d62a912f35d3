//! What a template sees.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{GoTemplate, RenderError, Renderer as _, Renderings, legacy::legacy};
use crate::document::{Hardware, Network, first_instance};

/// Finds the machine that a worker's id means: by name or MAC. Returns the machine's name.
pub type Resolve<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What every template sees: no entry of a `hardwareMap` may hide it.
pub(crate) const TAKEN_NAMES: [&str; 3] = ["Hardware", "hardware", "references"];

/// The values of a template, and how the workers that it names become machines.
#[derive(Clone)]
pub struct TemplateData<'a> {
    pub(super) values: Value,
    pub(super) machine: String,
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

impl TemplateData<'static> {
    /// What an install file sees: the machine alone, with what `network` says of its Networks by their names.
    #[must_use]
    pub fn of(machine: &Hardware, network: &dyn Fn(&str) -> Option<Network>) -> Self {
        Self::made(machine, &BTreeMap::new(), &|_| None, network)
    }
}

impl<'a> TemplateData<'a> {
    /// Every entry of `hardware_map` by its name, unless that is one of the following; `device_1`, unless the map has it, the machine's own MAC; `hardware`, the machine's
    /// document with its Profile merged in and its `hostname` always there; `Hardware`, the same by the names that older templates use;
    /// `references`, none yet.
    #[must_use]
    pub fn new(
        machine: &Hardware,
        hardware_map: &BTreeMap<String, String>,
        resolve: &'a Resolve<'a>,
    ) -> Self {
        Self::made(machine, hardware_map, resolve, &|_| None)
    }

    fn made(
        machine: &Hardware,
        hardware_map: &BTreeMap<String, String>,
        resolve: &'a Resolve<'a>,
        network: &dyn Fn(&str) -> Option<Network>,
    ) -> Self {
        let mut values = Map::new();
        let own = machine.netboot_interface().or_else(|| machine.spec.interfaces.first());
        // A machine without an interface is still known by its name.
        let id = own.map_or_else(|| machine.name.clone(), |interface| interface.mac.to_string());
        values.insert("device_1".to_owned(), id.into());
        for (name, value) in hardware_map {
            values.insert(name.clone(), value.clone().into());
        }
        // A spec is made of plain types, so this cannot fail; were it to, templates would find no key.
        let mut spec = serde_json::to_value(&machine.spec).unwrap_or_default();
        if let Value::Object(spec) = &mut spec {
            spec.insert("hostname".to_owned(), machine.hostname().into());
            // Templates are no data: one of 256 KiB would be gone through for every other.
            if let Some(instance) = spec.get_mut("instance").and_then(Value::as_object_mut) {
                instance.remove("install");
            }
            // A document of Tinkerbell's is seen by its own words, ours beside them.
            if let Some(Value::Object(original)) = spec.remove("tinkerbell") {
                spec.extend(original);
            }
        }
        values.insert(
            "hardware".to_owned(),
            json!({
                "metadata": {"name": machine.name, "labels": machine.labels},
                "spec": spec,
            }),
        );
        values.insert("Hardware".to_owned(), legacy(machine, network));
        values.insert("references".to_owned(), json!({}));
        let disks = machine.spec.storage.iter().flat_map(|storage| &storage.disks);
        let disks = disks.filter(|disk| !disk.keep).map(|disk| disk.id.clone()).collect();
        Self { values: Value::Object(values), machine: machine.name.clone(), disks, now: None, resolve }
    }

    /// With what the machine's networks say: netmask, gateway, name servers.
    #[must_use]
    pub fn in_networks(mut self, machine: &Hardware, network: &dyn Fn(&str) -> Option<Network>) -> Self {
        self.values["Hardware"] = legacy(machine, network);
        self
    }

    /// As the instance with this id, unless a document of Tinkerbell's gives its own. After [`TemplateData::in_networks`].
    #[must_use]
    pub fn as_instance(mut self, id: &str) -> Self {
        let said = &mut self.values["Hardware"]["Metadata"]["Instance"]["ID"];
        if *said == first_instance(&self.machine) {
            *said = id.into();
        }
        self
    }

    /// The text that a template makes of it, whatever language that is in.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn render(&self, source: &str) -> Result<String, RenderError> {
        GoTemplate { now: self.now }.render(source, &self.values)
    }

    /// The same for several templates that were parsed before.
    pub(crate) const fn renderings(&self) -> Renderings<'_> {
        Renderings::new(&self.values, self.now)
    }

    /// With the documents that the machine's `references` name, by their names there.
    #[must_use]
    pub fn referring(mut self, references: Map<String, Value>) -> Self {
        self.values["references"] = Value::Object(references);
        self
    }

    /// With the time that `now` gives.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }
}
