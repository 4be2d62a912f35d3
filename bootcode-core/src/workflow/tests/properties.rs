use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{
    document::{Disk, Overwrite, Storage, WorkflowDocSpec},
    workflow::{
        ActionPhase, Armed, Command, Credentials, DiskReport, Event, HookCause, HookStart, Inventory,
        Machine, Outcome, Phase, Recorded, State, decide,
        fixtures::{action, at, declared, failed, hardware, inventory, report, spec},
        writable,
    },
};

fn a_disk() -> impl Strategy<Value = DiskReport> {
    let maybe = |texts: &'static [&'static str]| {
        proptest::option::of(proptest::sample::select(texts)).prop_map(|text| text.map(str::to_owned))
    };
    (
        proptest::sample::select(&["/dev/sda", "/dev/sdb", "/dev/sdc"][..]),
        maybe(&["w1", "w2"]),
        maybe(&["s1", "s2"]),
        maybe(&["t1", "t2"]),
        0u64..3,
        any::<bool>(),
    )
        .prop_map(|(device, wwn, serial, table_id, size_bytes, blank)| DiskReport {
            device: device.to_owned(),
            wwn,
            serial,
            table_id,
            size_bytes,
            blank,
            kind: "ssd".to_owned(),
            found: if blank { String::new() } else { "gpt".to_owned() },
            ..DiskReport::default()
        })
}

fn an_inventory() -> impl Strategy<Value = Inventory> {
    proptest::collection::vec(a_disk(), 0..4).prop_map(|mut disks| {
        // One node is one disk.
        let mut seen = BTreeSet::new();
        disks.retain(|disk| seen.insert(disk.device.clone()));
        Inventory { disks, ..Inventory::default() }
    })
}

fn a_document() -> impl Strategy<Value = Storage> {
    let disk = (
        proptest::option::of(proptest::sample::select(&["/dev/sda", "/dev/sdb"][..])),
        proptest::option::of(proptest::sample::select(
            &[("wwn", "w1"), ("serial", "s1"), ("type", "ssd"), ("size", "1..")][..],
        )),
        any::<bool>(),
    );
    proptest::collection::vec(disk, 0..3).prop_map(|disks| Storage {
        disks: disks
            .into_iter()
            .enumerate()
            .map(|(place, (device, matching, keep))| Disk {
                id: ["a", "b", "c"][place].to_owned(),
                device: device.map(str::to_owned),
                matching: matching
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
                keep,
            })
            .collect(),
        partitions: Vec::new(),
    })
}

fn a_declaration() -> impl Strategy<Value = WorkflowDocSpec> {
    let replaces = proptest::sample::select(&["wwn:w1@t1", "serial:s1@t1,serial:s2@t2"][..]);
    (any::<bool>(), proptest::option::of(replaces)).prop_map(|(any, replaces)| WorkflowDocSpec {
        overwrite: if any { Overwrite::Any } else { Overwrite::Blank },
        replaces: replaces.map(str::to_owned),
        ..declared()
    })
}

/// I12 in other words than the rule's own: this disk may be written by this workflow.
fn may_be_written(found: &DiskReport, declared: &WorkflowDocSpec) -> bool {
    let blank = found.blank && found.table_id.is_none();
    let replaced = declared.replaces.iter().flat_map(|ids| ids.split(',')).any(|id| {
        let Some((known_by, table)) = id.split_once('@') else { return false };
        found.table_id.as_deref() == Some(table)
            && (found.wwn.as_ref().is_some_and(|wwn| known_by == format!("wwn:{wwn}"))
                || found.serial.as_ref().is_some_and(|serial| known_by == format!("serial:{serial}")))
    });
    blank || replaced || declared.overwrite == Overwrite::Any
}

