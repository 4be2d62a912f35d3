//! What both forms of a Template become, and what is wrong with it: judged alike.

use std::collections::{BTreeMap, HashSet};

use super::{
    ActionSpec, TaskSpec, TemplateData, Variable, WorkflowSpec,
    image_ref::reference_fault,
    raw::{RawAction, RawTask, RawTemplate},
};
use crate::{
    limits::TEMPLATE_NAME_BYTES,
    workflow::{MachineAction, Namespaces},
    yaml::{Fault, Faults, Node, Position, Reveal},
};

/// What a volume's third part may say, several with commas between.
const VOLUME_OPTIONS: [&str; 9] =
    ["ro", "rw", "z", "Z", "private", "rprivate", "shared", "rshared", "rslave"];

/// A rendered Template whose values are still to be judged.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) global_timeout_s: u64,
    /// Of all tasks.
    pub(super) volumes: Vec<String>,
    /// Of all tasks.
    pub(super) environment: BTreeMap<String, Variable>,
    pub(super) tasks: Vec<RawTask>,
    pub(super) on_success: Option<MachineAction>,
    pub(super) on_failure: Option<MachineAction>,
}

impl From<RawTemplate> for Draft {
    fn from(raw: RawTemplate) -> Self {
        Self {
            name: raw.name,
            global_timeout_s: raw.global_timeout,
            volumes: Vec::new(),
            environment: BTreeMap::new(),
            tasks: raw.tasks,
            on_success: raw.on_success,
            on_failure: raw.on_failure,
        }
    }
}

/// How the Template was written: its faults say it in the same words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `data` in Tinkerbell's format.
    Data,
    /// `actions` on one machine: there is no task to be seen.
    Actions,
    /// `tasks` on several.
    Tasks,
}

impl Form {
    /// The path of a task.
    pub(super) fn task(self, number: usize) -> String {
        if self == Self::Actions { String::new() } else { format!("tasks[{number}]") }
    }

    fn tasks(self) -> &'static str {
        if self == Self::Actions { "actions" } else { "tasks" }
    }

    /// A key, by Tinkerbell's name and by ours.
    fn key(self, theirs: &'static str, ours: &'static str) -> &'static str {
        if self == Self::Data { theirs } else { ours }
    }

    /// The shortest time-out.
    fn least(self) -> &'static str {
        self.key("1", "1s")
    }
}

