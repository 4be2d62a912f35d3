//! Logs that other versions wrote.

use serde_json::{Value, json};

use crate::workflow::{Event, Hold, Phase, Recorded, State};

/// A whole provisioning as version 1 wrote it: before hooks, outputs and secrets.
const VERSION_1: &str = include_str!("log-v1.jsonl");

fn version_1() -> Vec<Value> {
    VERSION_1.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read(log: &[Value]) -> Result<Vec<Recorded>, serde_json::Error> {
    log.iter().map(|entry| serde_json::from_value(entry.clone())).collect()
}

#[test]
fn a_log_of_version_1_tells_the_same_story() {
    let log = read(&version_1()).unwrap();
    let state = State::fold("install-node-1", &log);
    assert_eq!(state.phase, Phase::Succeeded);
    let status = state.status();
    assert_eq!(status.installation.as_deref(), Some("serial:A@t1"));
    let told: Vec<_> =
        status.actions.iter().map(|a| format!("{} {} {:?}", a.name, a.attempt, a.state)).collect();
    assert_eq!(told, ["wipe 3 Succeeded", "grub 1 Succeeded"]);
    let spec = &state.plan.as_ref().unwrap().spec;
    assert_eq!(spec.tasks[0].actions[0].environment["MIRROR_HOST"], "192.168.99.1".into());
    // What this version writes of it is what version 1 wrote.
    for (recorded, entry) in log.iter().zip(version_1()) {
        assert_eq!(serde_json::to_value(recorded).unwrap(), entry);
    }
}

#[test]
fn fields_of_a_newer_version_are_passed_over_and_events_of_one_are_not() {
    let mut log = version_1();
    for entry in &mut log {
        entry["newer"] = json!({"any": ["thing"]});
    }
    assert_eq!(State::fold("w", &read(&log).unwrap()).phase, Phase::Succeeded);
    // An event that is not understood may change everything: the engine passes the workflow over, and says so.
    log.push(json!({"seq": 99, "at": "2026-01-01T00:00:00Z", "event": "Undone"}));
    assert!(read(&log).unwrap_err().to_string().contains("unknown variant `Undone`"));
}

#[test]
fn every_event_reads_back_as_it_was_written() {
    let log = [
        json!({"event": "Held", "reason": {"reason": "DiskNotBlank", "disk": "a", "device": "/dev/vda", "found": "gpt"}}),
        json!({"event": "Held", "reason": {"reason": "RestoredStore"}}),
        json!({"event": "Released"}),
        json!({"event": "HookStarted", "index": 0, "attempt": 1, "cause": "on-failure", "deadline": "2026-01-01T00:00:00Z"}),
        json!({"event": "HookEnded", "index": 0, "attempt": 1, "exit": null, "message": "cancelled", "ranMs": 5}),
        json!({"event": "ActionEnded", "index": 0, "attempt": 1, "outcome": {"result": "succeeded"}, "ranMs": 5,
               "outputs": {"disk": "a"}}),
        json!({"event": "Retried", "from": 2}),
        json!({"event": "CancelRequested"}),
        json!({"event": "Cancelled"}),
        json!({"event": "TimedOut", "index": null}),
        json!({"event": "Expired"}),
    ];
    for event in log {
        let read: Event = serde_json::from_value(event.clone()).unwrap();
        let again = serde_json::to_value(&read).unwrap();
        assert_eq!(serde_json::from_value::<Event>(again).unwrap(), read, "{event}");
    }
    let held = Event::Held { reason: Hold::FreshStore };
    assert_eq!(
        serde_json::to_value(&held).unwrap(),
        json!({"event": "Held", "reason": {"reason": "FreshStore"}})
    );
}