#[derive(Debug, Clone)]
enum Step {
    Claim(u8, Option<Inventory>),
    Report(bool),
    Old(u8),
    Hello(u8),
    Hook(bool, u8),
    Tick(u16),
    /// The server's clock is put back.
    Back(u16),
    Release,
    Retry,
    RetryFrom(u8),
    Cancel,
    Hold,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..4, proptest::option::weighted(0.3, an_inventory())).prop_map(|(boot, found)| Step::Claim(boot, found)),
        4 => any::<bool>().prop_map(Step::Report),
        1 => any::<u8>().prop_map(Step::Old),
        1 => (0u8..4).prop_map(Step::Hello),
        1 => (any::<bool>(), 0u8..3).prop_map(|(own, attempt)| Step::Hook(own, attempt)),
        1 => any::<u16>().prop_map(Step::Tick),
        1 => any::<u16>().prop_map(Step::Back),
        1 => (0u8..5).prop_map(Step::RetryFrom),
        1 => Just(Step::Release),
        1 => Just(Step::Retry),
        1 => Just(Step::Cancel),
        1 => Just(Step::Hold),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn no_disk_that_is_neither_blank_nor_named_is_ever_chosen(
        inventory in an_inventory(), storage in a_document(), declared in a_declaration(),
    ) {
        let Ok(chosen) = writable("node-1", Some(&storage), &declared, &spec(), &[], &inventory) else { return Ok(()) };
        for armed in &chosen {
            let found = inventory.disks.iter().find(|disk| disk.device == armed.device).unwrap();
            prop_assert!(may_be_written(found, &declared), "{found:?} for {declared:?}");
            let selected = storage.disks.iter().find(|disk| disk.id == armed.id).unwrap();
            prop_assert!(!selected.keep);
        }
        // In whatever order its disks come up, another boot finds the same disks again, or none.
        let mut moved = inventory.clone();
        let mut devices: Vec<_> = moved.disks.iter().map(|disk| disk.device.clone()).collect();
        let by = 1.min(devices.len());
        devices.rotate_left(by);
        moved.disks.iter_mut().zip(devices).for_each(|(disk, device)| disk.device = device);
        if !chosen.is_empty() && let Ok(again) = writable("node-1", Some(&storage), &declared, &spec(), &chosen, &moved) {
            for (armed, again) in chosen.iter().zip(&again) {
                let place = |all: &Inventory, device: &str| all.disks.iter().position(|d| d.device == *device);
                let known_by_node = armed.known_by.starts_with("path:");
                prop_assert!(known_by_node || place(&inventory, &armed.device) == place(&moved, &again.device));
            }
        }
    }

    #[test]
    fn whatever_is_asked_in_whatever_order_the_log_keeps_its_rules(
        steps in steps(), storage in a_document(), declared in a_declaration(),
    ) {
        let mut spec = spec();
        let mut last = action("last");
        last.retries = 1;
        spec.tasks[0].actions.push(last);
        let mut hardware = hardware();
        let none_selected = storage.disks.iter().all(|disk| disk.keep);
        hardware.spec.storage = Some(storage.into());
        let mut state = State::empty("w");
        let mut log: Vec<Recorded> = Vec::new();
        let mut now = at(0);
        let mut boots: Vec<Inventory> = vec![inventory(); 4];
        let create = Command::Create { declared: &declared, spec: &spec, from_directory: false, hold: None };
        let take = |state: &mut State, command: Command<'_>, now, log: &mut Vec<Recorded>| {
            let before = state.clone();
            let Ok(events) = decide(state, command, now) else { return Ok(()) };
            for event in events {
                let recorded = Recorded { seq: state.seq + 1, at: now, event };
                check_event(&before, state, &recorded.event, &declared, none_selected)?;
                state.apply(&recorded);
                log.push(recorded);
            }
            Ok::<(), TestCaseError>(())
        };
        take(&mut state, create, now, &mut log)?;
        for step in steps {
            now += jiff::SignedDuration::from_secs(1);
            let next = state.next().map_or(0, |(index, ..)| index);
            match step {
                Step::Claim(boot, found) => {
                    let inventory = &mut boots[usize::from(boot)];
                    let boot_id = format!("boot-{boot}");
                    // What a machine is, is asked once in each of its boots.
                    let known = state.seen.get("node-1").is_some_and(|seen| seen.boot_id == boot_id);
                    if let Some(found) = found.filter(|_| !known) {
                        *inventory = found;
                    }
                    let machine = Machine { hardware: &hardware, boot_id: &boot_id, inventory };
                    let instances = state.instances.get("node-1").map_or(7, |last| last.number);
                    take(&mut state, Command::Claim { machine, next, digest: None, instances }, now, &mut log)?;
                    if let Some(assignment) = state.assignment(&machine, Credentials::default()) {
                        for disk in &assignment.writable {
                            let armed = state.armed_on("node-1").iter().find(|armed| armed.id == disk.id);
                            prop_assert!(armed.is_some(), "a disk that is not armed is handed out");
                        }
                    }
                }
                Step::Report(good) => {
                    let (index, attempt) = state.open.as_ref().map_or((0, 1), |open| (open.index, open.attempt));
                    let outcome = if good { Outcome::Succeeded } else { failed("no") };
                    let report = report(&state, index, attempt, outcome);
                    take(&mut state, Command::Report { worker: "node-1", report: &report }, now, &mut log)?;
                }
                Step::Old(number) => {
                    let old = report(&state, u32::from(number % 4), u32::from(number / 4), Outcome::Succeeded);
                    let open = state.open.as_ref().map(|open| (open.index, open.attempt));
                    if open != Some((old.index, old.attempt)) {
                        let before = state.clone();
                        take(&mut state, Command::Report { worker: "node-1", report: &old }, now, &mut log)?;
                        prop_assert_eq!(&before, &state, "an old report changed something");
                    }
                }
                Step::Hello(boot) => {
                    let (inventory, boot_id) = (&boots[usize::from(boot)], format!("boot-{boot}"));
                    let machine = Machine { hardware: &hardware, boot_id: &boot_id, inventory };
                    take(&mut state, Command::WorkerHello { machine }, now, &mut log)?;
                }
                Step::Hook(own, attempt) => {
                    let open = state.open.clone().filter(|_| own);
                    let (index, attempt) = open.map_or((0, attempt.into()), |open| (open.index, open.attempt));
                    let action = state.action(index).map(|(_, action)| action.name.clone()).unwrap_or_default();
                    let cause = HookCause::OnFailure;
                    let start = HookStart { workflow: "w".to_owned(), index, action, attempt, cause };
                    let before = state.clone();
                    take(&mut state, Command::Hook { worker: "node-1", start: &start }, now, &mut log)?;
                    let phases = |state: &State| state.actions.iter().map(|a| a.phase).collect::<Vec<_>>();
                    prop_assert_eq!(phases(&before), phases(&state), "a hook changed an outcome");
                }
                Step::Back(seconds) => now -= jiff::SignedDuration::from_secs(seconds.into()),
                Step::RetryFrom(place) => {
                    let from = state.action(place.into()).map(|(_, action)| action.name.clone());
                    let from = from.unwrap_or_else(|| "none".to_owned());
                    take(&mut state, Command::Retry { from: Some(&from) }, now, &mut log)?;
                }
                Step::Tick(seconds) => {
                    now += jiff::SignedDuration::from_secs(seconds.into());
                    take(&mut state, Command::Tick { up_since: at(-10_000) }, now, &mut log)?;
                }
                Step::Release => take(&mut state, Command::Release, now, &mut log)?,
                Step::Retry => take(&mut state, Command::Retry { from: None }, now, &mut log)?,
                Step::Cancel => take(&mut state, Command::Cancel, now, &mut log)?,
                Step::Hold => take(&mut state, Command::Hold { reason: crate::workflow::Hold::TokenReused }, now, &mut log)?,
            }
            folding_is_prefix_consistent(&log, &state)?;
        }
    }
}

