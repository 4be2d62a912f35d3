//! What belongs to an attempt beside its outcome: its hook, its outputs, the time it has.

use std::sync::Arc;

use crate::{
    limits::{HOOK_SECONDS, OUTPUT_BYTES, OUTPUTS_BYTES, REPORT_GRACE_SECONDS},
    template::{ActionSpec, WorkflowSpec},
    workflow::{
        Command, Credentials, Event, HookCause, HookEnd, HookStart, Outcome, Outputs, Phase, Rejection,
        Report, State,
        fixtures::{NODE, Run, action, at, failed, names, report, spec},
        next_deadline,
    },
};

fn one(change: impl FnOnce(&mut ActionSpec)) -> WorkflowSpec {
    let mut spec = spec();
    let mut only = action("wipe");
    change(&mut only);
    spec.tasks[0].actions = vec![only];
    spec
}

fn start(attempt: u32) -> HookStart {
    let (workflow, action) = ("w".to_owned(), "wipe".to_owned());
    HookStart { workflow, index: 0, action, attempt, cause: HookCause::OnFailure }
}

fn end(exit: i32) -> HookEnd {
    let message = format!("exit status {exit}");
    HookEnd { cause: HookCause::OnFailure, exit: Some(exit), message, ran_ms: 2000 }
}

fn hook(run: &mut Run, worker: &str, start: &HookStart) -> Result<Vec<Event>, Rejection> {
    let worker = worker.to_owned();
    run.command(|_| Command::Hook { worker: &worker, start })
}

fn send(run: &mut Run, report: &Report) -> Vec<String> {
    names(&run.command(|_| Command::Report { worker: NODE, report }).unwrap())
}

#[test]
fn a_hook_stands_in_the_log_and_changes_no_outcome() {
    let mut run = Run::of(&one(|_| ()));
    run.claim("boot-1");
    assert_eq!(names(&hook(&mut run, NODE, &start(1)).unwrap()), ["HookStarted"]);
    assert_eq!(hook(&mut run, NODE, &start(1)), Ok(Vec::new()), "told again");
    let shown = run.state.status().actions.remove(0).hook.unwrap();
    assert!(shown.running && shown.exit.is_none());
    let told = Report { hook: Some(end(0)), ..report(&run.state, 0, 1, failed("no space")) };
    assert_eq!(send(&mut run, &told), ["HookEnded", "ActionEnded", "Failed"]);
    assert_eq!(send(&mut run, &told), [""; 0], "a repeated report counts once, its hook too");
    assert_eq!(run.state.phase, Phase::Failed, "a hook that succeeds makes no success");
    let shown = run.state.status().actions.remove(0).hook.unwrap();
    assert_eq!((shown.running, shown.exit, shown.seconds), (false, Some(0), Some(2.0)));
    assert_eq!(State::fold("w", &run.log), run.state);
}

#[test]
fn a_hook_whose_start_was_not_told_comes_with_the_report() {
    let mut run = Run::of(&one(|_| ()));
    run.claim("boot-1");
    let told = Report { hook: Some(end(1)), ..report(&run.state, 0, 1, failed("no")) };
    assert_eq!(send(&mut run, &told), ["HookStarted", "HookEnded", "ActionEnded", "Failed"]);
    assert_eq!(run.state.message, "wipe: no");
}

#[test]
fn a_hook_of_an_attempt_that_is_not_open_is_refused() {
    let mut run = Run::of(&one(|action| action.retries = 1));
    assert!(hook(&mut run, NODE, &start(1)).is_err(), "nothing runs");
    run.claim("boot-1");
    for (worker, start) in [
        ("node-2", start(1)),
        (NODE, start(2)),
        (NODE, HookStart { action: "grub".to_owned(), ..start(1) }),
        (NODE, HookStart { index: 7, ..start(1) }),
    ] {
        let refused = hook(&mut run, worker, &start);
        assert!(matches!(refused, Err(Rejection::StaleAttempt { .. })), "{start:?}: {refused:?}");
    }
    run.end(failed("no")).unwrap();
    assert!(hook(&mut run, NODE, &start(1)).is_err(), "its attempt has ended");
    run.claim("boot-1");
    assert_eq!(run.state.status().actions[0].hook, None, "the next attempt has none yet");
}

