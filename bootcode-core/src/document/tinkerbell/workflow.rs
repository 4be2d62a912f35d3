//! A Workflow of Tinkerbell's as one of ours.

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{reading::Reading, types::Workflow};
use crate::document::WorkflowDocSpec;

/// Our `spec`, with no machine yet where none is written, and whether the machine's netboot should be switched on for it; `None` where
/// it is disabled.
pub(super) fn workflow(
    theirs: Workflow,
    reading: &mut Reading<'_>,
) -> Option<(Value, WorkflowDocSpec, bool)> {
    if theirs.disabled == Some(true) {
        reading.warn("spec.disabled", "a disabled Workflow is left out: it is applied once this is removed");
        return None;
    }
    for (ours, place) in
        [("spec.template", "spec.templateRef"), ("spec.hardware", "spec.hardwareRef"), ("spec", "spec")]
    {
        reading.paths.add(ours, place);
    }
    let template = theirs.template_ref.unwrap_or_default();
    if template.is_empty() {
        reading.fault("spec", "a Workflow needs its `templateRef`: the name of a Template");
    }
    let hardware_map = theirs.hardware_map.unwrap_or_default();
    let mut value = json!({"template": template, "hardware": theirs.hardware_ref.unwrap_or_default()});
    if !hardware_map.is_empty() {
        for key in hardware_map.keys() {
            let path = format!("spec.hardwareMap.{key}");
            reading.paths.add(path.clone(), path);
        }
        value["hardwareMap"] = json!(hardware_map);
    }
    let spec = WorkflowDocSpec::deserialize(&value).ok()?;
    let toggles = theirs.boot_options.and_then(|options| options.toggle_allow_netboot);
    Some((value, spec, toggles == Some(true)))
}