/// The path of a key below another.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Judges a draft and lists every fault.
pub(super) struct Compiler<'a> {
    template: &'a str,
    /// What was read, where that has places.
    node: Option<&'a Node>,
    data: &'a TemplateData<'a>,
    reveal: Reveal<'a>,
    form: Form,
    pub(super) faults: Faults,
    /// Of tasks and of actions, told apart by the first.
    names: HashSet<(&'static str, String)>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        template: &'a str,
        node: Option<&'a Node>,
        data: &'a TemplateData<'a>,
        reveal: Reveal<'a>,
        form: Form,
    ) -> Self {
        Self { template, node, data, reveal, form, faults: Faults::default(), names: HashSet::new() }
    }

    /// The workflow, or all that is wrong with the draft and with what it was read from.
    pub(super) fn finish(mut self, draft: Option<Draft>) -> Result<WorkflowSpec, Faults> {
        let spec = draft.map(|draft| self.workflow(draft));
        match spec {
            Some(spec) if self.faults.is_empty() => Ok(spec),
            _ => Err(self.faults),
        }
    }

    pub(super) fn fault(&mut self, path: &str, message: String) {
        let position = self.node.map_or_else(Position::default, |node| node.nearest(path).position);
        self.faults.push(Fault {
            file: self.template.to_owned(),
            line: position.line,
            column: position.column,
            path: path.to_owned(),
            message,
            suggestion: None,
        });
    }

    fn workflow(&mut self, draft: Draft) -> WorkflowSpec {
        self.length("name", &draft.name);
        if draft.global_timeout_s == 0 {
            let message = format!("a workflow needs some seconds: write at least {}", self.form.least());
            self.fault(self.form.key("global_timeout", "globalTimeout"), message);
        }
        if draft.tasks.is_empty() {
            self.fault(self.form.tasks(), "a template has at least one task".to_owned());
        }
        self.volumes("", &draft.volumes);
        self.environment("", &draft.environment);
        let mut tasks = Vec::with_capacity(draft.tasks.len());
        for (n, task) in draft.tasks.into_iter().enumerate() {
            tasks.push(self.task(&self.form.task(n), task, &draft.volumes, &draft.environment));
        }
        WorkflowSpec {
            name: draft.name,
            global_timeout_s: draft.global_timeout_s,
            tasks,
            on_success: draft.on_success.unwrap_or(MachineAction::Reboot),
            on_failure: draft.on_failure.unwrap_or(MachineAction::Stay),
        }
    }

    /// A task, the volumes of all tasks before its own and the environment of all tasks under its own.
    fn task(
        &mut self,
        path: &str,
        raw: RawTask,
        volumes: &[String],
        environment: &BTreeMap<String, Variable>,
    ) -> TaskSpec {
        self.name(path, "task", &raw.name);
        let worker_path = below(path, "worker");
        let worker = if raw.worker.trim().is_empty() {
            self.fault(&worker_path, "a task needs its `worker`: write \"{{.device_1}}\"".to_owned());
            None
        } else {
            let found = (self.data.resolve)(raw.worker.trim());
            if found.is_none() {
                let worker = self.reveal.quote(&raw.worker);
                self.fault(
                    &worker_path,
                    format!("{worker} is no declared machine, neither by name nor by MAC"),
                );
            }
            found
        };
        self.volumes(path, &raw.volumes);
        self.environment(path, &raw.environment);
        if raw.actions.is_empty() {
            self.fault(&below(path, "actions"), "a task has at least one action".to_owned());
        }
        let volumes: Vec<String> = volumes.iter().cloned().chain(raw.volumes).collect();
        let mut merged = environment.clone();
        merged.extend(raw.environment);
        let mut actions = Vec::with_capacity(raw.actions.len());
        for (n, action) in raw.actions.into_iter().enumerate() {
            actions.push(self.action(&below(path, &format!("actions[{n}]")), action, &volumes, &merged));
        }
        TaskSpec { name: raw.name, worker: worker.unwrap_or_default(), actions }
    }

    /// An action, its task's volumes before its own and its task's environment under its own.
    fn action(
        &mut self,
        path: &str,
        raw: RawAction,
        volumes: &[String],
        environment: &BTreeMap<String, Variable>,
    ) -> ActionSpec {
        self.name(path, "action", &raw.name);
        if let Some(fault) = reference_fault(&raw.image) {
            let image = self.reveal.quote(&raw.image);
            self.fault(&format!("{path}.image"), format!("{image} is no image: {fault}"));
        }
        if raw.timeout == Some(0) {
            let (least, whole) = (self.form.least(), self.form.key("global_timeout", "globalTimeout"));
            let message = format!(
                "an action needs some seconds: write at least {least}, or leave it out for the rest of {whole}"
            );
            self.fault(&format!("{path}.timeout"), message);
        }
        self.volumes(path, &raw.volumes);
        self.environment(path, &raw.environment);
        let keys = [self.form.key("on-timeout", "onTimeout"), self.form.key("on-failure", "onFailure")];
        for (key, command) in keys.into_iter().zip([&raw.on_timeout, &raw.on_failure]) {
            if command.as_ref().is_some_and(Vec::is_empty) {
                self.fault(&format!("{path}.{key}"), "a command has at least one word".to_owned());
            }
        }
        for (n, disk) in raw.writes.iter().flatten().enumerate() {
            if !self.data.disks.contains(disk) {
                let known = self.data.disks.join(", ");
                let disk = self.reveal.quote(disk);
                let message = format!("the machine has no writable disk {disk}; known are {known}");
                self.fault(&format!("{path}.writes[{n}]"), message);
            }
        }
        let namespaces = self.namespaces(path, raw.namespaces, raw.pid);
        let mut merged = environment.clone();
        merged.extend(raw.environment);
        ActionSpec {
            name: raw.name,
            image: raw.image,
            timeout_s: raw.timeout,
            command: raw.command,
            on_timeout: raw.on_timeout,
            on_failure: raw.on_failure,
            volumes: volumes.iter().cloned().chain(raw.volumes).collect(),
            environment: merged,
            namespaces,
            retries: raw.retries,
            on_interrupt: raw.on_interrupt,
            writes: raw.writes,
        }
    }

    /// `pid` is the older way to write `namespaces.pid`.
    fn namespaces(&mut self, path: &str, mut namespaces: Namespaces, pid: Option<String>) -> Namespaces {
        for (key, value) in
            [("pid", &pid), ("namespaces.pid", &namespaces.pid), ("namespaces.network", &namespaces.network)]
        {
            if value.as_ref().is_some_and(|value| value != "host") {
                self.fault(&format!("{path}.{key}"), "only `host` can be shared".to_owned());
            }
        }
        namespaces.pid = namespaces.pid.or(pid);
        namespaces
    }

    fn name(&mut self, path: &str, what: &'static str, name: &str) {
        let path = below(path, "name");
        self.length(&path, name);
        if !self.names.insert((what, name.to_owned())) {
            let name = self.reveal.quote(name);
            self.fault(&path, format!("two {what}s are called {name}; names are unique in a workflow"));
        }
    }

    fn length(&mut self, path: &str, name: &str) {
        if name.is_empty() || name.len() > TEMPLATE_NAME_BYTES || name.chars().any(char::is_control) {
            self.fault(path, format!("a name has 1 to {TEMPLATE_NAME_BYTES} characters on one line"));
        }
    }

    fn volumes(&mut self, path: &str, volumes: &[String]) {
        for (n, volume) in volumes.iter().enumerate() {
            if let Some(fault) = volume_fault(volume) {
                let volume = self.reveal.quote(volume);
                self.fault(&below(path, &format!("volumes[{n}]")), format!("{volume} is no volume: {fault}"));
            }
        }
    }

    fn environment(&mut self, path: &str, environment: &BTreeMap<String, Variable>) {
        for (name, value) in environment {
            if name.is_empty()
                || name.contains(['=', '\0'])
                || value.as_text().is_some_and(|text| text.contains('\0'))
            {
                let message =
                    "a variable's name is not empty and holds no `=`, and there is no NUL in either"
                        .to_owned();
                self.fault(&below(path, "environment"), message);
            }
        }
    }
}

/// Why a volume is none, or `None` for a good one: `source:target[:options]`, both paths absolute.
fn volume_fault(volume: &str) -> Option<String> {
    let parts: Vec<&str> = volume.split(':').collect();
    let (paths, options) = match parts.as_slice() {
        [source, target] => ([source, target], ""),
        [source, target, options] => ([source, target], *options),
        _ => return Some("write source:target, or source:target:ro".to_owned()),
    };
    if paths.iter().any(|path| !path.starts_with('/') || path.split('/').any(|part| part == "..")) {
        return Some("both paths are absolute and go without `..`".to_owned());
    }
    let unknown = (parts.len() == 3)
        .then(|| options.split(',').find(|option| !VOLUME_OPTIONS.contains(option)))
        .flatten();
    unknown.map(|_| format!("its options are some of {}", VOLUME_OPTIONS.join(", ")))
}
