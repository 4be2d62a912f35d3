//! A workflow's status as people and programs read it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Armed, HookState, Outputs, State, state::ActionPhase};
use crate::clock::Timestamp;

/// What `bootcode get workflow NAME -o json` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The workflow's name.
    pub name: String,
    /// The machine.
    pub hardware: String,
    /// The Template.
    pub template: String,
    /// `Pending`, `Held`, `Running`, `Succeeded`, `Failed`, `TimedOut`, `Cancelled` or `Expired`.
    pub state: String,
    /// Why, where the state has a reason.
    pub reason: Option<String>,
    /// When it was applied.
    pub created: Option<Timestamp>,
    /// Until when it may be started.
    pub expires: Option<Timestamp>,
    /// When its first action started, or the first after an operator's retry.
    pub started: Option<Timestamp>,
    /// The installation that it made: what `replaces` of a later workflow names.
    pub installation: Option<String>,
    /// The installation on each machine that it wrote.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub installations: BTreeMap<String, String>,
    /// When the machine of the attempt under way was last heard of; `None` where nobody runs, or since the server's start nobody spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<Timestamp>,
    /// The disks that it may write.
    pub disks: Vec<Armed>,
    /// In the order in which they run.
    pub actions: Vec<ActionStatus>,
}

/// An action and its last attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionStatus {
    /// The action's name.
    pub name: String,
    /// Its task.
    pub task: String,
    /// The machine that runs it.
    pub worker: String,
    /// Its image as the template names it.
    pub image: String,
    /// The number of the last attempt; 0 before the first.
    pub attempt: u32,
    /// How far it is.
    pub state: ActionPhase,
    /// How long the last ended attempt ran.
    pub seconds: Option<f64>,
    /// Why the last attempt ended badly, or nothing.
    pub message: String,
    /// The last attempt's hook, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookState>,
    /// What it left for later actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Arc<Outputs>>,
}

impl State {
    /// The status that this state shows.
    #[must_use]
    pub fn status(&self) -> Status {
        let plan = self.plan.as_ref();
        let reason = match &self.held {
            Some(hold) if self.is_held() => Some(hold.to_string()),
            _ if self.message.is_empty() => None,
            _ => Some(self.message.clone()),
        };
        Status {
            name: self.name.clone(),
            hardware: plan.map(|plan| plan.declared.hardware.clone()).unwrap_or_default(),
            template: plan.map(|plan| plan.declared.template.clone()).unwrap_or_default(),
            state: self.state_name().to_owned(),
            reason,
            created: plan.map(|plan| plan.created),
            expires: plan.map(|plan| plan.expires),
            started: self.started,
            installation: self.installation().cloned(),
            installations: self.installations.clone(),
            last_heard: None,
            disks: self.armed.values().flatten().cloned().collect(),
            actions: plan
                .into_iter()
                .flat_map(|plan| plan.spec.actions())
                .zip(&self.actions)
                .map(|((task, action), state)| ActionStatus {
                    name: action.name.clone(),
                    task: task.name.clone(),
                    worker: task.worker.clone(),
                    image: action.image.clone(),
                    attempt: state.attempt,
                    state: state.phase,
                    seconds: state.seconds,
                    message: state.message.clone(),
                    hook: state.hook.clone(),
                    outputs: state.outputs.clone(),
                })
                .collect(),
        }
    }
}
