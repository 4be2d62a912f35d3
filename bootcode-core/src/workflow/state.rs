//! What a workflow's log says, folded.

use std::{collections::BTreeMap, sync::Arc};

use super::{ActionOutputs, Armed, Hold, HookState, Instance, Inventory, Outputs, outputs::outputs_bytes};
use crate::{
    clock::Timestamp,
    document::WorkflowDocSpec,
    template::{ActionSpec, TaskSpec, WorkflowSpec},
};

/// A workflow as its log tells it: [`State::apply`] folds one event, nothing else changes it (I6).
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The workflow's name.
    pub name: String,
    /// The sequence number of the last event; 0 before any.
    pub seq: u64,
    /// What it is to do; `None` before it was created.
    pub plan: Option<Plan>,
    /// How far it is, holds aside.
    pub phase: Phase,
    /// Why it does not go on, where it is held.
    pub held: Option<Hold>,
    /// Every action, in the order in which they run.
    pub actions: Vec<ActionState>,
    /// The one attempt that is under way.
    pub open: Option<Open>,
    /// The disks of each machine that it may write until it ends, whatever they hold.
    pub armed: BTreeMap<String, Vec<Armed>>,
    /// The last boot of each machine that opened a session.
    pub seen: BTreeMap<String, Seen>,
    /// The boot of each machine that was handed its last attempt.
    pub ran_in: BTreeMap<String, String>,
    /// When its first action started; an operator's retry starts the clock anew.
    pub started: Option<Timestamp>,
    /// Whether any attempt was ever handed out.
    pub begun: bool,
    /// Whether an operator asked for its end.
    pub cancel_requested: bool,
    /// What is on the disks of each machine now: the id that `replaces` of a later workflow names.
    pub installations: BTreeMap<String, String>,
    /// The last instance of each machine that began with it.
    pub instances: BTreeMap<String, Instance>,
    /// Why it stopped, in one line.
    pub message: String,
}

/// What a workflow is to do. Never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// As applied.
    pub declared: Arc<WorkflowDocSpec>,
    /// The rendered and validated template.
    pub spec: Arc<WorkflowSpec>,
    /// When it was applied.
    pub created: Timestamp,
    /// Until when it may be started.
    pub expires: Timestamp,
}

/// How far a workflow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Its log is empty.
    Absent,
    /// No action was handed out yet.
    Pending,
    /// Some action was.
    Running,
    /// All actions succeeded.
    Succeeded,
    /// Stopped: an action failed for good.
    Failed,
    /// Stopped: an action or the whole ran out of time.
    TimedOut,
    /// Ended by an operator.
    Cancelled,
    /// Nobody started it in time.
    Expired,
}

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ActionPhase {
    /// Not handed out yet, or to be handed out again.
    Pending,
    /// An attempt is under way.
    Running,
    /// Done.
    Succeeded,
    /// The last attempt failed.
    Failed,
    /// The last attempt ran out of time.
    TimedOut,
    /// The machine restarted in the last attempt's middle.
    Interrupted,
    /// Stopped because an operator asked.
    Cancelled,
}

/// An action and its attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionState {
    /// How far it is.
    pub phase: ActionPhase,
    /// The number of the last attempt; 0 before the first.
    pub attempt: u32,
    /// Attempts that failed or timed out since the start or an operator's retry.
    pub failures: u32,
    /// Attempts that a restart of the machine ended, since then.
    pub interruptions: u32,
    /// Attempts whose end a worker reported: a repeated report gets the same answer.
    pub reported: Vec<u32>,
    /// How long the last ended attempt ran, in seconds.
    pub seconds: Option<f64>,
    /// Why the last attempt ended badly.
    pub message: String,
    /// The last attempt's hook, where it had one.
    pub hook: Option<HookState>,
    /// What it left for later actions.
    pub outputs: Option<Arc<Outputs>>,
}

/// The attempt that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The action's place.
    pub index: u32,
    /// The attempt.
    pub attempt: u32,
    /// The machine that was handed it.
    pub worker: String,
    /// The boot that was.
    pub boot_id: String,
    /// The image's digest, where it is the built-in registry's.
    pub digest: Option<String>,
    /// When it was handed out.
    pub started: Timestamp,
    /// When the server gives it up.
    pub deadline: Timestamp,
}

/// The last boot of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The kernel's boot id.
    pub boot_id: String,
    /// What the machine is.
    pub inventory: Arc<Inventory>,
}

impl Phase {
    /// It never changes again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled | Self::Expired)
    }

    /// Only an operator's retry or cancel may follow.
    #[must_use]
    pub const fn is_stopped(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }

    /// It may go on by itself.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// The state's name everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "Absent",
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::TimedOut => "TimedOut",
            Self::Cancelled => "Cancelled",
            Self::Expired => "Expired",
        }
    }
}

