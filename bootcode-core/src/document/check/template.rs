//! Templates, as far as they can be judged without a machine.

use std::collections::HashSet;

use super::{Checker, Entry, Spec};
use crate::{
    document::TemplateSpec,
    template::{lint, lint_native},
    yaml::{Content, Fault, Faults, Node, Position},
};

/// The names of the Templates that have faults.
pub(super) fn check<'a>(checker: &mut Checker<'_>, new: &'a [Entry]) -> HashSet<&'a str> {
    let mut faulty = HashSet::new();
    for entry in new {
        let Some(Spec::Template(spec)) = &entry.spec else { continue };
        let name = entry.document.metadata.name.as_str();
        let checked = match spec {
            TemplateSpec::Data(source) => lint(source).map_err(|error| Faults(vec![error.into_fault(name)])),
            TemplateSpec::Native(native) => lint_native(name, native),
        };
        if let Err(faults) = checked {
            faulty.insert(name);
            checker.faults.extend(in_file(entry, faults, None));
        }
    }
    faulty
}

/// Moves faults of a template to where it stands in its file.
pub(super) fn in_file(entry: &Entry, faults: Faults, workflow: Option<&str>) -> Faults {
    let native = matches!(entry.spec, Some(Spec::Template(TemplateSpec::Native(_))));
    let moved = faults.0.into_iter().map(|mut fault: Fault| {
        fault = if native { of_text(entry, fault) } else { of_data(entry, fault) };
        fault.file = entry.file.to_string();
        if let Some(workflow) = workflow {
            fault.message = format!("{} (for Workflow `{workflow}`)", fault.message);
        }
        fault
    });
    Faults(moved.collect())
}

/// The fault of the template that `data` is, or of what that has made.
fn of_data(entry: &Entry, fault: Fault) -> Fault {
    let node = entry.node.nearest("spec.data");
    let within = within(node, &fault);
    let path = match (fault.path.as_str(), within.is_some() || fault.line == 0) {
        ("", true) => "spec.data".to_owned(),
        ("", false) => format!("spec.data, line {}", fault.line),
        (path, _) => format!("spec.data: {path}"),
    };
    let Position { line, column } = within.unwrap_or(node.position);
    Fault { line, column, path, ..fault }
}

/// The fault of one text of a document of ours.
fn of_text(entry: &Entry, fault: Fault) -> Fault {
    let path = if fault.path.is_empty() { "spec".to_owned() } else { format!("spec.{}", fault.path) };
    let node = entry.node.nearest(&path);
    let Position { line, column } = within(node, &fault).unwrap_or(node.position);
    Fault { line, column, path, ..fault }
}

/// The place in the file, where the text stands there as it is and the fault has a place in it.
pub(super) fn within(node: &Node, fault: &Fault) -> Option<Position> {
    match &node.content {
        Content::Scalar { literal: Some(start), .. } if fault.line > 0 => {
            let line = start.line + fault.line - 1;
            Some(Position { line, column: start.column + fault.column.max(1) - 1 })
        }
        _ => None,
    }
}
