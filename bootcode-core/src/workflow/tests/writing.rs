//! I12 over fleets: whatever machines have and whatever happens to them, no disk is handed out for writing that is neither blank nor
//! named, and none that is to be kept. The fleet knows what is on its disks; the rules know only what workers report.

use std::cell::Cell;

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

use crate::{
    document::{Disk, Hardware, HardwareSpec, Overwrite, Storage, WorkflowDocSpec},
    template::{ActionSpec, TaskSpec, WorkflowSpec},
    workflow::{
        Command, Credentials, DiskReport, Event, Hold, Inventory, Machine, Outcome, Recorded, State, decide,
        fixtures::{action, at, declared, failed, report, spec},
        guard::{Guard, without},
    },
};

const MACHINES: [&str; 2] = ["node-1", "node-2"];
const NODES: [&str; 3] = ["/dev/sda", "/dev/sdb", "/dev/sdc"];
const CASES: u32 = 2000;
/// What an earlier workflow installed, by every name that a disk can have.
const NAMED: &str = "wwn:w1@t1,wwn:w2@t1,serial:s1@t1,serial:s2@t1,path:/dev/disk/by-path/slot-0+1@t1";

/// A disk as it is in the machine, whatever its node is in a boot.
#[derive(Debug, Clone)]
struct Physical {
    wwn: Option<&'static str>,
    serial: Option<&'static str>,
    slot: Option<usize>,
    size_bytes: u64,
    /// The table on it; `None` where it is blank.
    table: Option<String>,
}

#[derive(Debug, Clone)]
struct Node {
    disks: Vec<Physical>,
    document: Storage,
}

#[derive(Debug, Clone)]
enum Step {
    /// A machine asks for work.
    Claim(usize),
    /// The open attempt ends; it may have written its disks in any case.
    End {
        good: bool,
        wrote: bool,
    },
    /// A machine restarts; its nodes are numbered anew.
    Boot(usize, usize),
    /// The store is put back to an older state, as from a backup.
    Restore(usize),
    Release,
    Retry,
    Cancel,
    Tick(u16),
    /// Another workflow, where none is open.
    Again(WorkflowDocSpec),
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(proptest::sample::select(of))
}

fn a_disk() -> impl Strategy<Value = Physical> {
    let table =
        prop_oneof![4 => Just(None), 3 => Just(Some("t1".to_owned())), 1 => Just(Some("t2".to_owned()))];
    (maybe(&["w1", "w2"]), maybe(&["s1", "s2"]), any::<bool>(), 1u64..3, table).prop_map(
        |(wwn, serial, slot, size_bytes, table)| Physical {
            wwn,
            serial,
            slot: slot.then_some(0),
            size_bytes,
            table,
        },
    )
}

fn a_document() -> impl Strategy<Value = Storage> {
    let matching = || {
        proptest::sample::select(
            &[
                ("wwn", "w1"),
                ("serial", "s1"),
                ("type", "ssd"),
                ("size", "2"),
                ("path", "/dev/disk/by-path/slot-1"),
            ][..],
        )
    };
    let node = || proptest::sample::select(&NODES[..]).prop_map(Some);
    let selected = prop_oneof![
        6 => node().prop_map(|node| (node, None)),
        2 => matching().prop_map(|matching| (None, Some(matching))),
        1 => (node(), matching()).prop_map(|(node, matching)| (node, Some(matching))),
    ];
    let disk = (selected, proptest::bool::weighted(0.15))
        .prop_map(|((node, matching), keep)| (node, matching, keep));
    proptest::collection::vec(disk, 1..=2).prop_map(|disks| {
        let disks = disks.into_iter().enumerate().map(|(place, (device, matching, keep))| Disk {
            id: ["a", "b"][place].to_owned(),
            device: device.map(str::to_owned),
            matching: matching.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            keep,
        });
        Storage { disks: disks.collect(), partitions: Vec::new() }
    })
}

fn a_node() -> impl Strategy<Value = Node> {
    (proptest::collection::vec(a_disk(), 1..4), a_document()).prop_map(|(mut disks, document)| {
        for (place, disk) in disks.iter_mut().enumerate() {
            disk.slot = disk.slot.map(|_| place);
        }
        Node { disks, document }
    })
}

