//! `kind: Workflow`: a template applied to a machine. Immutable once applied.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// `spec` of a Workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowDocSpec {
    /// The Template.
    pub template: String,
    /// The machine.
    pub hardware: String,
    /// Which disks may be written.
    #[serde(default)]
    pub overwrite: Overwrite,
    /// The installation that it may replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// How long it waits to be started.
    #[serde(default = "default_expires", with = "crate::yaml::duration")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub expires: Duration,
    /// Further names for the template, each a machine's name, agent id or MAC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hardware_map: BTreeMap<String, String>,
}

fn default_expires() -> Duration {
    Duration::from_secs(86_400)
}

/// Which disks a workflow may write (I12).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Overwrite {
    /// Only blank ones, and those of the installation that it replaces.
    #[default]
    Blank,
    /// Any selected disk; never accepted from a watched directory.
    Any,
}