impl State {
    /// A workflow whose log is empty.
    #[must_use]
    pub fn empty(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            seq: 0,
            plan: None,
            phase: Phase::Absent,
            held: None,
            actions: Vec::new(),
            open: None,
            armed: BTreeMap::new(),
            seen: BTreeMap::new(),
            ran_in: BTreeMap::new(),
            started: None,
            begun: false,
            cancel_requested: false,
            installations: BTreeMap::new(),
            instances: BTreeMap::new(),
            message: String::new(),
        }
    }

    /// The state's name: that of its phase, or `Held`.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        if self.is_held() { "Held" } else { self.phase.name() }
    }

    /// Whether it waits for an operator's release.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_some() && self.phase.is_open()
    }

    /// An action with its task, by place.
    #[must_use]
    pub fn action(&self, index: u32) -> Option<(&TaskSpec, &ActionSpec)> {
        self.plan.as_ref()?.spec.actions().nth(usize::try_from(index).ok()?)
    }

    /// The first action that has not succeeded: the only one that may be handed out.
    #[must_use]
    pub fn next(&self) -> Option<(u32, &TaskSpec, &ActionSpec)> {
        let spec = &self.plan.as_ref()?.spec;
        spec.actions()
            .zip(&self.actions)
            .zip(0u32..)
            .find(|((_, state), _)| state.phase != ActionPhase::Succeeded)
            .map(|(((task, action), _), index)| (index, task, action))
    }

    /// Whether a machine still has something to do in it.
    #[must_use]
    pub fn has_task_for(&self, worker: &str) -> bool {
        let Some(plan) = &self.plan else { return false };
        plan.spec
            .actions()
            .zip(&self.actions)
            .any(|((task, _), state)| task.worker == worker && state.phase != ActionPhase::Succeeded)
    }

    /// Whether a machine has any task in it, done or not.
    #[must_use]
    pub fn concerns(&self, worker: &str) -> bool {
        self.plan.as_ref().is_some_and(|plan| {
            plan.declared.hardware == worker || plan.spec.tasks.iter().any(|t| t.worker == worker)
        })
    }

    /// The disks of a machine that it may write until it ends; none before it was first about to write there.
    #[must_use]
    pub fn armed_on(&self, worker: &str) -> &[Armed] {
        self.armed.get(worker).map_or(&[], Vec::as_slice)
    }

    /// Whether any of its actions on this machine writes disks.
    #[must_use]
    pub fn writes_on(&self, worker: &str) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.spec.writes_on(worker))
    }

    /// The place of the first action that writes disks of this machine: what ran on it before is gone from there on.
    #[must_use]
    pub fn first_writing(&self, worker: &str) -> Option<u32> {
        let spec = &self.plan.as_ref()?.spec;
        let writes = |task: &TaskSpec, action: &ActionSpec| task.worker == worker && action.writes_disks();
        (0u32..).zip(spec.actions()).find(|(_, (task, action))| writes(task, action)).map(|(index, _)| index)
    }

    /// What is on the disks of the workflow's own machine now, or of the only one that it wrote.
    #[must_use]
    pub fn installation(&self) -> Option<&String> {
        let own = self.plan.as_ref().and_then(|plan| self.installations.get(&plan.declared.hardware));
        own.or_else(|| self.installations.values().next().filter(|_| self.installations.len() == 1))
    }

    /// What the actions before this place left, in their order.
    #[must_use]
    pub fn outputs_before(&self, index: u32) -> Vec<ActionOutputs> {
        let before = usize::try_from(index).unwrap_or(usize::MAX);
        let actions = self.plan.iter().flat_map(|plan| plan.spec.actions()).zip(&self.actions).take(before);
        actions
            .filter_map(|((task, action), state)| {
                let outputs = Arc::clone(state.outputs.as_ref()?);
                Some(ActionOutputs { task: task.name.clone(), action: action.name.clone(), outputs })
            })
            .collect()
    }

    /// Bytes of all outputs that are kept.
    pub(super) fn outputs_bytes(&self) -> usize {
        self.actions.iter().filter_map(|action| action.outputs.as_ref()).map(|kept| outputs_bytes(kept)).sum()
    }

    /// When the whole is out of time, once its first action has started.
    #[must_use]
    pub fn global_deadline(&self) -> Option<Timestamp> {
        let plan = self.plan.as_ref()?;
        Some(seconds_after(self.started?, plan.spec.global_timeout_s))
    }
}

/// `at` and so many seconds, or the end of time.
pub(super) fn seconds_after(at: Timestamp, seconds: u64) -> Timestamp {
    let span = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
