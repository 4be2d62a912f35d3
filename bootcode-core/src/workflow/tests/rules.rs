use crate::{
    document::Overwrite,
    limits::{FAILURE_TEXT_BYTES, REPORT_GRACE_SECONDS, START_GRACE_SECONDS},
    source::Work,
    template::{ActionSpec, OnInterrupt, WorkflowSpec},
    workflow::{
        Command, Credentials, Event, Hold, Outcome, Phase, Rejection, State, decide,
        fixtures::{Run, action, at, declared, failed, hardware, names, report, spec},
        next_deadline, work_for,
    },
};

fn one(change: impl FnOnce(&mut ActionSpec)) -> WorkflowSpec {
    let mut spec = spec();
    let mut only = action("wipe");
    change(&mut only);
    spec.tasks[0].actions = vec![only];
    spec
}

#[test]
fn a_workflow_runs_its_actions_in_order_and_arms_the_disk_before_the_first_that_writes() {
    let mut run = Run::of(&spec());
    assert_eq!(run.state.phase, Phase::Pending);
    assert_eq!(names(&run.claim("boot-1")), ["WorkerSeen", "ActionStarted"]);
    assert_eq!(names(&run.end(Outcome::Succeeded).unwrap()), ["ActionEnded"]);
    assert_eq!(names(&run.claim("boot-1")), ["DisksArmed", "ActionStarted"]);
    assert_eq!(names(&run.end(Outcome::Succeeded).unwrap()), ["ActionEnded"]);
    assert_eq!(names(&run.claim("boot-1")), ["ActionStarted"]);
    assert_eq!(names(&run.end(Outcome::Succeeded).unwrap()), ["ActionEnded", "Succeeded"]);
    let status = run.state.status();
    assert_eq!(status.state, "Succeeded");
    assert_eq!(status.installation.as_deref(), Some("serial:A@t1"));
    assert_eq!(status.actions[1].seconds, Some(1.5));
    let json = serde_json::to_value(&status.actions[0]).unwrap();
    assert_eq!(json["state"], "Succeeded");
    assert_eq!(json["attempt"], 1);
    assert_eq!(State::fold("w", &run.log), run.state, "the log alone gives the same state");
}

#[test]
fn a_claim_repeated_in_the_same_boot_gets_the_same_attempt() {
    let mut run = Run::of(&spec());
    run.claim("boot-1");
    run.end(Outcome::Succeeded).unwrap();
    run.claim("boot-1");
    let (hardware, inventory) = (run.hardware.clone(), run.inventory.clone());
    let machine = |boot_id| crate::workflow::Machine { hardware: &hardware, boot_id, inventory: &inventory };
    let first = run.state.assignment(&machine("boot-1"), Credentials::default()).unwrap();
    run.now = at(30);
    assert_eq!(run.claim("boot-1"), []);
    assert_eq!(run.state.assignment(&machine("boot-1"), Credentials::default()).unwrap(), first);
    assert_eq!(run.state.assignment(&machine("boot-2"), Credentials::default()), None);
    assert_eq!(first.writable.len(), 1);
    assert_eq!(first.writable[0].device, "/dev/vda");
    assert_eq!(first.timeout_ms, 90_000);
}

#[test]
fn an_action_that_writes_no_disk_gets_none() {
    let mut run = Run::of(&spec());
    run.claim("boot-1");
    let machine =
        crate::workflow::Machine { hardware: &run.hardware, boot_id: "boot-1", inventory: &run.inventory };
    assert_eq!(run.state.assignment(&machine, Credentials::default()).unwrap().writable, []);
}

#[test]
fn a_report_counts_once_and_one_of_an_old_attempt_never() {
    let mut run = Run::of(&one(|action| action.retries = 1));
    run.claim("boot-1");
    let first = report(&run.state, 0, 1, failed("no"));
    assert_eq!(names(&run.end(failed("no")).unwrap()), ["ActionEnded"]);
    assert_eq!(run.command(|_| Command::Report { worker: "node-1", report: &first }), Ok(Vec::new()));
    run.claim("boot-1");
    assert_eq!(run.state.open.as_ref().unwrap().attempt, 2);
    assert_eq!(run.command(|_| Command::Report { worker: "node-1", report: &first }), Ok(Vec::new()));
    run.claim("boot-2");
    assert_eq!(run.state.actions[0].interruptions, 1);
    let interrupted = report(&run.state, 0, 2, Outcome::Succeeded);
    let refused = run.command(|_| Command::Report { worker: "node-1", report: &interrupted });
    assert!(matches!(refused, Err(Rejection::StaleAttempt { attempt: 2, .. })), "{refused:?}");
    run.claim("boot-2");
    let foreign = report(&run.state, 0, 3, Outcome::Succeeded);
    let refused = run.command(|_| Command::Report { worker: "node-2", report: &foreign });
    assert!(matches!(refused, Err(Rejection::StaleAttempt { .. })), "another machine's report: {refused:?}");
}

