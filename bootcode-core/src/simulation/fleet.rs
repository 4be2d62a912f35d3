//! What a seed's fleet is: machines, disks, workflows.

use std::{collections::BTreeMap, time::Duration};

use super::dice::Dice;
use crate::{
    document::{Disk, Hardware, HardwareSpec, Overwrite, Storage, WorkflowDocSpec},
    engine::NewWorkflow,
    template::{ActionSpec, OnInterrupt, TaskSpec, WorkflowSpec},
    workflow::{MachineAction, Namespaces},
};

/// A disk as it is, whatever documents and inventories say.
#[derive(Debug, Clone)]
pub(super) struct PhysicalDisk {
    pub(super) serial: String,
    /// Its partition table, and who wrote it: a workflow's name, or nobody known.
    pub(super) holds: Option<(String, String)>,
}

/// The machines of a seed, with their disks in the order of their nodes.
pub(super) fn machines(dice: &mut Dice) -> Vec<(Hardware, Vec<PhysicalDisk>)> {
    let count = dice.between(1, 3);
    (1..=count).map(|number| machine(&format!("node-{number}"), dice)).collect()
}

fn machine(name: &str, dice: &mut Dice) -> (Hardware, Vec<PhysicalDisk>) {
    let disk = |letter: &str, used: bool| PhysicalDisk {
        serial: format!("{name}-{letter}"),
        holds: used.then(|| (format!("old-{letter}"), "somebody".to_owned())),
    };
    let disks = vec![disk("a", dice.chance(250)), disk("b", dice.chance(500))];
    // By its node, as Tinkerbell does, or by its serial number, which stays when nodes change.
    let declared = if dice.chance(400) {
        Disk { device: Some("/dev/vda".to_owned()), ..Disk::default() }
    } else {
        let matching = BTreeMap::from([("serial".to_owned(), format!("{name}-a"))]);
        Disk { matching, ..Disk::default() }
    };
    let declared = Disk { id: "a".to_owned(), ..declared };
    let storage = Storage { disks: vec![declared], partitions: Vec::new() };
    let spec = HardwareSpec { storage: Some(storage.into()), ..HardwareSpec::default() };
    (Hardware { name: name.to_owned(), labels: BTreeMap::new(), spec }, disks)
}

/// The workflows that are applied in the course of a run.
pub(super) fn workflows(machines: &[(Hardware, Vec<PhysicalDisk>)], dice: &mut Dice) -> Vec<NewWorkflow> {
    let count = dice.between(1, 4);
    (1..=count).map(|number| workflow(&format!("w{number}"), machines, dice)).collect()
}

fn workflow(name: &str, machines: &[(Hardware, Vec<PhysicalDisk>)], dice: &mut Dice) -> NewWorkflow {
    let first = dice.roll(machines.len() as u64) as usize;
    let writes = dice.chance(650);
    let mut workers = vec![first];
    if machines.len() > 1 && dice.chance(350) {
        workers.push((first + 1) % machines.len());
        if dice.chance(300) {
            workers.push(first);
        }
    }
    let mut tasks = Vec::new();
    for (place, worker) in workers.iter().enumerate() {
        let actions = dice.between(1, if workers.len() > 1 { 2 } else { 3 });
        let actions = (1..=actions).map(|number| action(&format!("t{place}a{number}"), writes, dice));
        let actions = actions.collect();
        tasks.push(TaskSpec { name: format!("t{place}"), worker: machines[*worker].0.name.clone(), actions });
    }
    let (hardware, disks) = &machines[first];
    let replaces = disks[0]
        .holds
        .as_ref()
        .filter(|_| dice.chance(400))
        .map(|(table, _)| format!("serial:{}@{table}", disks[0].serial));
    let end = |dice: &mut Dice| {
        *dice
            .pick(&[MachineAction::Reboot, MachineAction::Stay, MachineAction::Poweroff])
            .unwrap_or(&MachineAction::Stay)
    };
    NewWorkflow {
        name: name.to_owned(),
        declared: WorkflowDocSpec {
            template: "simulated".to_owned(),
            hardware: hardware.name.clone(),
            overwrite: if dice.chance(150) { Overwrite::Any } else { Overwrite::Blank },
            replaces,
            expires: Duration::from_secs(dice.between(300, 2400)),
            hardware_map: BTreeMap::new(),
        },
        spec: WorkflowSpec {
            name: "simulated".to_owned(),
            global_timeout_s: dice.between(200, 1500),
            tasks,
            on_success: end(dice),
            on_failure: end(dice),
        },
        from_directory: false,
        hold: None,
    }
}

fn action(name: &str, may_write: bool, dice: &mut Dice) -> ActionSpec {
    let hook = |dice: &mut Dice| dice.chance(300).then(|| vec!["mend".to_owned()]);
    let volumes = if may_write && dice.chance(700) { vec!["/dev:/dev".to_owned()] } else { Vec::new() };
    ActionSpec {
        name: name.to_owned(),
        image: "simulated:v1".to_owned(),
        timeout_s: dice.chance(800).then(|| dice.between(20, 120)),
        on_timeout: hook(dice),
        on_failure: hook(dice),
        volumes,
        retries: dice.roll(3) as u32,
        on_interrupt: if dice.chance(200) { OnInterrupt::Fail } else { OnInterrupt::Retry },
        command: Vec::new(),
        environment: BTreeMap::new(),
        namespaces: Namespaces::default(),
        writes: None,
    }
}
