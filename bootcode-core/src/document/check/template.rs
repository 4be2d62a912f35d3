//! Templates, as far as they can be judged without a machine.

use super::{Checker, Entry, Spec};
use crate::{
    template::lint,
    yaml::{Content, Fault, Faults},
};

pub(super) fn check(checker: &mut Checker<'_>, new: &[Entry]) {
    for entry in new {
        if let Some(Spec::Template(spec)) = &entry.spec
            && let Err(error) = lint(&spec.data)
        {
            let faults = Faults(vec![error.into_fault(&entry.document.metadata.name)]);
            checker.faults.extend(in_file(entry, faults, None));
        }
    }
}

/// Moves faults of a template to where it stands in its file.
pub(super) fn in_file(entry: &Entry, faults: Faults, workflow: Option<&str>) -> Faults {
    let node = entry.node.nearest("spec.data");
    let start = match &node.content {
        Content::Scalar { literal: Some(start), .. } => Some(*start),
        _ => None,
    };
    let moved = faults.0.into_iter().map(|mut fault: Fault| {
        let at = (fault.line, fault.column);
        fault.file = entry.file.to_string();
        (fault.line, fault.column) = match start {
            Some(start) if at.0 > 0 => (start.line + at.0 - 1, start.column + at.1.max(1) - 1),
            _ => (node.position.line, node.position.column),
        };
        fault.path = match (fault.path.as_str(), start.is_some() || at.0 == 0) {
            ("", true) => "spec.data".to_owned(),
            ("", false) => format!("spec.data, line {}", at.0),
            (path, _) => format!("spec.data: {path}"),
        };
        if let Some(workflow) = workflow {
            fault.message = format!("{} (for Workflow `{workflow}`)", fault.message);
        }
        fault
    });
    Faults(moved.collect())
}