#[test]
fn retries_are_counted_and_then_the_workflow_fails_with_the_reason() {
    let mut run = Run::of(&one(|action| action.retries = 2));
    for attempt in 1..=3u32 {
        run.claim("boot-1");
        assert_eq!(run.state.open.as_ref().unwrap().attempt, attempt);
        let events = run.end(failed("no space")).unwrap();
        assert_eq!(events.len(), if attempt == 3 { 2 } else { 1 });
    }
    let status = run.state.status();
    assert_eq!((status.state.as_str(), status.reason.as_deref()), ("Failed", Some("wipe: no space")));
    assert_eq!(run.claim("boot-1"), []);
    assert_eq!(names(&run.command(|_| Command::Retry { from: None }).unwrap()), ["Retried"]);
    run.claim("boot-1");
    assert_eq!(run.state.open.as_ref().unwrap().attempt, 4, "numbers are never used again");
}

#[test]
fn a_restart_of_the_machine_interrupts_and_on_interrupt_decides() {
    let mut run = Run::of(&one(|_| ()));
    for boot in 1..=4 {
        run.claim(&format!("boot-{boot}"));
        assert_eq!(run.state.phase, Phase::Running, "boot {boot}");
    }
    assert_eq!(names(&run.claim("boot-5")), ["WorkerSeen", "ActionInterrupted", "Failed"]);
    let mut run = Run::of(&one(|action| action.on_interrupt = OnInterrupt::Fail));
    run.claim("boot-1");
    assert_eq!(names(&run.claim("boot-2")), ["WorkerSeen", "ActionInterrupted", "Failed"]);
}

#[test]
fn a_restart_of_the_worker_alone_interrupts_too() {
    let restarted = || Outcome::Failed {
        reason: crate::workflow::FailureReason::WorkerRestarted,
        exit: None,
        message: "the worker restarted".into(),
        tail: String::new(),
    };
    let mut run = Run::of(&one(|_| ()));
    for attempt in 1..=3 {
        run.claim("boot-1");
        let report = report(&run.state, 0, attempt, restarted());
        assert_eq!(names(&run.end(restarted()).unwrap()), ["ActionEnded"], "attempt {attempt}");
        let again = run.command(|_| Command::Report { worker: "node-1", report: &report });
        assert_eq!(again, Ok(Vec::new()), "a repeated report is counted once");
    }
    run.claim("boot-1");
    assert_eq!(names(&run.end(restarted()).unwrap()), ["ActionEnded", "Failed"]);
    assert!(run.state.message.contains("interrupted 4 times"), "{}", run.state.message);
}

#[test]
fn an_attempt_that_nobody_reports_is_given_up_after_its_deadline_and_a_grace() {
    let mut run = Run::of(&one(|_| ()));
    run.claim("boot-1");
    let up_since = at(-10_000);
    let deadline = next_deadline(&run.state, up_since).unwrap();
    assert_eq!(deadline, at(90 + 600 + REPORT_GRACE_SECONDS.cast_signed()));
    run.now = deadline - jiff::SignedDuration::from_secs(1);
    assert_eq!(run.command(|_| Command::Tick { up_since }), Ok(Vec::new()));
    run.now = deadline;
    assert_eq!(run.command(|_| Command::Tick { up_since: deadline }), Ok(Vec::new()), "just started");
    assert_eq!(
        next_deadline(&run.state, deadline),
        Some(deadline + jiff::SignedDuration::from_secs(START_GRACE_SECONDS.cast_signed()))
    );
    assert_eq!(names(&run.command(|_| Command::Tick { up_since }).unwrap()), ["ActionTimedOut", "TimedOut"]);
    assert_eq!(next_deadline(&run.state, up_since), None);
}

