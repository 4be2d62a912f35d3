//! From a Template's `actions` or `tasks` to what a worker is handed: each text is a Go template of its own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    GoTemplate, RenderError, TemplateData, Variable, WorkflowSpec,
    draft::{Compiler, Draft, Form, below},
    gotemplate::Session,
    lint::lint,
    raw::{RawAction, RawTask},
};
use crate::{
    document::{NativeAction, NativeTask, NativeTemplate, Steps, TimeSpan},
    limits::{RENDERED_BYTES, TEMPLATE_BYTES},
    workflow::Namespaces,
    yaml::{Fault, Faults, Reveal, duration},
};

/// Renders every text of a Template and judges the result as that of any other.
///
/// # Errors
/// Every fault; their `file` is `template`, their `path` that within the Template's `spec`. A fault of rendering has the line and column
/// within its text, all others have none. No message repeats what only the rendering brought in.
pub fn compile_native(
    template: &str,
    native: &NativeTemplate,
    data: &TemplateData<'_>,
) -> Result<WorkflowSpec, Faults> {
    let texts = texts(native);
    bounded(template, &texts)?;
    let written: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    let reveal = Reveal::WrittenIn(&written);
    let session = GoTemplate { now: data.now }.session(&data.values);
    let mut rendering = Rendering {
        template,
        session,
        reveal,
        bytes: 0,
        exhausted: false,
        faults: Faults::default(),
        spans: Faults::default(),
    };
    let (form, draft) = rendering.draft(native, data);
    let spans = rendering.spans;
    // What is judged further on is whole.
    let draft = rendering.faults.or_ok(draft)?;
    let mut compiler = Compiler::new(template, None, data, reveal, form);
    compiler.faults = spans;
    compiler.finish(Some(draft)).map_err(Faults::sorted)
}

/// Checks every text of a Template as far as that goes without data.
///
/// # Errors
/// Every fault, as [`compile_native`] has them.
pub fn lint_native(template: &str, native: &NativeTemplate) -> Result<(), Faults> {
    let texts = texts(native);
    bounded(template, &texts)?;
    let mut faults = Faults::default();
    for (path, text) in &texts {
        if let Err(error) = lint(text) {
            faults.push(Fault { path: path.clone(), ..error.into_fault(template) });
        }
    }
    faults.or_ok(())
}

