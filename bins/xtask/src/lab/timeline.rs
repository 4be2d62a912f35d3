//! The machine's timeline as the server tells it, and the milestones in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::TaskError;

/// One event: when, which, and its fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Event {
    /// When the server saw it.
    pub at: Timestamp,
    /// Its name, as in `BootEventKind`.
    pub event: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Event {
    /// Reads one line of `bootcode timeline -o json`.
    ///
    /// # Errors
    /// When it is no event.
    pub(crate) fn parse(line: &str) -> Result<Self, TaskError> {
        serde_json::from_str(line).map_err(|error| TaskError::Answer {
            what: "a timeline event",
            found: format!("{error}: {line}"),
        })
    }

    /// A field's text; empty when it has none.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Seconds from the machine's start to each milestone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Milestones {
    /// The script was served; not reported.
    #[serde(skip)]
    pub script: Option<f64>,
    /// The firmware's boot program went over whole; none where the ROM is iPXE itself.
    pub to_nbp: Option<f64>,
    /// OSIE runs.
    pub to_osie: Option<f64>,
    /// The first action runs.
    pub to_first_action: Option<f64>,
    /// The workflow succeeded.
    pub to_installed: Option<f64>,
    /// The installed system phoned home.
    pub to_phone_home: Option<f64>,
}

impl Milestones {
    /// Finds them.
    pub(crate) fn of(events: &[Event], start: Timestamp) -> Self {
        let first = |wanted: &dyn Fn(&Event) -> bool| {
            events.iter().find(|event| wanted(event)).map(|event| seconds(start, event.at))
        };
        Self {
            script: first(&|event| event.event == "ScriptServed"),
            to_nbp: first(&|event| event.event == "TftpFinished"),
            to_osie: first(&|event| event.event == "OsieStarted"),
            to_first_action: first(&|event| event.event == "ActionStarted"),
            to_installed: first(&|event| {
                event.event == "WorkflowState" && event.text("state").starts_with("Succeeded")
            }),
            to_phone_home: first(&|event| event.event == "PhonedHome"),
        }
    }
}

/// One step of the network boot, with the seconds since the step before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct BootStep {
    /// The event that ends it.
    pub step: String,
    /// How long it took.
    pub seconds: f64,
}

/// What each step of the first network boot cost, from firmware's first DISCOVER to OSIE.
pub(crate) fn boot_steps(events: &[Event]) -> Vec<BootStep> {
    const STEPS: [&str; 7] = [
        "Discover",
        "Request",
        "TftpFinished",
        "ScriptServed",
        "KernelFetched",
        "InitrdFetched",
        "OsieStarted",
    ];
    let mut steps: Vec<BootStep> = Vec::new();
    let mut before: Option<&Event> = None;
    for event in events.iter().filter(|event| STEPS.contains(&event.event.as_str())) {
        let program = if event.text("userClass") == "iPXE" { "iPXE's " } else { "" };
        let step = format!("{program}{}", event.event);
        // A DISCOVER sent again is part of the wait for its answer.
        if steps.last().is_some_and(|last| last.step == step) {
            continue;
        }
        let since = before.map_or(event.at, |before| before.at);
        steps.push(BootStep { step, seconds: event.at.duration_since(since).as_millis() as f64 / 1000.0 });
        before = Some(event);
        if event.event == "OsieStarted" {
            break;
        }
    }
    steps
}

/// Why the workflow will not get any further by itself, if so: the last word that the timeline has on it.
pub(crate) fn stopped(events: &[Event]) -> Option<String> {
    let last = events.iter().rfind(|event| event.event == "WorkflowState")?;
    let state = last.text("state");
    let at_rest = ["Failed", "TimedOut", "Held", "Cancelled", "Expired"];
    if !at_rest.iter().any(|rest| state.starts_with(rest)) {
        return None;
    }
    let failure = events.iter().rfind(|event| event.event == "ActionFailed");
    Some(match failure {
        Some(event) if !state.contains(event.text("message")) => {
            format!("the workflow is {state}: {} failed: {}", event.text("action"), event.text("message"))
        }
        _ => format!("the workflow is {state}"),
    })
}

