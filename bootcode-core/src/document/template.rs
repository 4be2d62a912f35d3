//! `kind: Template`: a recipe of tasks and actions, in one of two forms.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    template::{OnInterrupt, Variable},
    workflow::{MachineAction, Namespaces},
    yaml::duration,
};

/// `spec` of a Template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSpec {
    /// `data`: Tinkerbell's format, version '0.1', a Go template whose output is YAML.
    Data(String),
    /// `actions` or `tasks`: ours, whose texts are Go templates.
    Native(NativeTemplate),
}

/// A Template in our own words. Every text of it is a Go template; numbers and words of a list are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeTemplate {
    /// How long the whole may take from its first action's start.
    pub global_timeout: TimeSpan,
    /// Variables of all actions; a task's and an action's own go before.
    pub environment: BTreeMap<String, Variable>,
    /// Volumes of all actions.
    pub volumes: Vec<String>,
    /// What is done.
    pub steps: Steps,
    /// What the worker does with the machine after success.
    pub on_success: Option<MachineAction>,
    /// And after failure.
    pub on_failure: Option<MachineAction>,
}

/// What a Template does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steps {
    /// On the workflow's machine; one task, called as the Template.
    Actions(Vec<NativeAction>),
    /// On several machines.
    Tasks(Vec<NativeTask>),
}

/// A task: actions on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NativeTask {
    /// Unique in the Template.
    pub name: String,
    /// The machine, by name, agent id or MAC; `None`: the workflow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Variables of its actions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Variable>,
    /// Volumes of its actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// In order.
    pub actions: Vec<NativeAction>,
}

/// An action: one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NativeAction {
    /// Unique in the Template.
    pub name: String,
    /// An OCI reference.
    pub image: String,
    /// From the container's start; `None`: the rest of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
    /// Arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Variable>,
    /// `source:target[:options]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Shared namespaces.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// How often it is tried again after a failure.
    #[serde(default)]
    pub retries: u32,
    /// What happens when the machine restarts in its middle.
    #[serde(default)]
    pub on_interrupt: OnInterrupt,
    /// Command in the same image after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Vec<String>>,
    /// Command in the same image after a time-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<Vec<String>>,
    /// The disks that it writes; `None`: by what it sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<Vec<String>>,
}

/// A time span as people write it (`90s`, `30m`), or a Go template that makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct TimeSpan(String);

impl TimeSpan {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // What a template makes is known once it is rendered.
        if !text.contains("{{") {
            duration::parse(&text).map_err(de::Error::custom)?;
        }
        Ok(Self(text))
    }
}

/// As it stands in a file.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "TemplateSpec"))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_timeout: Option<TimeSpan>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, Variable>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<NativeAction>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<NativeTask>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_success: Option<MachineAction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<MachineAction>,
}

impl<'de> Deserialize<'de> for TemplateSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let steps = match (written.data, written.actions, written.tasks) {
            (Some(data), None, None) => {
                let beside = written.global_timeout.is_some()
                    || !written.environment.is_empty()
                    || !written.volumes.is_empty()
                    || written.on_success.is_some()
                    || written.on_failure.is_some();
                if beside {
                    return Err(de::Error::custom("beside `data` stands nothing: write it into the data"));
                }
                return Ok(Self::Data(data));
            }
            (None, Some(actions), None) => Steps::Actions(actions),
            (None, None, Some(tasks)) => Steps::Tasks(tasks),
            (None, None, None) => {
                return Err(de::Error::custom("a Template needs its `data`, `actions` or `tasks`"));
            }
            _ => {
                return Err(de::Error::custom(
                    "a Template has one of `data`, `actions` and `tasks`: write the others into a Template of \
                     their own",
                ));
            }
        };
        let global_timeout =
            written.global_timeout.ok_or_else(|| de::Error::missing_field("globalTimeout"))?;
        Ok(Self::Native(NativeTemplate {
            global_timeout,
            environment: written.environment,
            volumes: written.volumes,
            steps,
            on_success: written.on_success,
            on_failure: written.on_failure,
        }))
    }
}

impl Serialize for TemplateSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self.clone() {
            Self::Data(data) => Written { data: Some(data), ..Written::default() },
            Self::Native(native) => Written::from(native),
        };
        written.serialize(serializer)
    }
}

impl Serialize for NativeTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::from(self.clone()).serialize(serializer)
    }
}

impl From<NativeTemplate> for Written {
    fn from(native: NativeTemplate) -> Self {
        let (actions, tasks) = match native.steps {
            Steps::Actions(actions) => (Some(actions), None),
            Steps::Tasks(tasks) => (None, Some(tasks)),
        };
        Self {
            data: None,
            global_timeout: Some(native.global_timeout),
            environment: native.environment,
            volumes: native.volumes,
            actions,
            tasks,
            on_success: native.on_success,
            on_failure: native.on_failure,
        }
    }
}
