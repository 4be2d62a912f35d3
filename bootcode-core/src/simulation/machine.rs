//! A machine: power, disks, one worker, one container. What it does on its own, apart from what its worker decides.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    check::{Broken, broken},
    dice::Dice,
    fleet::PhysicalDisk,
    worker::{Attempt, Exit, SimWorker},
};
use crate::{
    document::{Hardware, Overwrite, WorkflowDocSpec},
    workflow::{Assignment, DiskReport, Hello, Inventory, Report},
};

/// How far a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// Switched off, or in the system on its disk.
    Away,
    /// Its firmware asks what to boot.
    Firmware,
    /// The in-memory system runs.
    Osie,
}

/// A machine of the fleet.
pub(super) struct Machine {
    pub(super) hardware: Arc<Hardware>,
    disks: Vec<PhysicalDisk>,
    /// The nodes of its disks in this boot: node `a` is the disk at this place.
    swapped: bool,
    pub(super) power: Power,
    pub(super) boot: u32,
    /// Counts workers; what was meant for an earlier one is not for this one.
    pub(super) life: u64,
    pub(super) worker: Option<Box<dyn SimWorker>>,
    pub(super) worker_since_ms: u64,
    pub(super) wake_ms: Option<u64>,
    pub(super) token: String,
    nonce: String,
    inventory: Inventory,
    /// Memory: gone with a reboot.
    pub(super) spool: BTreeMap<Attempt, Report>,
    pub(super) container: Option<Container>,
    /// The pull that is under way: gone with the worker.
    pub(super) pulling: Option<u64>,
    pub(super) cut_off_until_ms: u64,
}

/// A container that runs.
pub(super) struct Container {
    pub(super) number: u64,
    pub(super) attempt: Attempt,
    pub(super) since_ms: u64,
    pub(super) exit: Exit,
    pub(super) over_ms: u64,
}

impl Machine {
    pub(super) fn new(hardware: Hardware, disks: Vec<PhysicalDisk>) -> Self {
        Self {
            hardware: Arc::new(hardware),
            disks,
            swapped: false,
            power: Power::Away,
            boot: 0,
            life: 0,
            worker: None,
            worker_since_ms: 0,
            wake_ms: None,
            token: String::new(),
            nonce: String::new(),
            inventory: Inventory::default(),
            spool: BTreeMap::new(),
            container: None,
            pulling: None,
            cut_off_until_ms: 0,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.hardware.name
    }

    pub(super) fn boot_id(&self) -> String {
        format!("{}-boot-{}", self.name(), self.boot)
    }

    /// Power is cut, or the kernel restarts: all that is in memory is gone.
    pub(super) fn restart(&mut self) {
        self.leave();
        self.power = Power::Firmware;
    }

    /// It goes to its disk, or off.
    pub(super) fn leave(&mut self) {
        self.power = Power::Away;
        self.life += 1;
        self.worker = None;
        self.spool.clear();
        self.container = None;
        self.pulling = None;
        self.wake_ms = None;
    }

    /// OSIE is booted with this token.
    pub(super) fn enter_osie(&mut self, token: String, dice: &mut Dice) {
        self.power = Power::Osie;
        self.boot += 1;
        self.token = token;
        self.nonce = format!("{:032x}", dice.bits());
        self.swapped = dice.chance(200);
    }

    /// A worker starts: it looks at the disks, and what an earlier one left running is killed.
    pub(super) fn start_worker(&mut self, worker: Box<dyn SimWorker>, now_ms: u64) {
        self.life += 1;
        self.container = None;
        self.pulling = None;
        self.inventory = self.look();
        self.worker = Some(worker);
        self.worker_since_ms = now_ms;
        self.wake_ms = None;
    }

    /// A worker dies; what it runs goes on.
    pub(super) fn stop_worker(&mut self) {
        self.life += 1;
        self.worker = None;
        self.pulling = None;
        self.wake_ms = None;
    }

    pub(super) fn uptime(&self, now_ms: u64) -> Duration {
        Duration::from_millis(now_ms.saturating_sub(self.worker_since_ms))
    }

    pub(super) fn hello(&self) -> Hello {
        Hello {
            token: self.token.clone(),
            nonce: self.nonce.clone(),
            boot_id: self.boot_id(),
            inventory: self.inventory.clone(),
        }
    }

    fn place_of(&self, node: &str) -> Option<usize> {
        let place = match node {
            "/dev/vda" => 0,
            "/dev/vdb" => 1,
            _ => return None,
        };
        Some(if self.swapped { 1 - place } else { place })
    }

    fn report_of(&self, node: &str) -> Option<DiskReport> {
        let disk = self.disks.get(self.place_of(node)?)?;
        Some(DiskReport {
            device: node.to_owned(),
            serial: Some(disk.serial.clone()),
            size_bytes: 4 << 30,
            kind: "ssd".to_owned(),
            blank: disk.holds.is_none(),
            found: disk.holds.as_ref().map(|_| "gpt".to_owned()).unwrap_or_default(),
            table_id: disk.holds.as_ref().map(|(table, _)| table.clone()),
            ..DiskReport::default()
        })
    }

    fn look(&self) -> Inventory {
        let disks = ["/dev/vda", "/dev/vdb"].iter().filter_map(|node| self.report_of(node)).collect();
        Inventory { arch: "x86_64".to_owned(), disks, ..Inventory::default() }
    }

    /// The disks of an assignment as they are now.
    pub(super) fn writable(&self, assignment: &Assignment) -> Vec<DiskReport> {
        assignment.writable.iter().filter_map(|disk| self.report_of(&disk.device)).collect()
    }

    /// A container begins to write its disks. What they held must be this workflow's own, nothing, or what it may overwrite.
    pub(super) fn write(
        &mut self,
        assignment: &Assignment,
        declared: Option<&WorkflowDocSpec>,
    ) -> Result<(), Broken> {
        for disk in &assignment.writable {
            let found = self.place_of(&disk.device).and_then(|place| self.disks.get_mut(place));
            let Some(found) = found else { return broken("only-blank-or-named-disks", &*disk.device) };
            let may = found.holds.as_ref().is_none_or(|(table, owner)| {
                let named = format!("serial:{}@{table}", found.serial);
                *owner == assignment.workflow
                    || declared.is_some_and(|declared| {
                        declared.overwrite == Overwrite::Any
                            || declared.replaces.iter().flat_map(|ids| ids.split(',')).any(|id| id == named)
                    })
            });
            if !may {
                let (serial, holds) = (&found.serial, &found.holds);
                let detail = format!("{} writes {serial}, which holds {holds:?}", assignment.workflow);
                return broken("only-blank-or-named-disks", detail);
            }
            let table = format!("{}-{}-{}", assignment.workflow, assignment.index, assignment.attempt);
            found.holds = Some((table, assignment.workflow.clone()));
        }
        Ok(())
    }
}
