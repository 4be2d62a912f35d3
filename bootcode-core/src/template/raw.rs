//! Tinkerbell's format, version '0.1', key by key (and ours besides).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{OnInterrupt, Variable};
use crate::workflow::{MachineAction, Namespaces};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTemplate {
    pub(super) version: String,
    pub(super) name: String,
    /// Taken and ignored, as Tinkerbell does.
    #[serde(default, rename = "id")]
    pub(super) _id: Option<String>,
    pub(super) global_timeout: u64,
    pub(super) tasks: Vec<RawTask>,
    #[serde(default, rename = "on-success")]
    pub(super) on_success: Option<MachineAction>,
    #[serde(default, rename = "on-failure")]
    pub(super) on_failure: Option<MachineAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTask {
    pub(super) name: String,
    pub(super) worker: String,
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, Variable>,
    pub(super) actions: Vec<RawAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawAction {
    pub(super) name: String,
    pub(super) image: String,
    #[serde(default)]
    pub(super) timeout: Option<u64>,
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, Variable>,
    #[serde(default)]
    pub(super) pid: Option<String>,
    #[serde(default)]
    pub(super) namespaces: Namespaces,
    #[serde(default)]
    pub(super) on_timeout: Option<Vec<String>>,
    #[serde(default)]
    pub(super) on_failure: Option<Vec<String>>,
    #[serde(default)]
    pub(super) retries: u32,
    #[serde(default)]
    pub(super) on_interrupt: OnInterrupt,
    #[serde(default)]
    pub(super) writes: Option<Vec<String>>,
}