#[test]
fn who_dies_in_a_hooks_middle_is_given_up_by_the_hooks_deadline() {
    let up_since = at(-10_000);
    let mut run = Run::of(&one(|action| action.timeout_s = Some(800)));
    run.claim("boot-1");
    run.now = at(10);
    hook(&mut run, NODE, &start(1)).unwrap();
    let deadline = at(10 + (HOOK_SECONDS + REPORT_GRACE_SECONDS).cast_signed());
    assert_eq!(next_deadline(&run.state, up_since), Some(deadline));
    run.now = deadline;
    assert_eq!(names(&run.command(|_| Command::Tick { up_since }).unwrap()), ["ActionTimedOut", "TimedOut"]);
    let shown = run.state.status().actions.remove(0).hook.unwrap();
    assert_eq!((shown.running, shown.message.as_str()), (false, "the worker did not report in time"));

    let mut run = Run::of(&one(|_| ()));
    run.claim("boot-1");
    hook(&mut run, NODE, &start(1)).unwrap();
    run.claim("boot-2");
    let interrupted = State::fold("w", &run.log[..run.log.len() - 1]);
    let shown = interrupted.status().actions.remove(0).hook.unwrap();
    assert_eq!((shown.running, shown.message.as_str()), (false, "the machine restarted in its middle"));
}

#[test]
fn cancelling_in_a_hooks_middle_ends_it_with_the_report() {
    let mut run = Run::of(&one(|_| ()));
    run.claim("boot-1");
    hook(&mut run, NODE, &start(1)).unwrap();
    assert_eq!(names(&run.command(|_| Command::Cancel).unwrap()), ["CancelRequested"]);
    let killed = HookEnd { exit: None, message: "cancelled".to_owned(), ..end(0) };
    let told = Report { hook: Some(killed), ..report(&run.state, 0, 1, failed("no")) };
    assert_eq!(send(&mut run, &told), ["HookEnded", "ActionEnded", "Cancelled"]);
}

fn outputs(bytes: usize) -> Outputs {
    let value = "x".repeat(bytes.saturating_sub("{\"k\":\"\"}".len()));
    [("k".to_owned(), value.into())].into_iter().collect()
}

/// `machines` tasks of one action each; the last one's has no outputs of its own.
fn relay(tasks: usize) -> WorkflowSpec {
    let mut spec = spec();
    let first = spec.tasks[0].clone();
    spec.tasks = (0..tasks)
        .map(|n| {
            let mut task = first.clone();
            task.name = format!("task-{n}");
            task.actions = vec![ActionSpec { name: format!("action-{n}"), volumes: vec![], ..action("x") }];
            task
        })
        .collect();
    spec
}

#[test]
fn outputs_stand_in_the_log_and_are_given_to_later_actions() {
    let mut spec = relay(3);
    spec.tasks[1].worker = "node-2".to_owned();
    let mut run = Run::of(&spec);
    let given = |run: &Run, boot_id: &str| {
        let machine =
            crate::workflow::Machine { hardware: &run.hardware, boot_id, inventory: &run.inventory };
        let assignment = run.state.assignment(&machine, Credentials::default()).unwrap();
        assignment
            .outputs
            .iter()
            .map(|o| format!("{}/{}={:?}", o.task, o.action, o.outputs["k"]))
            .collect::<Vec<_>>()
    };
    run.claim("boot-1");
    assert_eq!(given(&run, "boot-1"), [""; 0]);
    let told = Report { outputs: Some(Arc::new(outputs(9))), ..report(&run.state, 0, 1, Outcome::Succeeded) };
    assert_eq!(send(&mut run, &told), ["ActionEnded"]);
    // Another machine, on a server that was restarted since.
    run.hardware.name = "node-2".to_owned();
    run.state = State::fold("w", &run.log);
    run.claim("boot-2");
    assert_eq!(given(&run, "boot-2"), ["task-0/action-0=String(\"x\")"]);
    let told =
        Report { outputs: Some(Arc::new(outputs(10))), ..report(&run.state, 1, 1, Outcome::Succeeded) };
    run.command(|_| Command::Report { worker: "node-2", report: &told }).unwrap();
    run.hardware.name = NODE.to_owned();
    run.claim("boot-3");
    assert_eq!(given(&run, "boot-3"), ["task-0/action-0=String(\"x\")", "task-1/action-1=String(\"xx\")"]);
    run.end(failed("no")).unwrap();
    run.command(|_| Command::Retry { from: Some("action-0") }).unwrap();
    run.claim("boot-3");
    assert_eq!(given(&run, "boot-3"), [""; 0], "what is done again gives its outputs again");
}