#[test]
fn the_whole_has_its_time_and_a_start_its_expiry() {
    let up_since = at(-10_000);
    let mut run = Run::of(&spec());
    run.now = at(3600);
    assert_eq!(names(&run.command(|_| Command::Tick { up_since }).unwrap()), ["Expired"]);
    let mut run = Run::of(&spec());
    run.now = at(3600);
    assert_eq!(names(&run.claim("boot-1")), ["Expired"], "nor is it started then");

    let mut run = Run::of(&spec());
    run.claim("boot-1");
    run.end(Outcome::Succeeded).unwrap();
    run.now = at(1000);
    assert_eq!(names(&run.command(|_| Command::Tick { up_since }).unwrap()), ["TimedOut"]);
    assert_eq!(run.state.status().reason.as_deref(), Some("global_timeout is over"));
    run.now = at(5000);
    run.command(|_| Command::Retry { from: Some("look") }).unwrap();
    assert_eq!(next_deadline(&run.state, up_since), Some(at(6000)), "its clock starts anew");
}

#[test]
fn a_template_without_timeouts_has_the_rest_of_the_whole() {
    let mut run = Run::of(&one(|action| action.timeout_s = None));
    run.claim("boot-1");
    let machine =
        crate::workflow::Machine { hardware: &run.hardware, boot_id: "boot-1", inventory: &run.inventory };
    assert_eq!(run.state.assignment(&machine, Credentials::default()).unwrap().timeout_ms, 1_000_000);
}

#[test]
fn cancelling_stops_an_open_attempt_first_and_ends_for_good() {
    let mut run = Run::of(&spec());
    assert_eq!(names(&run.command(|_| Command::Cancel).unwrap()), ["CancelRequested", "Cancelled"]);
    assert_eq!(run.command(|_| Command::Cancel), Ok(Vec::new()), "again");
    for command in [Command::Release, Command::Retry { from: None }] {
        assert!(run.command(|_| command).is_err());
    }
    let mut run = Run::of(&spec());
    run.claim("boot-1");
    assert_eq!(names(&run.command(|_| Command::Cancel).unwrap()), ["CancelRequested"]);
    assert_eq!(names(&run.end(Outcome::Cancelled).unwrap()), ["ActionEnded", "Cancelled"]);
    let mut run = Run::of(&spec());
    run.claim("boot-1");
    run.command(|_| Command::Cancel).unwrap();
    assert_eq!(names(&run.claim("boot-1")), ["ActionEnded", "Cancelled"], "it never began");
    let mut run = Run::of(&spec());
    run.claim("boot-1");
    run.command(|_| Command::Cancel).unwrap();
    assert_eq!(names(&run.claim("boot-2")), ["WorkerSeen", "ActionInterrupted", "Cancelled"]);
}

#[test]
fn what_is_wrong_with_the_machine_holds_before_anything_runs_and_again_after_a_release() {
    let mut run = Run::of(&spec());
    run.inventory.disks[0].blank = false;
    run.inventory.disks[0].found = "ntfs".to_owned();
    assert_eq!(names(&run.claim("boot-1")), ["WorkerSeen", "Held"]);
    assert!(run.state.status().reason.unwrap().contains("disk a (/dev/vda) holds ntfs"));
    assert_eq!(run.claim("boot-1"), []);
    assert_eq!(work_for([&run.state], &run.hardware), Work::Idle, "nothing was written: its own disk");
    run.command(|_| Command::Release).unwrap();
    assert_eq!(names(&run.claim("boot-1")), ["Held"]);

    let mut run = Run::of(&spec());
    "do not touch".clone_into(&mut run.hardware.spec.hold);
    assert_eq!(names(&run.claim("boot-1")), ["WorkerSeen", "Held"]);
    let mut run = Run::of(&spec());
    run.hardware.spec.arch = Some(crate::arch::Arch::Aarch64);
    assert_eq!(names(&run.claim("boot-1")), ["WorkerSeen", "Held"]);
}

#[test]
fn the_work_of_a_machine_follows_from_the_log_alone() {
    let mut run = Run::of(&one(|_| ()));
    let work = |run: &Run| work_for([&run.state], &run.hardware);
    let provision = Work::Provision { workflow: "w".to_owned() };
    assert_eq!(work(&run), provision);
    run.command(|_| Command::Hold { reason: Hold::FreshStore }).unwrap();
    assert_eq!(work(&run), Work::Idle);
    run.command(|_| Command::Release).unwrap();
    assert_eq!(work(&run), provision);
    run.claim("boot-1");
    assert_eq!(work(&run), provision);
    run.command(|_| Command::Hold { reason: Hold::TokenReused }).unwrap();
    assert!(matches!(work(&run), Work::Wait { .. }), "it wrote already");
    run.command(|_| Command::Release).unwrap();
    run.end(failed("no")).unwrap();
    assert!(matches!(work(&run), Work::Wait { .. }), "it stopped");
    run.command(|_| Command::Retry { from: None }).unwrap();
    assert_eq!(work(&run), provision);
    run.claim("boot-1");
    run.end(Outcome::Succeeded).unwrap();
    assert_eq!(work(&run), Work::Idle);
    let other = crate::document::Hardware { name: "node-2".to_owned(), ..hardware() };
    assert_eq!(work_for([&Run::of(&spec()).state], &other), Work::Idle);
}

