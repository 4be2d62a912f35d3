//! What would be written to disks, told before anybody applies it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Catalog, Diff, Disk, Kind, WorkflowDocSpec};
use crate::{
    template::WorkflowSpec,
    workflow::{Inventory, writable},
};

/// A disk that a new Workflow would write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    /// The Workflow.
    pub workflow: String,
    /// The machine.
    pub hardware: String,
    /// The disk's id in the Hardware.
    pub disk: String,
    /// What is known of it.
    pub sight: Sight,
}

/// What is known of a disk before it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
#[non_exhaustive]
pub enum Sight {
    /// The machine never reported its disks.
    NotSeen {
        /// How the Hardware selects it: `/dev/vda`, `size: 400GB..1TB`.
        selected: String,
    },
    /// It would be written, as the machine was last seen.
    Seen {
        /// Its node.
        device: String,
        /// Its size.
        bytes: u64,
        /// `blank`, or what is on it.
        holds: String,
    },
    /// The workflow would be held, as the machine was last seen.
    Held {
        /// How the Hardware selects it.
        selected: String,
        /// Why.
        reason: String,
    },
}

/// The disks that the new Workflows of `diff` would write; `catalog` is of all documents as they would stand, `inventory` tells what a
/// machine reported last. A Workflow that does not compile writes nothing.
pub fn writes(
    diff: &Diff,
    catalog: &Catalog<'_>,
    inventory: &dyn Fn(&str) -> Option<Inventory>,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for id in diff.created.iter().filter(|id| id.kind == Kind::Workflow) {
        let Ok(document) = catalog.document(Kind::Workflow, &id.name) else { continue };
        let Ok(declared) = WorkflowDocSpec::from_document(document) else { continue };
        let Ok(machine) = catalog.hardware(&declared.hardware) else { continue };
        let Ok(spec) = catalog.compile(&declared) else { continue };
        let storage = machine.spec.storage.as_deref();
        let seen = inventory(&machine.name);
        let chosen = seen.as_ref().map(|seen| writable(&machine.name, storage, &declared, &spec, &[], seen));
        for disk in storage
            .iter()
            .flat_map(|storage| &storage.disks)
            .filter(|disk| is_written(disk, &spec, &machine.name))
        {
            let armed = chosen
                .as_ref()
                .map(|chosen| chosen.as_ref().map(|armed| armed.iter().find(|armed| armed.id == disk.id)));
            let sight = match armed {
                Some(Ok(Some(armed))) => {
                    let found = seen.iter().flat_map(|seen| &seen.disks);
                    let found = found.into_iter().find(|found| found.device == armed.device);
                    let bytes = found.map_or(0, |found| found.size_bytes);
                    Sight::Seen { device: armed.device.clone(), bytes, holds: armed.found.clone() }
                }
                Some(Err(hold)) => Sight::Held { selected: selected(disk), reason: hold.to_string() },
                None | Some(Ok(None)) => Sight::NotSeen { selected: selected(disk) },
            };
            let (workflow, hardware) = (id.name.clone(), machine.name.clone());
            writes.push(Write { workflow, hardware, disk: disk.id.clone(), sight });
        }
    }
    writes
}

/// Whether an action of the workflow may write the machine's disk.
fn is_written(disk: &Disk, spec: &WorkflowSpec, machine: &str) -> bool {
    !disk.keep
        && spec
            .writing_on(machine)
            .any(|action| action.writes.as_ref().is_none_or(|ids| ids.contains(&disk.id)))
}

fn selected(disk: &Disk) -> String {
    let matching = disk.matching.iter().map(|(key, value)| format!("{key}: {value}"));
    disk.device.iter().cloned().chain(matching).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Write {
    /// `WRITES node-1 disk a (/dev/vda, 4 GiB, blank)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hardware, disk, .. } = self;
        match &self.sight {
            Sight::NotSeen { selected } => {
                write!(f, "WRITES {hardware} disk {disk} ({selected}, not seen yet)")
            }
            Sight::Seen { device, bytes, holds } => {
                write!(f, "WRITES {hardware} disk {disk} ({device}, {}, {holds})", size(*bytes))
            }
            Sight::Held { selected, reason } => {
                write!(f, "HOLDS {hardware} disk {disk} ({selected}): {reason}")
            }
        }
    }
}

