//! From a Template's text to what a worker is handed.

use std::collections::{BTreeMap, HashSet};

use super::{
    ActionSpec, GoTemplate, TaskSpec, TemplateData, Variable, WorkflowSpec,
    image_ref::reference_fault,
    raw::{RawAction, RawTask, RawTemplate},
};
use crate::{
    limits::TEMPLATE_NAME_BYTES,
    workflow::{MachineAction, Namespaces},
    yaml::{self, Fault, Faults, Node, Reveal},
};

/// The version of the format.
const VERSION: &str = "0.1";
/// What a volume's third part may say, several with commas between.
const VOLUME_OPTIONS: [&str; 9] =
    ["ro", "rw", "z", "Z", "private", "rprivate", "shared", "rshared", "rslave"];

/// Renders a template and reads the result strictly.
///
/// # Errors
/// Every fault; their `file` is `template`, their lines and columns are those of the template, and no message repeats what only the
/// rendering brought in.
pub fn compile(template: &str, source: &str, data: &TemplateData<'_>) -> Result<WorkflowSpec, Faults> {
    let output = GoTemplate { now: data.now }
        .output(source, &data.values)
        .map_err(|error| Faults(vec![error.into_fault(template)]))?;
    read(template, source, output.text(), data).map_err(|mut faults| {
        for fault in &mut faults.0 {
            if let Some((line, column)) = output.origin(source, fault.line, fault.column) {
                (fault.line, fault.column) = (line, column);
            }
        }
        faults.sorted()
    })
}

/// Reads what was rendered; faults have the lines of the rendered text.
fn read(
    template: &str,
    source: &str,
    rendered: &str,
    data: &TemplateData<'_>,
) -> Result<WorkflowSpec, Faults> {
    let written = [source];
    let reveal = Reveal::WrittenIn(&written);
    let documents = yaml::parse_revealing(template, rendered, reveal)?;
    let [document] = documents.as_slice() else {
        return Err(Faults(vec![Fault {
            file: template.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            message: format!("a template makes one YAML document, this makes {}", documents.len()),
            suggestion: None,
        }]));
    };
    let mut faults = Faults::default();
    let (raw, read) =
        yaml::read_revealing::<RawTemplate>(template, "", document, reveal, &mut faults, &|_| false);
    let mut compiler = Compiler { template, node: &read, data, reveal, faults, names: HashSet::new() };
    let spec = raw.map(|raw| compiler.workflow(raw));
    match spec {
        Some(spec) if compiler.faults.is_empty() => Ok(spec),
        _ => Err(compiler.faults),
    }
}

struct Compiler<'a> {
    template: &'a str,
    node: &'a Node,
    data: &'a TemplateData<'a>,
    reveal: Reveal<'a>,
    faults: Faults,
    /// Of tasks and of actions, told apart by the first.
    names: HashSet<(&'static str, String)>,
}

impl Compiler<'_> {
    fn fault(&mut self, path: &str, message: String) {
        let position = self.node.nearest(path).position;
        self.faults.push(Fault {
            file: self.template.to_owned(),
            line: position.line,
            column: position.column,
            path: path.to_owned(),
            message,
            suggestion: None,
        });
    }

    fn workflow(&mut self, raw: RawTemplate) -> WorkflowSpec {
        if raw.version != VERSION {
            let version = self.reveal.quote(&raw.version);
            self.fault("version", format!("{version} is no known version of templates: write '{VERSION}'"));
        }
        self.length("name", &raw.name);
        if raw.global_timeout == 0 {
            self.fault("global_timeout", "a workflow needs some seconds: write at least 1".to_owned());
        }
        if raw.tasks.is_empty() {
            self.fault("tasks", "a template has at least one task".to_owned());
        }
        let tasks =
            raw.tasks.into_iter().enumerate().map(|(n, task)| self.task(&format!("tasks[{n}]"), task));
        WorkflowSpec {
            name: raw.name,
            global_timeout_s: raw.global_timeout,
            tasks: tasks.collect(),
            on_success: raw.on_success.unwrap_or(MachineAction::Reboot),
            on_failure: raw.on_failure.unwrap_or(MachineAction::Stay),
        }
    }

    fn task(&mut self, path: &str, raw: RawTask) -> TaskSpec {
        self.name(path, "task", &raw.name);
        let worker_path = format!("{path}.worker");
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
            self.fault(&format!("{path}.actions"), "a task has at least one action".to_owned());
        }
        let mut actions = Vec::with_capacity(raw.actions.len());
        for (n, action) in raw.actions.into_iter().enumerate() {
            actions.push(self.action(
                &format!("{path}.actions[{n}]"),
                action,
                &raw.volumes,
                &raw.environment,
            ));
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
            let message = "an action needs some seconds: write at least 1, or leave it out for the rest of global_timeout";
            self.fault(&format!("{path}.timeout"), message.to_owned());
        }
        self.volumes(path, &raw.volumes);
        self.environment(path, &raw.environment);
        for (key, command) in [("on-timeout", &raw.on_timeout), ("on-failure", &raw.on_failure)] {
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
        let path = format!("{path}.name");
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
                self.fault(&format!("{path}.volumes[{n}]"), format!("{volume} is no volume: {fault}"));
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
                self.fault(&format!("{path}.environment"), message);
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
