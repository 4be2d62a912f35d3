//! A rendered and validated template.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Variable;
use crate::secret::SecretRef;
use crate::workflow::{MachineAction, Namespaces};

/// What a workflow does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowSpec {
    /// The template's name.
    pub name: String,
    /// How long the whole may take from its first action's start, in seconds.
    pub global_timeout_s: u64,
    /// In order; at least one, each with at least one action.
    pub tasks: Vec<TaskSpec>,
    /// What the worker does with the machine after success.
    pub on_success: MachineAction,
    /// And after failure.
    pub on_failure: MachineAction,
}

/// A task: actions on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// Unique in the workflow.
    pub name: String,
    /// The name of the machine that runs it, resolved from what the template says.
    pub worker: String,
    /// In order.
    pub actions: Vec<ActionSpec>,
}

/// An action, the task's volumes and environment merged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionSpec {
    /// Unique in the workflow.
    pub name: String,
    /// An OCI reference.
    pub image: String,
    /// Seconds from the container's start; `None`: the rest of the whole.
    pub timeout_s: Option<u64>,
    /// Arguments.
    pub command: Vec<String>,
    /// Command in the same image after a time-out.
    pub on_timeout: Option<Vec<String>>,
    /// Command in the same image after a failure.
    pub on_failure: Option<Vec<String>>,
    /// `src:dst[:opt]`.
    pub volumes: Vec<String>,
    /// Variables.
    pub environment: BTreeMap<String, Variable>,
    /// Shared namespaces.
    pub namespaces: Namespaces,
    /// How often it is tried again after a failure.
    pub retries: u32,
    /// What happens when the machine restarts in its middle.
    pub on_interrupt: OnInterrupt,
    /// The disks that it writes; `None`: by what it sees (an action that sees /dev writes the selected disks).
    pub writes: Option<Vec<String>>,
}

/// What happens when the machine restarts in an action's middle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnInterrupt {
    /// It is started again, within bounds.
    #[default]
    Retry,
    /// It has failed.
    Fail,
}

impl WorkflowSpec {
    /// Every action with its task, in order: an action's `index` is its place here.
    pub fn actions(&self) -> impl Iterator<Item = (&TaskSpec, &ActionSpec)> {
        self.tasks.iter().flat_map(|task| task.actions.iter().map(move |action| (task, action)))
    }

    /// The actions of one machine that write its disks.
    pub fn writing_on<'a>(&'a self, worker: &'a str) -> impl Iterator<Item = &'a ActionSpec> {
        let own = self.tasks.iter().filter(move |task| task.worker == worker);
        own.flat_map(|task| &task.actions).filter(|action| action.writes_disks())
    }

    /// Whether any action writes disks of this machine.
    #[must_use]
    pub fn writes_on(&self, worker: &str) -> bool {
        self.writing_on(worker).next().is_some()
    }
}

impl ActionSpec {
    /// Its variables that are secrets, by the variable's name.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &SecretRef)> {
        self.environment.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_secret()?)))
    }

    /// Whether it may write the selected disks: it says so, or it sees the host's `/dev`.
    #[must_use]
    pub fn writes_disks(&self) -> bool {
        match &self.writes {
            Some(disks) => !disks.is_empty(),
            None => self.volumes.iter().any(|volume| {
                let source = volume.split(':').next().unwrap_or_default().trim_end_matches('/');
                source == "/dev" || source.is_empty() || source == "/dev/disk"
            }),
        }
    }
}
