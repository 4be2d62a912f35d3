//! Outputs: what an action leaves for the actions after it.

use serde::{Deserialize, Serialize};

use crate::limits::{OUTPUT_BYTES, OUTPUTS_BYTES};

/// What an action wrote to `/workflow/outputs.json`: a JSON object.
pub type Outputs = serde_json::Map<String, serde_json::Value>;

/// The outputs of an action that succeeded, as later ones are given them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionOutputs {
    /// The task.
    pub task: String,
    /// The action.
    pub action: String,
    /// What it wrote.
    pub outputs: std::sync::Arc<Outputs>,
}

/// Why outputs are not kept, or `None` for good ones. `kept_bytes` are those of the workflow's other actions.
pub(super) fn outputs_fault(outputs: &Outputs, kept_bytes: usize) -> Option<String> {
    let bytes = outputs_bytes(outputs);
    if bytes > OUTPUT_BYTES {
        return Some(format!("its outputs have {bytes} bytes; {OUTPUT_BYTES} are kept of one action"));
    }
    (bytes + kept_bytes > OUTPUTS_BYTES).then(|| {
        format!("with its outputs the workflow has {}; {OUTPUTS_BYTES} bytes are kept", bytes + kept_bytes)
    })
}

/// Their size as JSON.
pub(super) fn outputs_bytes(outputs: &Outputs) -> usize {
    serde_json::to_vec(outputs).map_or(usize::MAX / 2, |json| json.len())
}
