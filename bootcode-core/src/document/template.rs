//! `kind: Template`: a recipe of tasks and actions.

use serde::{Deserialize, Serialize};

/// `spec` of a Template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateSpec {
    /// Tinkerbell's format, version '0.1': a Go template whose output is YAML.
    pub data: String,
}
