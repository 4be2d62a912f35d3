use crate::workflow::{
    Command, Event, Outcome,
    fixtures::{NODE, Run, action, at, failed, spec},
};

/// The numbers of the instances that began with an event.
fn begun(events: &[Event]) -> Vec<Option<u64>> {
    let begun = |event: &Event| match event {
        Event::ActionStarted { instance, .. } => Some(*instance),
        _ => None,
    };
    events.iter().filter_map(begun).collect()
}

#[test]
fn an_instance_begins_with_the_first_attempt_that_writes_and_with_each_repetition_of_it() {
    let mut spec = spec();
    spec.tasks[0].actions[1].retries = 1;
    let mut run = Run::of(&spec);
    assert_eq!(begun(&run.claim("boot-1")), [None], "it looks, and writes nothing");
    run.end(Outcome::Succeeded).unwrap();
    run.now = at(10);
    assert_eq!(begun(&run.claim("boot-1")), [Some(1)]);
    run.end(failed("no")).unwrap();
    run.now = at(20);
    assert_eq!(begun(&run.claim("boot-1")), [Some(2)], "what the failed attempt wrote is of no use");
    let instance = run.state.instances[NODE];
    assert_eq!((instance.number, instance.since), (2, at(20)));
    run.end(Outcome::Succeeded).unwrap();
    run.now = at(30);
    assert_eq!(begun(&run.claim("boot-1")), [None], "the same installation goes on");
    run.end(failed("no")).unwrap();
    run.command(|_| Command::Retry { from: None }).unwrap();
    assert_eq!(begun(&run.claim("boot-2")), [None], "and does after a retry of what came later");
    assert_eq!(run.state.instances[NODE], instance, "what it wrote to the disk of its id is still true");
    run.end(failed("no")).unwrap();
    run.command(|_| Command::Retry { from: Some("look") }).unwrap();
    assert_eq!(begun(&run.claim("boot-3")), [None]);
    run.end(Outcome::Succeeded).unwrap();
    assert_eq!(begun(&run.claim("boot-3")), [Some(3)], "a new run is a new installation");
}

#[test]
fn each_machine_of_a_workflow_has_its_own_instance() {
    let mut spec = spec();
    let mut second = spec.tasks[0].clone();
    "second".clone_into(&mut second.name);
    "node-2".clone_into(&mut second.worker);
    second.actions = vec![action("wipe-2")];
    spec.tasks.push(second);
    let mut run = Run::of(&spec);
    for _ in 0..3 {
        run.claim("boot-1");
        run.end(Outcome::Succeeded).unwrap();
    }
    assert_eq!(run.state.instances.keys().collect::<Vec<_>>(), [NODE]);
    "node-2".clone_into(&mut run.hardware.name);
    assert_eq!(begun(&run.claim("boot-2")), [Some(1)], "it counts for itself");
    assert_eq!(run.state.instances.keys().collect::<Vec<_>>(), [NODE, "node-2"]);
}

#[test]
fn a_log_of_before_there_were_instances_reads_as_one_without() {
    let started = serde_json::json!({
        "event": "ActionStarted", "index": 1, "attempt": 1, "worker": NODE, "bootId": "b", "digest": null,
        "deadline": "2030-01-01T00:00:00Z",
    });
    let event: Event = serde_json::from_value(started.clone()).unwrap();
    assert_eq!(begun(std::slice::from_ref(&event)), [None]);
    assert_eq!(serde_json::to_value(&event).unwrap(), started);
}