#[test]
fn outputs_of_a_failure_are_not_kept_and_too_many_are_a_failure() {
    let mut run = Run::of(&relay(1));
    run.claim("boot-1");
    let told = Report { outputs: Some(Arc::new(outputs(9))), ..report(&run.state, 0, 1, failed("no")) };
    send(&mut run, &told);
    assert_eq!(run.state.actions[0].outputs, None);

    let mut run = Run::of(&relay(1));
    run.claim("boot-1");
    let large = Arc::new(outputs(OUTPUT_BYTES + 1));
    let told = Report { outputs: Some(large), ..report(&run.state, 0, 1, Outcome::Succeeded) };
    assert_eq!(send(&mut run, &told), ["ActionEnded", "Failed"]);
    assert_eq!(run.state.message, "action-0: its outputs have 65537 bytes; 65536 are kept of one action");

    let full = OUTPUTS_BYTES / OUTPUT_BYTES;
    let mut run = Run::of(&relay(full + 1));
    for index in 0..=full {
        run.claim("boot-1");
        let kept = Arc::new(outputs(OUTPUT_BYTES));
        let place = u32::try_from(index).unwrap();
        let told = Report { outputs: Some(kept), ..report(&run.state, place, 1, Outcome::Succeeded) };
        assert_eq!(send(&mut run, &told).len(), if index == full { 2 } else { 1 }, "action {index}");
    }
    assert!(
        run.state.message.ends_with("the workflow has 589824; 524288 bytes are kept"),
        "{}",
        run.state.message
    );
}

#[test]
fn a_worker_that_was_stopped_as_the_whole_was_over_has_run_out_of_time() {
    let mut run = Run::of(&one(|action| action.timeout_s = None));
    run.claim("boot-1");
    run.now = at(1000);
    assert_eq!(names(&run.end(Outcome::Cancelled).unwrap()), ["ActionEnded", "TimedOut"]);
    assert_eq!(run.state.status().reason.as_deref(), Some("global_timeout is over"));
    let mut run = Run::of(&one(|_| ()));
    run.claim("boot-1");
    run.now = at(999);
    assert_eq!(
        names(&run.end(Outcome::Cancelled).unwrap()),
        ["ActionEnded", "Failed"],
        "nobody asked for it"
    );
}

#[test]
fn an_installation_belongs_to_the_machine_that_has_it() {
    let mut spec = one(|_| ());
    let mut second = spec.tasks[0].clone();
    "second".clone_into(&mut second.name);
    "node-2".clone_into(&mut second.worker);
    "wipe-2".clone_into(&mut second.actions[0].name);
    spec.tasks.push(second);
    let mut run = Run::of(&spec);
    run.claim("boot-1");
    run.end(Outcome::Succeeded).unwrap();
    "node-2".clone_into(&mut run.hardware.name);
    run.inventory.disks[0] = crate::workflow::fixtures::disk("/dev/vda", "C", "");
    run.claim("boot-2");
    let mut told = report(&run.state, 1, 1, Outcome::Succeeded);
    told.disks = vec![crate::workflow::fixtures::disk("/dev/vda", "C", "gpt")];
    run.command(|_| Command::Report { worker: "node-2", report: &told }).unwrap();
    let status = run.state.status();
    assert_eq!(status.installation.as_deref(), Some("serial:A@t1"), "its own machine's");
    assert_eq!(status.installations["node-1"], "serial:A@t1");
    assert_eq!(status.installations["node-2"], "serial:C@t1");
    assert_eq!(run.state.phase, Phase::Succeeded);
}

#[test]
fn a_machine_arms_what_its_own_tasks_write() {
    let mut spec = one(|_| ());
    let mut second = spec.tasks[0].clone();
    "second".clone_into(&mut second.name);
    "node-2".clone_into(&mut second.worker);
    second.actions = vec![ActionSpec { volumes: vec![], ..action("look") }];
    spec.tasks.insert(0, second);
    let mut run = Run::of(&spec);
    "node-2".clone_into(&mut run.hardware.name);
    run.inventory.disks[0] = crate::workflow::fixtures::disk("/dev/vda", "C", "ext4");
    assert_eq!(names(&run.claim("boot-2")), ["WorkerSeen", "ActionStarted"], "it looks, and writes nothing");
    assert!(run.state.writes_on("node-1") && !run.state.writes_on("node-2"));
}