/// What must hold for each event, given the state before its command and the state just before it.
fn check_event(
    before: &State,
    state: &State,
    event: &Event,
    declared: &WorkflowDocSpec,
    none_selected: bool,
) -> Result<(), TestCaseError> {
    a_terminal_state_never_changes(before, event)?;
    an_event_reads_back_as_it_was_written(event)?;
    at_most_one_attempt_is_open(state, event)?;
    attempts_increase_and_actions_come_in_order(state, event)?;
    a_report_counts_once(state, event)?;
    disks_are_armed_before_a_writing_attempt(state, event, none_selected)?;
    only_blank_or_named_disks_are_armed(state, event, declared)?;
    a_success_is_of_all_actions(state, event)?;
    an_instance_begins_with_the_first_writing_attempt(state, event)?;
    Ok(())
}

fn a_terminal_state_never_changes(before: &State, event: &Event) -> Result<(), TestCaseError> {
    prop_assert!(!before.phase.is_terminal(), "{event:?} after {:?}", before.phase);
    if before.phase.is_stopped() {
        let operators = matches!(
            event,
            Event::Retried { .. } | Event::CancelRequested | Event::Cancelled | Event::WorkerSeen { .. }
        );
        prop_assert!(operators, "{event:?} after {:?}: only an operator goes on", before.phase);
    }
    Ok(())
}

