//! The actions that a worker would be handed, without a server.

use std::{fmt::Write as _, path::PathBuf};

use bootcode_core::{
    clock::Timestamp,
    document::{Catalog, CompileError, Document, DocumentSet, Kind, WorkflowDocSpec},
    template::{ActionSpec, OnInterrupt, TaskSpec, WorkflowSpec},
};
use serde_json::{Value, json};

use crate::{
    arguments::Format,
    documents,
    error::CliError,
    faults, show,
    terminal::{Form, YELLOW, wrap},
};

/// Columns of the keys of an action, with what stands before them.
const KEYS: usize = 17;

/// Prints what the Workflows of these files become: all of them, or one.
pub(crate) fn render(
    paths: &[PathBuf],
    only: Option<&str>,
    format: Format,
    form: Form,
) -> Result<(), CliError> {
    let (set, files) = documents::checked(paths)?;
    faults::warn(set.warnings(), &files);
    let catalog = Catalog::new(set.documents()).at(Timestamp::now());
    let mut all = Vec::new();
    for document in workflows(&set, only)? {
        let failed = |error: CompileError| CliError::Form { message: error.to_string() };
        let declared = WorkflowDocSpec::from_document(document).map_err(|error| failed(error.into()))?;
        all.push((document, catalog.compile(&declared).map_err(failed)?));
    }
    match format {
        Format::Table => {
            let text: Vec<String> =
                all.iter().map(|(document, spec)| text(document, spec, &catalog, form)).collect();
            show::bytes(text.join("\n").as_bytes())
        }
        format => {
            let values =
                all.iter().map(|(document, spec)| json!({"workflow": document.metadata.name, "spec": spec}));
            show::value(&Value::from_iter(values), format)
        }
    }
}

/// The Workflow of this name, or all; what to write where there is none.
fn workflows<'a>(set: &'a DocumentSet, only: Option<&str>) -> Result<Vec<&'a Document>, CliError> {
    let of = |kind: Kind| set.documents().filter(move |document| document.kind == kind);
    let found: Vec<&Document> = of(Kind::Workflow)
        .filter(|document| only.is_none_or(|only| document.metadata.name == only))
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let known: Vec<&str> = of(Kind::Workflow).map(|document| document.metadata.name.as_str()).collect();
    if let Some(only) = only.filter(|_| !known.is_empty()) {
        return Err(CliError::NoWorkflow {
            message: format!("there is no Workflow `{only}` in the files; they have {}", known.join(", ")),
        });
    }
    let first = |kind: Kind, instead: &str| {
        of(kind).next().map_or_else(|| instead.to_owned(), |document| document.metadata.name.clone())
    };
    Err(CliError::NoWorkflow {
        message: format!(
            "there is no Workflow in the files: one says which Template is rendered for which machine. Add, for example:\n\
             apiVersion: bootcode/v1\nkind: Workflow\nmetadata: {{name: install}}\n\
             spec: {{template: {}, hardware: {}}}",
            first(Kind::Template, "TEMPLATE"),
            first(Kind::Hardware, "MACHINE"),
        ),
    })
}

fn text(document: &Document, spec: &WorkflowSpec, catalog: &Catalog<'_>, form: Form) -> String {
    let said = |key: &str| show::text(&document.spec[key]);
    let name = format!("Workflow/{}", document.metadata.name);
    let mut out = format!("{}\n", form.paint(YELLOW, &name));
    let after = |action| show::text(&json!(action));
    for (key, value) in [
        ("template", said("template")),
        ("hardware", said("hardware")),
        ("at most", format!("{} s", spec.global_timeout_s)),
        ("on-success", after(spec.on_success)),
        ("on-failure", after(spec.on_failure)),
    ] {
        line(&mut out, key, &value, form);
    }
    for (number, (task, action)) in spec.actions().enumerate() {
        let title = format!("{}. {}", number + 1, action.name);
        let _ = writeln!(out, "\n{}", form.paint(YELLOW, &title));
        for (key, values) in rows(task, action, catalog) {
            for (place, value) in values.iter().enumerate() {
                line(&mut out, if place == 0 { key } else { "" }, value, form);
            }
        }
    }
    out
}

/// What is said of an action, what is not said left out.
fn rows(task: &TaskSpec, action: &ActionSpec, catalog: &Catalog<'_>) -> Vec<(&'static str, Vec<String>)> {
    let command = |words: &[String]| if words.is_empty() { vec![] } else { vec![shell(words)] };
    let environment = action.environment.iter().map(|(name, value)| match value.as_secret() {
        Some(secret) => format!("{name}=<secret {secret}>"),
        None => format!("{name}={}", word(value.as_text().unwrap_or_default())),
    });
    let shared = [("network", &action.namespaces.network), ("pid", &action.namespaces.pid)];
    let shared = shared.into_iter().filter_map(|(name, of)| Some(format!("{name} of the {}", of.as_ref()?)));
    vec![
        ("task", vec![format!("{} on {}", task.name, task.worker)]),
        ("image", vec![action.image.clone()]),
        ("command", command(&action.command)),
        ("environment", environment.collect()),
        ("volumes", action.volumes.clone()),
        ("shares", shared.collect()),
        (
            "timeout",
            vec![
                action.timeout_s.map_or_else(|| "what is left of the whole".to_owned(), |s| format!("{s} s")),
            ],
        ),
        ("retries", if action.retries == 0 { vec![] } else { vec![action.retries.to_string()] }),
        (
            "on-interrupt",
            match action.on_interrupt {
                OnInterrupt::Retry => vec![],
                OnInterrupt::Fail => vec!["fail".to_owned()],
            },
        ),
        ("on-timeout", action.on_timeout.as_deref().map(command).unwrap_or_default()),
        ("on-failure", action.on_failure.as_deref().map(command).unwrap_or_default()),
        ("WRITES", disks(task, action, catalog)),
    ]
}

/// The disks of the task's machine that the action may write, as its Hardware selects them.
fn disks(task: &TaskSpec, action: &ActionSpec, catalog: &Catalog<'_>) -> Vec<String> {
    if !action.writes_disks() {
        return Vec::new();
    }
    let storage = catalog.hardware(&task.worker).ok().and_then(|hardware| hardware.spec.storage);
    let disks = storage.map(|storage| storage.disks).unwrap_or_default();
    let own = |disk: &&bootcode_core::document::Disk| {
        !disk.keep && action.writes.as_ref().is_none_or(|ids| ids.contains(&disk.id))
    };
    let selected = |disk: &bootcode_core::document::Disk| {
        let matching = disk.matching.iter().map(|(key, value)| format!("{key}: {value}"));
        disk.device.iter().cloned().chain(matching).collect::<Vec<_>>().join(", ")
    };
    let found: Vec<String> =
        disks.iter().filter(own).map(|disk| format!("disk {} ({})", disk.id, selected(disk))).collect();
    if found.is_empty() { vec!["no disk: the Hardware selects none".to_owned()] } else { found }
}

fn line(out: &mut String, key: &str, value: &str, form: Form) {
    let key = format!("   {key}");
    for (place, part) in wrap(value, form.width.saturating_sub(KEYS)).iter().enumerate() {
        let key = if place == 0 { key.as_str() } else { "" };
        let _ = writeln!(out, "{key:<KEYS$}{part}");
    }
}

fn shell(words: &[String]) -> String {
    words.iter().map(|text| word(text)).collect::<Vec<_>>().join(" ")
}

/// A word as it is, or in quotes where its ends would not be seen.
fn word(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
    if plain { text.to_owned() } else { format!("{text:?}") }
}