/// Whether this action runs: started, and not over.
pub(crate) fn runs(events: &[Event], action: &str) -> bool {
    let last = events.iter().rfind(|event| {
        event.text("action") == action
            && matches!(event.event.as_str(), "ActionStarted" | "ActionSucceeded" | "ActionFailed")
    });
    last.is_some_and(|event| event.event == "ActionStarted")
}

/// Seconds between two moments, to a tenth.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    let seconds = to.duration_since(from).as_secs_f64();
    (seconds * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "2026-01-01T00:00:00Z";

    fn events(lines: &[&str]) -> Vec<Event> {
        lines
            .iter()
            .enumerate()
            .map(|(second, rest)| {
                let at = format!("2026-01-01T00:00:{second:02}.25Z");
                Event::parse(&format!(r#"{{"at": "{at}", "machine": "node-1", {rest}}}"#)).unwrap()
            })
            .collect()
    }

    #[test]
    fn milestones_are_the_first_of_their_kind_and_count_from_the_start() {
        let events = events(&[
            r#""event": "Discover""#,
            r#""event": "ScriptServed", "boots": "osie""#,
            r#""event": "OsieStarted", "bootId": "x""#,
            r#""event": "ActionStarted", "action": "disk-wipe", "attempt": 1"#,
            r#""event": "ActionStarted", "action": "disk-partition", "attempt": 1"#,
            r#""event": "WorkflowState", "state": "Succeeded""#,
        ]);
        let found = Milestones::of(&events, START.parse().unwrap());
        assert_eq!(found.script, Some(1.3));
        assert_eq!(found.to_nbp, None);
        assert_eq!(found.to_osie, Some(2.3));
        assert_eq!(found.to_first_action, Some(3.3));
        assert_eq!(found.to_installed, Some(5.3));
        assert_eq!(found.to_phone_home, None);
    }

    #[test]
    fn each_step_of_the_first_network_boot_has_its_cost() {
        let events = events(&[
            r#""event": "Discover""#,
            r#""event": "Offer""#,
            r#""event": "Request""#,
            r#""event": "Discover", "userClass": "iPXE""#,
            r#""event": "Discover", "userClass": "iPXE""#,
            r#""event": "ScriptServed", "boots": "osie""#,
            r#""event": "OsieStarted", "bootId": "x""#,
            r#""event": "Discover""#,
        ]);
        let steps: Vec<_> = boot_steps(&events).into_iter().map(|step| (step.step, step.seconds)).collect();
        let expected = [
            ("Discover", 0.0),
            ("Request", 2.0),
            ("iPXE's Discover", 1.0),
            ("ScriptServed", 2.0),
            ("OsieStarted", 1.0),
        ];
        assert_eq!(steps, expected.map(|(step, seconds)| (step.to_owned(), seconds)));
    }

    #[test]
    fn a_workflow_at_rest_is_told_with_the_action_that_failed() {
        let failed = events(&[
            r#""event": "WorkflowState", "state": "Running""#,
            r#""event": "ActionFailed", "action": "install-root-fs", "attempt": 1, "message": "digest""#,
            r#""event": "WorkflowState", "state": "Failed""#,
        ]);
        let cause = stopped(&failed).unwrap();
        assert!(cause.contains("install-root-fs") && cause.contains("digest"), "{cause}");
        assert_eq!(stopped(&failed[..2]), None);
        let told = events(&[
            r#""event": "ActionFailed", "action": "a", "attempt": 1, "message": "digest""#,
            r#""event": "WorkflowState", "state": "Failed: a: digest""#,
        ]);
        assert_eq!(stopped(&told).unwrap(), "the workflow is Failed: a: digest");
    }

    #[test]
    fn an_action_runs_until_it_is_over_and_again_when_it_is_retried() {
        let started = r#""event": "ActionStarted", "action": "a", "attempt": 1"#;
        let over = r#""event": "ActionFailed", "action": "a", "attempt": 1, "message": """#;
        assert!(!runs(&[], "a"));
        assert!(runs(&events(&[started]), "a"));
        assert!(!runs(&events(&[started, over]), "a"));
        assert!(runs(&events(&[started, over, started]), "a"));
        assert!(!runs(&events(&[started]), "b"));
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_text() {
        assert!(Event::parse(r#"{"event": "Discover"}"#).unwrap_err().to_string().contains("Discover"));
    }
}