/// In the largest binary unit that leaves a whole number before the point.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..UNITS.len()).rev().find(|unit| bytes >> (10 * unit) > 0).unwrap_or(0);
    let (whole, rest) = (bytes >> (10 * unit), bytes & ((1 << (10 * unit)) - 1));
    // One digit after the point; what is cut off is no more than a tenth.
    match ((u128::from(rest) * 10) >> (10 * unit), UNITS[unit]) {
        (0, name) => format!("{whole} {name}"),
        (tenths, name) => format!("{whole}.{tenths} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        document::{Document, Origin, diff, validate},
        workflow::DiskReport,
    };

    const FLEET: &str = "apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1}
spec:
  storage:
    disks:
      - {id: a, device: /dev/vda}
      - {id: b, match: {size: 1GiB..2GiB, type: ssd}}
      - {id: k, device: /dev/vdk, keep: true}
      - {id: z, device: /dev/vdz}
---
apiVersion: bootcode/v1
kind: Template
metadata: {name: t}
spec:
  data: |
    version: '0.1'
    name: t
    global_timeout: 60
    tasks:
    - name: t
      worker: '{{.device_1}}'
      actions:
      - {name: look, image: x}
      - {name: wipe, image: x, volumes: ['/dev:/dev'], writes: [a, b]}
---
apiVersion: bootcode/v1
kind: Workflow
metadata: {name: w}
spec: {template: t, hardware: node-1}
";

    fn lines(existing: &[Document], inventory: Option<Inventory>) -> Vec<String> {
        let set =
            validate(&[("f.yaml", FLEET)], existing, Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH)
                .unwrap();
        let diff = diff(existing, set.documents());
        let catalog = Catalog::new(set.documents());
        writes(&diff, &catalog, &|name| inventory.clone().filter(|_| name == "node-1"))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn disk(device: &str, bytes: u64, blank: bool) -> DiskReport {
        let serial = Some(format!("S-{device}"));
        DiskReport {
            device: device.into(),
            serial,
            size_bytes: bytes,
            kind: "ssd".into(),
            blank,
            ..DiskReport::default()
        }
    }

    #[test]
    fn each_disk_that_a_new_workflow_writes_is_told_with_what_is_known_of_it() {
        assert_eq!(
            lines(&[], None),
            [
                "WRITES node-1 disk a (/dev/vda, not seen yet)",
                "WRITES node-1 disk b (size: 1GiB..2GiB, type: ssd, not seen yet)"
            ]
        );
        let disks = |blank| vec![disk("/dev/vda", 4 << 30, true), disk("/dev/vdb", 3 << 29, blank)];
        let seen = |blank| Inventory { disks: disks(blank), ..Inventory::default() };
        assert_eq!(
            lines(&[], Some(seen(true))),
            [
                "WRITES node-1 disk a (/dev/vda, 4 GiB, blank)",
                "WRITES node-1 disk b (/dev/vdb, 1.5 GiB, blank)"
            ]
        );
        let held = lines(&[], Some(seen(false)));
        assert_eq!(held.len(), 2);
        assert!(held[0].starts_with("HOLDS node-1 disk a (/dev/vda): DiskNotBlank: "), "{held:?}");
        let applied =
            validate(&[("f.yaml", FLEET)], &[], Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH)
                .unwrap()
                .into_documents();
        assert!(lines(&applied, None).is_empty(), "a Workflow that is applied already is not new");
    }

    #[test]
    fn sizes_are_told_as_people_say_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1 << 32, "4 GiB"),
            (500_107_862_016, "465.7 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
