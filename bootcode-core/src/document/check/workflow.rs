//! Workflows: what they name exists, what they ask for is allowed, and their template fits their machine.

use std::collections::{HashMap, HashSet};

use super::{Checker, Document, Entry, Kind, Origin, Spec, secret::declared, template::in_file};
use crate::{
    clock::Timestamp,
    document::{Catalog, CompileError, Overwrite, TemplateSpec, WorkflowDocSpec},
    template::TAKEN_NAMES,
    yaml::Faults,
};

/// `faulty` names the Templates that have faults of their own.
pub(super) fn check(
    checker: &mut Checker<'_>,
    new: &[Entry],
    existing: &[Document],
    origin: Origin,
    now: Timestamp,
    faulty: &HashSet<&str>,
) {
    let documents: Vec<&Entry> = checker.entries.clone();
    let all_applied: HashMap<&str, &Document> =
        existing.iter().filter(|d| d.kind == Kind::Workflow).map(|d| (d.metadata.name.as_str(), d)).collect();
    let catalog = Catalog::new(documents.iter().map(|entry| &entry.document)).at(now);
    for entry in new {
        let Some(Spec::Workflow(spec)) = &entry.spec else { continue };
        let name = &entry.document.metadata.name;
        if let Some(applied) = all_applied.get(name.as_str()) {
            if WorkflowDocSpec::from_document(applied).ok().as_ref() != Some(spec) {
                let message = "a Workflow is not changed once it is applied: give the new one another name";
                checker.fault(entry, "spec", message);
            }
            // Its template was rendered when it was applied.
            continue;
        }
        if spec.overwrite == Overwrite::Any && origin == Origin::Directory {
            let message =
                "`any` is for an operator's command only: apply this Workflow with `bootcode apply`";
            checker.fault(entry, "spec.overwrite", message);
        }
        // Of a document of Tinkerbell's it was said that they are missing.
        if entry.theirs.is_some() && (spec.hardware.is_empty() || spec.template.is_empty()) {
            continue;
        }
        if spec.expires.is_zero() {
            checker.fault(entry, "spec.expires", "it would expire at once");
        }
        // Of a document of Tinkerbell's this was a warning.
        for (key, machine) in spec.hardware_map.iter().filter(|_| entry.theirs.is_none()) {
            if catalog.machine(machine).is_none() {
                let message =
                    format!("`{machine}` is no declared machine: write its name or one of its MACs");
                checker.fault(entry, &format!("spec.hardwareMap.{key}"), message);
            }
        }
        for key in spec
            .hardware_map
            .keys()
            .filter(|key| entry.theirs.is_none() && TAKEN_NAMES.contains(&key.as_str()))
        {
            let message = format!("templates have their own `.{key}` already: give this entry another name");
            checker.fault(entry, &format!("spec.hardwareMap.{key}"), message);
        }
        let hardware = checker.reference(entry, "spec.hardware", Kind::Hardware, &spec.hardware);
        let template = checker.reference(entry, "spec.template", Kind::Template, &spec.template);
        let (Some(hardware), Some(template)) = (hardware, template) else { continue };
        // What has faults of its own would only repeat them here.
        if hardware.faulty || template.faulty || faulty.contains(template.document.metadata.name.as_str()) {
            continue;
        }
        match catalog.compile(spec) {
            Ok(compiled) => {
                for (_, action) in compiled.actions() {
                    for (variable, reference) in action.secrets() {
                        let whose = format!("action `{}`, variable {variable}: ", action.name);
                        declared(checker, template, template_path(template), &whose, reference);
                    }
                }
            }
            Err(CompileError::Template { faults, .. }) => {
                checker.faults.extend(in_file(template, faults, Some(name)));
            }
            Err(CompileError::Resolve(error)) => {
                // A machine that is not whole has its fault already.
                if checker.machines.iter().any(|(machine, _)| std::ptr::eq(*machine, hardware)) {
                    checker.faults.extend(Faults(vec![entry.fault("spec", error)]));
                }
            }
        }
    }
}

/// Where a Template says what it does.
fn template_path(template: &Entry) -> &'static str {
    if matches!(template.spec, Some(Spec::Template(TemplateSpec::Native(_)))) { "spec" } else { "spec.data" }
}