fn a_declaration() -> impl Strategy<Value = WorkflowDocSpec> {
    let replaces = maybe(&[NAMED, "wwn:w2@t2", "own"]);
    (proptest::bool::weighted(0.15), replaces).prop_map(|(any, replaces)| WorkflowDocSpec {
        overwrite: if any { Overwrite::Any } else { Overwrite::Blank },
        replaces: replaces.map(str::to_owned),
        ..declared()
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => proptest::sample::select(&[0, 0, 1][..]).prop_map(Step::Claim),
        9 => (proptest::bool::weighted(0.7), any::<bool>()).prop_map(|(good, wrote)| Step::End { good, wrote }),
        2 => (0..MACHINES.len(), 0usize..6).prop_map(|(machine, order)| Step::Boot(machine, order)),
        1 => (1usize..8).prop_map(Step::Restore),
        4 => Just(Step::Release),
        3 => Just(Step::Retry),
        1 => Just(Step::Cancel),
        1 => (0u16..900).prop_map(Step::Tick),
        2 => a_declaration().prop_map(Step::Again),
    ];
    proptest::collection::vec(step, 20..80)
}

/// What was seen of the rules; a property that reaches nothing proves nothing.
#[derive(Debug, Default)]
struct Reached {
    handed_out: Cell<u32>,
    found_again: Cell<u32>,
    replaced: Cell<u32>,
    overwritten: Cell<u32>,
    not_blank: Cell<u32>,
    mismatched: Cell<u32>,
    kept: Cell<u32>,
    restored: Cell<u32>,
    retried: Cell<u32>,
}

fn count(counter: &Cell<u32>) {
    counter.set(counter.get() + 1);
}

struct Fleet<'a> {
    nodes: Vec<Node>,
    /// Of each machine: how often it booted, and which disk has the first node, the second ..
    boots: Vec<(usize, Vec<usize>)>,
    /// What each machine's worker reported when it opened its session.
    inventories: Vec<Inventory>,
    workflows: u32,
    declared: WorkflowDocSpec,
    spec: WorkflowSpec,
    state: State,
    log: Vec<Recorded>,
    /// The disks that this workflow was rightly given: machine, disk, and the entry of the log that did it.
    granted: Vec<(usize, usize, u64)>,
    tables: u32,
    now: crate::clock::Timestamp,
    reached: &'a Reached,
}

impl<'a> Fleet<'a> {
    fn new(nodes: Vec<Node>, spec: WorkflowSpec, declared: &WorkflowDocSpec, reached: &'a Reached) -> Self {
        let boots = nodes.iter().map(|node| (0, (0..node.disks.len()).collect())).collect();
        let mut fleet = Self {
            boots,
            inventories: vec![Inventory::default(); nodes.len()],
            nodes,
            workflows: 0,
            declared: declared.clone(),
            spec,
            state: State::empty("w"),
            log: Vec::new(),
            granted: Vec::new(),
            tables: 0,
            now: at(0),
            reached,
        };
        (0..fleet.nodes.len()).for_each(|machine| fleet.look(machine));
        fleet.again(declared);
        fleet
    }

    /// A worker opens a session: it reports what is there now.
    fn look(&mut self, machine: usize) {
        let (_, order) = &self.boots[machine];
        let disks = order.iter().zip(NODES).map(|(place, device)| {
            let disk = &self.nodes[machine].disks[*place];
            DiskReport {
                device: device.to_owned(),
                paths: disk.slot.map(|slot| format!("/dev/disk/by-path/slot-{slot}")).into_iter().collect(),
                wwn: disk.wwn.map(str::to_owned),
                serial: disk.serial.map(str::to_owned),
                size_bytes: disk.size_bytes,
                kind: "ssd".to_owned(),
                blank: disk.table.is_none(),
                found: disk.table.as_ref().map(|_| "gpt".to_owned()).unwrap_or_default(),
                table_id: disk.table.clone(),
            }
        });
        self.inventories[machine] = Inventory { disks: disks.collect(), ..Inventory::default() };
    }

    fn boot(&mut self, machine: usize, order: usize) {
        let disks = self.nodes[machine].disks.len();
        let boot = self.boots[machine].0 + 1;
        let mut places: Vec<usize> = (0..disks).collect();
        places.rotate_left(order % disks);
        if order > 2 {
            places.reverse();
        }
        self.boots[machine] = (boot, places);
        self.look(machine);
    }

    fn again(&mut self, declared: &WorkflowDocSpec) {
        self.declared = declared.clone();
        if declared.replaces.as_deref() == Some("own") {
            // What an operator copies from the status of the workflow before.
            self.declared.replaces = self.state.installations.values().next().cloned();
        }
        self.workflows += 1;
        self.state = State::empty(format!("w-{}", self.workflows));
        self.log.clear();
        self.granted.clear();
        // The engine has each machine boot anew between two workflows that write: `Guard::LookedAtAnew`.
        (0..self.nodes.len()).for_each(|machine| self.boot(machine, 0));
        let (declared, spec) = (self.declared.clone(), self.spec.clone());
        self.take(Command::Create { declared: &declared, spec: &spec, from_directory: false, hold: None });
    }