fn an_event_reads_back_as_it_was_written(event: &Event) -> Result<(), TestCaseError> {
    let recorded = Recorded { seq: 1, at: at(1), event: event.clone() };
    let text = serde_json::to_string(&recorded).unwrap();
    prop_assert_eq!(serde_json::from_str::<Recorded>(&text).unwrap(), recorded);
    Ok(())
}

fn at_most_one_attempt_is_open(state: &State, event: &Event) -> Result<(), TestCaseError> {
    if let Event::ActionStarted { .. } = event {
        prop_assert!(state.open.is_none(), "two attempts open at once");
        prop_assert!(state.phase.is_open() && !state.is_held(), "started while {}", state.state_name());
        prop_assert!(!state.cancel_requested, "started after a cancel");
    }
    Ok(())
}

fn attempts_increase_and_actions_come_in_order(state: &State, event: &Event) -> Result<(), TestCaseError> {
    if let Event::ActionStarted { index, attempt, .. } = event {
        let place = *index as usize;
        prop_assert!(state.actions[..place].iter().all(|action| action.phase == ActionPhase::Succeeded));
        prop_assert!(state.actions[place].phase != ActionPhase::Succeeded, "done twice");
        prop_assert!(*attempt == state.actions[place].attempt + 1, "attempt numbers are used once");
    }
    Ok(())
}

fn a_report_counts_once(state: &State, event: &Event) -> Result<(), TestCaseError> {
    if let Event::ActionEnded { index, attempt, .. } = event {
        let open = state.open.as_ref().map(|open| (open.index, open.attempt));
        prop_assert_eq!(open, Some((*index, *attempt)), "the end of an attempt that is not open");
        prop_assert!(!state.actions[*index as usize].reported.contains(attempt), "counted twice");
    }
    Ok(())
}

fn disks_are_armed_before_a_writing_attempt(
    state: &State,
    event: &Event,
    none_selected: bool,
) -> Result<(), TestCaseError> {
    if let Event::ActionStarted { index, .. } = event {
        let writes = state.action(*index).is_some_and(|(_, action)| action.writes_disks());
        prop_assert!(!writes || !state.armed.is_empty() || none_selected, "wrote before arming");
    }
    Ok(())
}

fn only_blank_or_named_disks_are_armed(
    state: &State,
    event: &Event,
    declared: &WorkflowDocSpec,
) -> Result<(), TestCaseError> {
    if let Event::DisksArmed { disks, .. } = event {
        prop_assert!(state.armed.is_empty(), "armed twice");
        let seen = &state.seen["node-1"].inventory;
        for Armed { device, .. } in disks {
            let found = seen.disks.iter().find(|disk| disk.device == *device).unwrap();
            prop_assert!(may_be_written(found, declared), "{found:?} was armed for {declared:?}");
        }
    }
    Ok(())
}

fn an_instance_begins_with_the_first_writing_attempt(
    state: &State,
    event: &Event,
) -> Result<(), TestCaseError> {
    if let Event::ActionStarted { index, instance, .. } = event {
        let writes = |index: u32| state.action(index).is_some_and(|(_, action)| action.writes_disks());
        let first = writes(*index) && !(0..*index).any(writes);
        let last = state.instances.get("node-1").map_or(7, |last| last.number);
        prop_assert_eq!(
            *instance,
            first.then_some(last + 1),
            "an instance is new, whoever had the ones before"
        );
    }
    Ok(())
}

fn a_success_is_of_all_actions(state: &State, event: &Event) -> Result<(), TestCaseError> {
    match event {
        Event::Succeeded { .. } => {
            prop_assert!(state.actions.iter().all(|action| action.phase == ActionPhase::Succeeded));
        }
        Event::Retried { .. } => prop_assert!(matches!(state.phase, Phase::Failed | Phase::TimedOut)),
        _ => {}
    }
    Ok(())
}

/// The log alone gives the state, in one go or entry by entry, and its entries are numbered without a gap.
fn folding_is_prefix_consistent(log: &[Recorded], state: &State) -> Result<(), TestCaseError> {
    prop_assert_eq!(&State::fold("w", log), state);
    prop_assert!(log.iter().zip(1..).all(|(recorded, seq)| recorded.seq == seq));
    let half = log.len() / 2;
    let mut resumed = State::fold("w", &log[..half]);
    log[half..].iter().for_each(|recorded| resumed.apply(recorded));
    prop_assert_eq!(&resumed, state);
    Ok(())
}