/// Every text with its path.
fn texts(native: &NativeTemplate) -> Vec<(String, String)> {
    fn collect(path: &str, value: Value, texts: &mut Vec<(String, String)>) {
        match value {
            Value::String(text) => texts.push((path.to_owned(), text)),
            Value::Array(items) => {
                items
                    .into_iter()
                    .enumerate()
                    .for_each(|(n, item)| collect(&format!("{path}[{n}]"), item, texts));
            }
            Value::Object(entries) => {
                entries.into_iter().for_each(|(key, value)| collect(&below(path, &key), value, texts));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    // It is made of plain types, so this cannot fail.
    collect("", serde_json::to_value(native).unwrap_or_default(), &mut all);
    all
}

fn bounded(template: &str, texts: &[(String, String)]) -> Result<(), Faults> {
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    if bytes <= TEMPLATE_BYTES {
        return Ok(());
    }
    Err(Faults(vec![RenderError::TooLarge { bytes, limit: TEMPLATE_BYTES }.into_fault(template)]))
}

struct Rendering<'a> {
    template: &'a str,
    session: Session<'a>,
    reveal: Reveal<'a>,
    bytes: usize,
    /// A bound was reached: each further text would say so again.
    exhausted: bool,
    faults: Faults,
    /// Of time spans, which keep nothing else from being judged.
    spans: Faults,
}

impl Rendering<'_> {
    fn draft(&mut self, native: &NativeTemplate, data: &TemplateData<'_>) -> (Form, Draft) {
        let global_timeout_s = self.seconds("globalTimeout", &native.global_timeout);
        let volumes = self.texts("volumes", &native.volumes);
        let environment = self.environment("", &native.environment);
        let (form, tasks) = match &native.steps {
            Steps::Actions(actions) => {
                let task = RawTask {
                    name: self.template.to_owned(),
                    worker: data.machine.clone(),
                    volumes: Vec::new(),
                    environment: BTreeMap::new(),
                    actions: self.actions("", actions),
                };
                (Form::Actions, vec![task])
            }
            Steps::Tasks(tasks) => {
                let tasks = tasks.iter().enumerate();
                (Form::Tasks, tasks.map(|(n, task)| self.task(&Form::Tasks.task(n), task, data)).collect())
            }
        };
        let draft = Draft {
            name: self.template.to_owned(),
            global_timeout_s,
            volumes,
            environment,
            tasks,
            on_success: native.on_success,
            on_failure: native.on_failure,
        };
        (form, draft)
    }

    fn task(&mut self, path: &str, task: &NativeTask, data: &TemplateData<'_>) -> RawTask {
        RawTask {
            name: self.text(&below(path, "name"), &task.name),
            worker: match &task.worker {
                Some(worker) => self.text(&below(path, "worker"), worker),
                None => data.machine.clone(),
            },
            volumes: self.texts(&below(path, "volumes"), &task.volumes),
            environment: self.environment(path, &task.environment),
            actions: self.actions(path, &task.actions),
        }
    }

    fn actions(&mut self, path: &str, actions: &[NativeAction]) -> Vec<RawAction> {
        let actions = actions.iter().enumerate();
        actions.map(|(n, action)| self.action(&below(path, &format!("actions[{n}]")), action)).collect()
    }

    fn action(&mut self, path: &str, action: &NativeAction) -> RawAction {
        let at = |key: &str| below(path, key);
        let mut list =
            |key: &str, texts: &Option<Vec<String>>| texts.as_ref().map(|texts| self.texts(&at(key), texts));
        let (on_timeout, on_failure) =
            (list("onTimeout", &action.on_timeout), list("onFailure", &action.on_failure));
        let writes = list("writes", &action.writes);
        let mut shared = |key: &str, text: &Option<String>| {
            text.as_ref().map(|text| self.text(&at(&format!("namespaces.{key}")), text))
        };
        let namespaces = Namespaces {
            pid: shared("pid", &action.namespaces.pid),
            network: shared("network", &action.namespaces.network),
        };
        RawAction {
            name: self.text(&at("name"), &action.name),
            image: self.text(&at("image"), &action.image),
            timeout: action.timeout.as_ref().map(|timeout| self.seconds(&at("timeout"), timeout)),
            command: self.texts(&at("command"), &action.command),
            volumes: self.texts(&at("volumes"), &action.volumes),
            environment: self.environment(path, &action.environment),
            pid: None,
            namespaces,
            on_timeout,
            on_failure,
            retries: action.retries,
            on_interrupt: action.on_interrupt,
            writes,
        }
    }

    fn environment(
        &mut self,
        path: &str,
        environment: &BTreeMap<String, Variable>,
    ) -> BTreeMap<String, Variable> {
        let rendered = environment.iter().map(|(name, value)| {
            let value = match value {
                Variable::Text(text) => {
                    Variable::Text(self.text(&below(path, &format!("environment.{name}")), text))
                }
                secret @ Variable::Secret(_) => secret.clone(),
            };
            (name.clone(), value)
        });
        rendered.collect()
    }

    fn texts(&mut self, path: &str, texts: &[String]) -> Vec<String> {
        texts.iter().enumerate().map(|(n, text)| self.text(&format!("{path}[{n}]"), text)).collect()
    }

    /// What the text makes; nothing where it has a fault.
    fn text(&mut self, path: &str, text: &str) -> String {
        if self.exhausted {
            return String::new();
        }
        let rendered = if text.contains("{{") { self.session.render(text) } else { Ok(text.to_owned()) };
        self.bytes += rendered.as_ref().map_or(0, String::len);
        let rendered = match rendered {
            Ok(_) if self.bytes > RENDERED_BYTES => {
                Err(RenderError::PrintsTooMuch { line: 1, column: 1, limit: RENDERED_BYTES })
            }
            other => other,
        };
        rendered.unwrap_or_else(|error| {
            self.exhausted =
                matches!(error, RenderError::PrintsTooMuch { .. } | RenderError::WorksTooMuch { .. });
            self.faults.push(Fault { path: path.to_owned(), ..error.into_fault(self.template) });
            String::new()
        })
    }

    /// Whole seconds; 1 where the text has a fault.
    fn seconds(&mut self, path: &str, span: &TimeSpan) -> u64 {
        let before = self.faults.len();
        let text = self.text(path, span.as_str());
        if self.exhausted || self.faults.len() > before {
            return 1;
        }
        let quoted = self.reveal.quote(text.trim());
        let message = match duration::parse(text.trim()) {
            Ok(span) if span.subsec_nanos() == 0 => return span.as_secs(),
            Ok(_) => format!("{quoted} is no whole number of seconds: write 90s, 15m or 24h"),
            Err(_) => format!("{quoted} is no duration: write a number and a unit, as in 24h, 15m or 90s"),
        };
        let (file, path, suggestion) = (self.template.to_owned(), path.to_owned(), None);
        self.spans.push(Fault { file, line: 0, column: 0, path, message, suggestion });
        1
    }
}
