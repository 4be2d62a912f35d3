//! A machine and a workflow for tests.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Command, DiskReport, Event, Inventory, Machine, MachineAction, Namespaces, Outcome, Recorded, Rejection,
    Report, State, decide,
};
use crate::{
    clock::Timestamp,
    document::{Disk, Hardware, HardwareSpec, Overwrite, Storage, WorkflowDocSpec},
    template::{ActionSpec, OnInterrupt, TaskSpec, WorkflowSpec},
};

pub(crate) const NODE: &str = "node-1";

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn action(name: &str) -> ActionSpec {
    ActionSpec {
        name: name.to_owned(),
        image: format!("{name}:v3"),
        timeout_s: Some(90),
        command: Vec::new(),
        on_timeout: None,
        on_failure: None,
        volumes: vec!["/dev:/dev".to_owned()],
        environment: BTreeMap::new(),
        namespaces: Namespaces::default(),
        retries: 0,
        on_interrupt: OnInterrupt::Retry,
        writes: None,
    }
}

/// Three actions; the first sees no disk.
pub(crate) fn spec() -> WorkflowSpec {
    let look = ActionSpec { volumes: Vec::new(), ..action("look") };
    WorkflowSpec {
        name: "debian".to_owned(),
        global_timeout_s: 1000,
        tasks: vec![TaskSpec {
            name: "install".to_owned(),
            worker: NODE.to_owned(),
            actions: vec![look, action("wipe"), action("grub")],
        }],
        on_success: MachineAction::Reboot,
        on_failure: MachineAction::Stay,
    }
}

pub(crate) fn declared() -> WorkflowDocSpec {
    WorkflowDocSpec {
        template: "debian".to_owned(),
        hardware: NODE.to_owned(),
        overwrite: Overwrite::Blank,
        replaces: None,
        expires: Duration::from_secs(3600),
        hardware_map: BTreeMap::new(),
    }
}

pub(crate) fn hardware() -> Hardware {
    let disk = Disk { id: "a".to_owned(), device: Some("/dev/vda".to_owned()), ..Disk::default() };
    let storage = Storage { disks: vec![disk], partitions: Vec::new() };
    let spec = HardwareSpec { storage: Some(storage.into()), ..HardwareSpec::default() };
    Hardware { name: NODE.to_owned(), labels: BTreeMap::new(), spec }
}

pub(crate) fn disk(device: &str, serial: &str, holds: &str) -> DiskReport {
    DiskReport {
        device: device.to_owned(),
        serial: Some(serial.to_owned()).filter(|serial| !serial.is_empty()),
        size_bytes: 4 << 30,
        kind: "ssd".to_owned(),
        blank: holds.is_empty(),
        found: holds.to_owned(),
        table_id: Some("t1".to_owned()).filter(|_| holds == "gpt"),
        ..DiskReport::default()
    }
}

/// A blank disk that is selected, and one with data that is not.
pub(crate) fn inventory() -> Inventory {
    Inventory {
        arch: "x86_64".to_owned(),
        disks: vec![disk("/dev/vda", "A", ""), disk("/dev/vdb", "B", "ext4")],
        ..Inventory::default()
    }
}

/// A workflow under test: commands are decided and folded as the engine would.
pub(crate) struct Run {
    pub(crate) state: State,
    pub(crate) hardware: Hardware,
    pub(crate) inventory: Inventory,
    pub(crate) now: Timestamp,
    pub(crate) log: Vec<Recorded>,
}

impl Run {
    pub(crate) fn new(declared: &WorkflowDocSpec, spec: &WorkflowSpec) -> Self {
        let state = State::empty("w");
        let mut run =
            Self { state, hardware: hardware(), inventory: inventory(), now: at(0), log: Vec::new() };
        run.command(|_| Command::Create { declared, spec, from_directory: false, hold: None }).unwrap();
        run
    }

    pub(crate) fn of(spec: &WorkflowSpec) -> Self {
        Self::new(&declared(), spec)
    }

    pub(crate) fn command<'a>(
        &'a mut self,
        command: impl FnOnce(Machine<'a>) -> Command<'a>,
    ) -> Result<Vec<Event>, Rejection> {
        let machine = Machine { hardware: &self.hardware, boot_id: "boot-1", inventory: &self.inventory };
        let events = decide(&self.state, command(machine), self.now)?;
        for event in &events {
            let recorded = Recorded { seq: self.state.seq + 1, at: self.now, event: event.clone() };
            // What is stored must read back as what was decided.
            let json = serde_json::to_value(&recorded).unwrap();
            assert_eq!(serde_json::from_value::<Recorded>(json).unwrap(), recorded);
            self.state.apply(&recorded);
            self.log.push(recorded);
        }
        Ok(events)
    }

    pub(crate) fn claim(&mut self, boot_id: &str) -> Vec<Event> {
        let boot_id = boot_id.to_owned();
        let next = self.state.next().map_or(0, |(index, ..)| index);
        let (hardware, inventory) = (self.hardware.clone(), self.inventory.clone());
        let machine = Machine { hardware: &hardware, boot_id: &boot_id, inventory: &inventory };
        let instances = self.state.instances.get(&hardware.name).map_or(0, |last| last.number);
        let claim = Command::Claim { machine, next, digest: None, instances };
        let events = decide(&self.state, claim, self.now).unwrap();
        for event in &events {
            let recorded = Recorded { seq: self.state.seq + 1, at: self.now, event: event.clone() };
            self.state.apply(&recorded);
            self.log.push(recorded);
        }
        events
    }

    pub(crate) fn end(&mut self, outcome: Outcome) -> Result<Vec<Event>, Rejection> {
        let open = self.state.open.clone().expect("an open attempt");
        let report = report(&self.state, open.index, open.attempt, outcome);
        self.command(|_| Command::Report { worker: NODE, report: &report })
    }
}

pub(crate) fn report(state: &State, index: u32, attempt: u32, outcome: Outcome) -> Report {
    Report {
        workflow: state.name.clone(),
        index,
        action: state.action(index).map(|(_, action)| action.name.clone()).unwrap_or_default(),
        attempt,
        outcome,
        ran_ms: 1500,
        disks: vec![disk("/dev/vda", "A", "gpt")],
        hook: None,
        outputs: None,
    }
}

pub(crate) fn failed(message: &str) -> Outcome {
    Outcome::Failed {
        reason: super::FailureReason::ExitStatus,
        exit: Some(1),
        message: message.to_owned(),
        tail: String::new(),
    }
}

/// The names of events, for tables.
pub(crate) fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned();
    events.iter().map(name).collect()
}