    fn take(&mut self, command: Command<'_>) -> Vec<Event> {
        let events = decide(&self.state, command, self.now).unwrap_or_default();
        for event in &events {
            match event {
                Event::Held { reason: Hold::DiskNotBlank { .. } } => count(&self.reached.not_blank),
                Event::Held { reason: Hold::DiskMismatch { detail, .. } } if detail.contains("keep") => {
                    count(&self.reached.kept);
                }
                Event::Held { reason: Hold::DiskMismatch { .. } } => count(&self.reached.mismatched),
                Event::Retried { .. } => count(&self.reached.retried),
                _ => {}
            }
            let recorded = Recorded { seq: self.state.seq + 1, at: self.now, event: event.clone() };
            self.state.apply(&recorded);
            self.log.push(recorded);
        }
        events
    }

    fn with_machine<T>(&mut self, machine: usize, work: impl FnOnce(&mut Self, Machine<'_>) -> T) -> T {
        let storage = Some(self.nodes[machine].document.clone().into());
        let hardware = Hardware {
            name: MACHINES[machine].to_owned(),
            labels: Default::default(),
            spec: HardwareSpec { storage, ..HardwareSpec::default() },
        };
        let (boot_id, inventory) =
            (format!("boot-{}", self.boots[machine].0), self.inventories[machine].clone());
        work(self, Machine { hardware: &hardware, boot_id: &boot_id, inventory: &inventory })
    }

    fn claim(&mut self, machine: usize) -> Result<(), TestCaseError> {
        let next = self.state.next().map_or(0, |(index, ..)| index);
        let handed = self.with_machine(machine, |fleet, asked| {
            fleet.take(Command::Claim { machine: asked, next, digest: None, instances: 0 });
            fleet.state.assignment(&asked, Credentials::default())
        });
        for disk in handed.into_iter().flat_map(|assignment| assignment.writable) {
            self.may_be_written(machine, &disk.device)?;
        }
        Ok(())
    }

    /// The property, on the disk that really is at this node.
    fn may_be_written(&mut self, machine: usize, device: &str) -> Result<(), TestCaseError> {
        let node = NODES.iter().position(|node| *node == device).unwrap();
        let place = self.boots[machine].1[node];
        let disk = &self.nodes[machine].disks[place];
        for kept in self.nodes[machine].document.disks.iter().filter(|disk| disk.keep) {
            prop_assert!(!is_meant(kept, disk, device), "{disk:?} at {device} is to be kept: {kept:?}");
        }
        count(&self.reached.handed_out);
        if self.granted.iter().any(|(m, d, _)| (*m, *d) == (machine, place)) {
            count(&self.reached.found_again);
            return Ok(());
        }
        let replaces = self.declared.replaces.iter().flat_map(|ids| ids.split(','));
        let replaced = replaces.filter_map(|id| id.split_once('@')).any(|(known_by, table)| {
            disk.table.as_deref() == Some(table)
                && (disk.wwn.is_some_and(|wwn| known_by == format!("wwn:{wwn}"))
                    || disk.serial.is_some_and(|serial| known_by == format!("serial:{serial}"))
                    || known_by.starts_with("path:"))
        });
        let any = self.declared.overwrite == Overwrite::Any;
        prop_assert!(disk.table.is_none() || replaced || any, "{disk:?} is neither blank nor named");
        if disk.table.is_some() {
            count(if replaced { &self.reached.replaced } else { &self.reached.overwritten });
        }
        let armed = |recorded: &&Recorded| matches!(&recorded.event, Event::DisksArmed { worker, .. } if worker == MACHINES[machine]);
        let entry = self.log.iter().rfind(armed);
        prop_assert!(entry.is_some(), "{disk:?} was handed out before it was armed");
        self.granted.extend(entry.map(|entry| (machine, place, entry.seq)));
        Ok(())
    }

    /// The open attempt ends on its machine; its disks may hold something new, whatever it says.
    fn end(&mut self, good: bool, wrote: bool) {
        let Some(open) = self.state.open.clone() else { return };
        let machine = MACHINES.iter().position(|name| *name == open.worker).unwrap();
        let assignment =
            self.with_machine(machine, |fleet, asked| fleet.state.assignment(&asked, Credentials::default()));
        if wrote || good {
            for disk in assignment.into_iter().flat_map(|assignment| assignment.writable) {
                let node = NODES.iter().position(|node| *node == disk.device).unwrap();
                let place = self.boots[machine].1[node];
                self.tables += 1;
                self.nodes[machine].disks[place].table = Some(format!("ours-{}", self.tables));
            }
        }
        let outcome = if good { Outcome::Succeeded } else { failed("no") };
        let mut told = report(&self.state, open.index, open.attempt, outcome);
        // What the worker finds after the action, while its session has what it found before.
        let session = self.inventories[machine].clone();
        self.look(machine);
        told.disks = std::mem::replace(&mut self.inventories[machine], session).disks;
        self.take(Command::Report { worker: MACHINES[machine], report: &told });
    }

    fn restore(&mut self, entries: usize) {
        self.log.truncate(entries);
        self.state = State::fold(&self.state.name, &self.log);
        self.granted.retain(|(_, _, seq)| *seq <= self.state.seq);
        // Sessions are gone with the store: workers open others and look anew.
        (0..self.nodes.len()).for_each(|machine| self.look(machine));
        count(&self.reached.restored);
        self.take(Command::Hold { reason: Hold::RestoredStore });
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.now += jiff::SignedDuration::from_secs(1);
        match step {
            Step::Claim(machine) => self.claim(machine)?,
            Step::End { good, wrote } => self.end(good, wrote),
            Step::Boot(machine, order) => self.boot(machine, order),
            Step::Restore(entries) => self.restore(entries),
            Step::Release => drop(self.take(Command::Release)),
            Step::Retry => drop(self.take(Command::Retry { from: None })),
            Step::Cancel => drop(self.take(Command::Cancel)),
            Step::Tick(seconds) => {
                self.now += jiff::SignedDuration::from_secs(seconds.into());
                self.take(Command::Tick { up_since: at(-10_000) });
            }
            Step::Again(declared) if self.state.phase.is_terminal() => self.again(&declared),
            Step::Again(_) => {}
        }
        Ok(())
    }
}

/// Whether a document's disk means this one: every condition, in other words than the rule's own.
fn is_meant(document: &Disk, disk: &Physical, device: &str) -> bool {
    let condition = |(key, value): (&String, &String)| match key.as_str() {
        "wwn" => disk.wwn == Some(value),
        "serial" => disk.serial == Some(value),
        "type" => value == "ssd",
        "size" => value.parse() == Ok(disk.size_bytes),
        _ => disk.slot.is_some_and(|slot| *value == format!("/dev/disk/by-path/slot-{slot}")),
    };
    let named = document.device.is_some() || !document.matching.is_empty();
    named
        && document.device.as_ref().is_none_or(|node| node == device)
        && document.matching.iter().all(condition)
}

fn a_spec() -> impl Strategy<Value = WorkflowSpec> {
    let writes = prop_oneof![Just(None), Just(Some(vec!["a".to_owned()]))];
    (any::<bool>(), writes).prop_map(|(second, writes)| {
        let mut spec = spec();
        spec.tasks[0].actions[1].retries = 1;
        spec.tasks[0].actions[1].writes = writes;
        if second {
            let actions = vec![ActionSpec { retries: 1, ..action("wipe-2") }];
            spec.tasks.push(TaskSpec { name: "second".to_owned(), worker: MACHINES[1].to_owned(), actions });
        }
        spec
    })
}

fn run(reached: &Reached) -> Result<(), String> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let nodes = proptest::collection::vec(a_node(), MACHINES.len());
    let cases = (nodes, a_spec(), a_declaration(), steps());
    let result = TestRunner::new_with_rng(config, rng).run(&cases, |(nodes, spec, declared, steps)| {
        let mut fleet = Fleet::new(nodes, spec, &declared, reached);
        steps.into_iter().try_for_each(|step| fleet.step(step))
    });
    result.map_err(|error| match error {
        TestError::Fail(why, case) => format!("{why}\n{case:#?}"),
        TestError::Abort(why) => why.to_string(),
    })
}

#[test]
fn no_disk_that_is_neither_blank_nor_named_nor_one_to_be_kept_is_ever_handed_out() {
    let reached = Reached::default();
    run(&reached).unwrap_or_else(|error| panic!("{error}"));
    for (what, counter, least) in [
        ("handed out", &reached.handed_out, 300),
        ("found again", &reached.found_again, 100),
        ("replaced", &reached.replaced, 10),
        ("overwritten", &reached.overwritten, 10),
        ("held as not blank", &reached.not_blank, 100),
        ("held as kept", &reached.kept, 20),
        ("held as another disk", &reached.mismatched, 100),
        ("restored", &reached.restored, 100),
        ("retried", &reached.retried, 50),
    ] {
        assert!(counter.get() >= least, "{what}: {} of at least {least}: {reached:?}", counter.get());
    }
}

#[test]
fn without_the_rule_the_fleet_loses_a_disk() {
    let found = without(Guard::BlankOrNamed, || run(&Reached::default()));
    assert!(found.unwrap_err().contains("is neither blank nor named"));
}
