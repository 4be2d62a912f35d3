//! Everything about one document: as it was declared, how it is, and what happened.

use std::collections::BTreeMap;

use bootcode_api::OperatorClient;
use bootcode_core::document::Kind;
use serde_json::{Value, json};

use crate::{
    arguments::Format,
    error::CliError,
    show::{self, text},
    timeline,
};

/// Events of a machine's timeline that are shown; `bootcode timeline` has them all.
const EVENTS: usize = 15;
/// Characters of an output that are shown: two or three lines of a cell.
const OUTPUT_CHARS: usize = 80;

/// Prints a document, its status and its events.
pub(crate) async fn describe(client: &OperatorClient, kind: Kind, name: &str) -> Result<(), CliError> {
    let mut document = client.one(kind.name(), name, false).await?;
    let status = document.as_object_mut().and_then(|document| document.remove("status"));
    show::value(&document, Format::Yaml)?;
    if let Some(status) = status {
        show::line("")?;
        if kind == Kind::Hardware { machine_status(&status)? } else { workflow_status(&status)? }
    }
    if kind == Kind::Hardware {
        let workflows = client.list(Kind::Workflow.name()).await?.items;
        let own: Vec<Value> =
            workflows.into_iter().filter(|workflow| text(&workflow["spec"]["hardware"]) == name).collect();
        if !own.is_empty() {
            show::line("\nWorkflows:")?;
            show::table(Kind::Workflow, &own)?;
        }
        show::line("\nLast events:")?;
        timeline::last(client, name, EVENTS).await?;
    }
    Ok(())
}

/// Which instance a machine is, and what it said when it called home.
fn machine_status(status: &Value) -> Result<(), CliError> {
    for (title, key) in [("Instance", "instance"), ("State", "state"), ("Phoned home", "phonedHome")] {
        let value = text(&status[key]);
        if !value.is_empty() {
            show::line(&format!("{:<14}{value}", format!("{title}:")))?;
        }
    }
    for key in status["hostKeys"].as_array().into_iter().flatten() {
        show::line(&format!("{:<14}{}", "Host key:", text(key)))?;
    }
    Ok(())
}

/// How far a workflow is, action by action.
pub(crate) fn workflow_status(status: &Value) -> Result<(), CliError> {
    for (title, key) in [
        ("State", "state"),
        ("Reason", "reason"),
        ("Created", "created"),
        ("Started", "started"),
        ("Expires", "expires"),
        ("Installation", "installation"),
        ("Last heard", "lastHeard"),
    ] {
        let value = text(&status[key]);
        if !value.is_empty() {
            show::line(&format!("{:<14}{value}", format!("{title}:")))?;
        }
    }
    for disk in status["disks"].as_array().into_iter().flatten() {
        let said = |key: &str| text(&disk[key]);
        show::line(&format!("{:<14}{} ({}, held {})", "Writes:", said("id"), said("device"), said("found")))?;
    }
    show::line("")?;
    let actions = status["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    show::rows(
        &[
            ("ACTION", |action| text(&action["name"])),
            ("ON", |action| text(&action["worker"])),
            ("ATTEMPT", |action| text(&action["attempt"])),
            ("STATE", |action| text(&action["state"])),
            ("SECONDS", |action| seconds(&action["seconds"])),
            ("MESSAGE", |action| text(&action["message"])),
        ],
        actions,
    )?;
    let hooks: Vec<Value> = actions.iter().filter(|action| action["hook"].is_object()).cloned().collect();
    if !hooks.is_empty() {
        show::line("")?;
        show::rows(
            &[
                ("HOOK", |action| format!("{} of {}", text(&action["hook"]["cause"]), text(&action["name"]))),
                ("STATE", |action| hook_state(&action["hook"])),
                ("SECONDS", |action| seconds(&action["hook"]["seconds"])),
                ("MESSAGE", |action| text(&action["hook"]["message"])),
            ],
            &hooks,
        )?;
    }
    let outputs = actions.iter().flat_map(|action| {
        let written = action["outputs"].as_object().into_iter().flatten();
        written.map(|(name, value)| json!({"action": action["name"], "name": name, "value": value}))
    });
    let outputs: Vec<Value> = outputs.collect();
    if outputs.is_empty() {
        return Ok(());
    }
    show::line("")?;
    show::rows(
        &[
            ("OUTPUT", |output| text(&output["name"])),
            ("OF", |output| text(&output["action"])),
            ("VALUE", |output| shortened(&text(&output["value"]))),
        ],
        &outputs,
    )
}

fn seconds(value: &Value) -> String {
    value.as_f64().map(|seconds| format!("{seconds:.1}")).unwrap_or_default()
}

fn hook_state(hook: &Value) -> String {
    match hook["exit"].as_i64() {
        _ if hook["running"] == true => "Running".to_owned(),
        Some(0) => "Succeeded".to_owned(),
        Some(status) => format!("exit {status}"),
        None => "Failed".to_owned(),
    }
}

/// An output's first line, as far as it fits a cell; `-o json` has all of it.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let start: String = line.chars().take(OUTPUT_CHARS).collect();
    if start.len() < text.len() { format!("{start}..") } else { start }
}

/// A selector: `rack=a1,role=db`; all of it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector(BTreeMap<String, String>);

impl std::str::FromStr for Selector {
    type Err = String;

    fn from_str(selector: &str) -> Result<Self, Self::Err> {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((label, value)) if !label.trim().is_empty() => {
                Ok((label.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!("`{pair}` is no selector: write label=value, several with commas between")),
        };
        selector.split(',').map(pair).collect::<Result<_, _>>().map(Self)
    }
}

impl Selector {
    /// Whether a document has all these labels.
    pub(crate) fn fits(&self, document: &Value) -> bool {
        self.0.iter().all(|(label, value)| document["metadata"]["labels"][label].as_str() == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Selector;

    #[test]
    fn all_labels_of_a_selector_hold() {
        let document = json!({"metadata": {"labels": {"rack": "a1", "role": "db"}}});
        for (selector, fits) in [
            ("rack=a1", true),
            ("rack=a1, role=db", true),
            ("rack=a2", false),
            ("rack=a1,x=y", false),
            ("rack=", false),
        ] {
            assert_eq!(selector.parse::<Selector>().unwrap().fits(&document), fits, "{selector}");
        }
        for bad in ["", "rack", "=a1", "rack=a1,,"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }
}