#[test]
fn creating_the_same_again_is_nothing_and_another_is_refused() {
    let mut run = Run::of(&spec());
    let (same, spec) = (declared(), spec());
    let create =
        |declared, from_directory| Command::Create { declared, spec: &spec, from_directory, hold: None };
    assert_eq!(run.command(|_| create(&same, true)), Ok(Vec::new()));
    let other = crate::document::WorkflowDocSpec { replaces: Some("x".to_owned()), ..declared() };
    assert!(matches!(run.command(|_| create(&other, false)), Err(Rejection::Exists { .. })));
    let any = crate::document::WorkflowDocSpec { overwrite: Overwrite::Any, ..declared() };
    let refused = decide(&State::empty("w2"), create(&any, true), at(0));
    assert!(matches!(refused, Err(Rejection::OverwriteFromDirectory { .. })));
    assert!(decide(&State::empty("w2"), create(&any, false), at(0)).is_ok());
    let held =
        Command::Create { declared: &same, spec: &spec, from_directory: true, hold: Some(Hold::FreshStore) };
    assert_eq!(names(&decide(&State::empty("w2"), held, at(0)).unwrap()), ["Created", "Held"]);
    assert!(matches!(decide(&State::empty("w2"), Command::Cancel, at(0)), Err(Rejection::Unknown { .. })));
}

#[test]
fn an_operator_cannot_skip_an_action_that_has_not_succeeded() {
    let mut run = Run::of(&spec());
    run.claim("boot-1");
    run.end(failed("no")).unwrap();
    for (from, works) in [("grub", false), ("none", false), ("look", true)] {
        assert_eq!(run.command(|_| Command::Retry { from: Some(from) }).is_ok(), works, "{from}");
    }
}

#[test]
fn the_log_keeps_a_bounded_part_of_what_a_failed_action_said() {
    let mut run = Run::of(&one(|_| ()));
    run.claim("boot-1");
    let long = "é".repeat(FAILURE_TEXT_BYTES);
    let outcome = Outcome::Failed {
        reason: crate::workflow::FailureReason::ExitStatus,
        exit: Some(1),
        message: long.clone(),
        tail: format!("{long}end"),
    };
    let events = run.end(outcome).unwrap();
    let Event::ActionEnded { outcome: Outcome::Failed { message, tail, .. }, .. } = &events[0] else {
        panic!()
    };
    assert!(message.len() <= FAILURE_TEXT_BYTES && tail.len() <= FAILURE_TEXT_BYTES);
    assert!(tail.ends_with("end"));
}

#[test]
fn each_machine_of_a_workflow_has_its_own_disks_armed() {
    let mut spec = one(|_| ());
    let mut second = spec.tasks[0].clone();
    second.name = "second".to_owned();
    second.worker = "node-2".to_owned();
    second.actions[0].name = "wipe-2".to_owned();
    spec.tasks.push(second);
    let mut run = Run::of(&spec);
    run.claim("boot-1");
    run.end(Outcome::Succeeded).unwrap();
    // The same kind of machine: its disk would be found again by the first one's identity.
    run.hardware.name = "node-2".to_owned();
    run.inventory.disks[0].blank = false;
    run.inventory.disks[0].found = "ext4".to_owned();
    assert_eq!(names(&run.claim("boot-2")), ["WorkerSeen", "Held"]);
    assert!(run.state.status().reason.unwrap().starts_with("DiskNotBlank: disk a"));
    assert_eq!(work_for([&run.state], &run.hardware), Work::Idle, "nothing was written to its disk");
    run.inventory.disks[0] = crate::workflow::fixtures::disk("/dev/vda", "A", "");
    run.command(|_| Command::Release).unwrap();
    assert_eq!(names(&run.claim("boot-3")), ["WorkerSeen", "DisksArmed", "ActionStarted"]);
}
