//! `report.json`: how the lab ended.

use serde::Serialize;
use serde_json::Value;

use super::timeline::{BootStep, Milestones};

/// The report, in the shape that others read.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// How it ended.
    pub result: Outcome,
    /// The machine's name.
    pub machine: &'static str,
    /// Its firmware.
    pub firmware: &'static str,
    /// The stage that was not reached, after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Seconds from QEMU's start.
    pub seconds: Seconds,
    /// What each step of the first network boot cost.
    pub boot: Vec<BootStep>,
    /// The workflow's actions, as the server tells them.
    pub actions: Vec<Value>,
    /// What was looked at after the installation, and held.
    pub checks: Vec<&'static str>,
}

/// How a lab ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The machine is installed and has phoned home.
    Provisioned,
    /// The stage of `--until` was reached.
    Reached,
    /// Neither.
    Failed,
}

/// Seconds from QEMU's start.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Seconds {
    /// To the end of the lab's main job.
    pub total: f64,
    /// To the milestones.
    #[serde(flatten)]
    pub milestones: Milestones,
    /// Not from QEMU's start: from the first DISCOVER after a power cycle to the boot loader on the disk, without work.
    pub local_boot: Option<f64>,
}

/// The keys of an action that belong into the report, of a workflow document with its status.
pub(crate) fn actions(workflow: &Value) -> Vec<Value> {
    const KEYS: [&str; 5] = ["name", "image", "attempt", "state", "seconds"];
    let actions = workflow.pointer("/status/actions").and_then(Value::as_array);
    let one = |action: &Value| KEYS.iter().map(|key| ((*key).to_owned(), action[*key].clone())).collect();
    actions.map(|actions| actions.iter().map(one).map(Value::Object).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_has_the_shape_that_others_read() {
        let report = Report {
            result: Outcome::Failed,
            machine: "node-1",
            firmware: "bios",
            stage: Some("osie".into()),
            cause: Some("silence".into()),
            seconds: Seconds { total: 1.5, milestones: Milestones::default(), local_boot: None },
            boot: vec![BootStep { step: "Discover".into(), seconds: 0.0 }],
            actions: actions(&json!({"status": {"actions": [{
                "name": "a", "image": "a:v1", "attempt": 1, "state": "Running", "seconds": null, "log": "x"
            }]}})),
            checks: Vec::new(),
        };
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            json!({
                "result": "failed", "machine": "node-1", "firmware": "bios", "stage": "osie", "cause": "silence",
                "seconds": {"total": 1.5, "to_nbp": null, "to_osie": null, "to_first_action": null,
                            "to_installed": null, "to_phone_home": null, "local_boot": null},
                "boot": [{"step": "Discover", "seconds": 0.0}],
                "actions": [{"name": "a", "image": "a:v1", "attempt": 1, "state": "Running", "seconds": null}],
                "checks": [],
            })
        );
    }
}
