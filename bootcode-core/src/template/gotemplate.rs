//! Go's text/template, with a missing key as an error and bounds on everything.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{
    RenderError, Renderer,
    exec::{Executor, Failure},
    lint::line_column,
    output::Output,
    parsed::Parsed,
    value::Value,
    work::{Fail, Work},
};
use crate::limits::{RENDERED_BYTES, TEMPLATE_STEPS};

/// The language that Tinkerbell's templates are written in, with Sprig's functions.
#[derive(Debug, Clone, Copy, Default)]
pub struct GoTemplate {
    /// What `now` gives; without it, a template that asks for the time is refused.
    pub now: Option<Timestamp>,
}

impl Renderer for GoTemplate {
    fn render(&self, source: &str, data: &Json) -> Result<String, RenderError> {
        self.output(source, data).map(Output::into_text)
    }
}

impl GoTemplate {
    /// The rendered text with its origins.
    pub(super) fn output(&self, source: &str, data: &Json) -> Result<Output, RenderError> {
        let parsed = Parsed::read(source)?;
        let work = Work::new(self.now);
        self.execute(&parsed, source, data, &work)
    }

    fn execute(
        &self,
        parsed: &Parsed,
        source: &str,
        data: &Json,
        work: &Work,
    ) -> Result<Output, RenderError> {
        let data =
            Value::from_json(data, work).map_err(|fail| failed(source, &Failure { fail, offset: 0 }))?;
        let mut executor = Executor::new(source, &parsed.templates, work);
        executor.run(&parsed.main, &data).map_err(|failure| failed(source, &failure))?;
        Ok(executor.out)
    }

    /// For many templates with the same data: what they cost is counted together.
    pub(super) fn session<'a>(&self, data: &'a Json) -> Session<'a> {
        Session { data, value: None, work: Work::new(self.now) }
    }

    /// The rendered text, or why there is none, and the steps that it took.
    #[cfg(test)]
    pub(super) fn render_counting(&self, source: &str, data: &Json) -> (Result<String, RenderError>, u64) {
        let parsed = match Parsed::read(source) {
            Ok(parsed) => parsed,
            Err(error) => return (Err(error), 0),
        };
        let work = Work::new(self.now);
        let result = self.execute(&parsed, source, data, &work).map(Output::into_text);
        (result, work.steps())
    }
}

/// A template that is parsed once and rendered for many machines.
pub(crate) struct Prepared<'s> {
    source: &'s str,
    parsed: Parsed,
}

impl<'s> Prepared<'s> {
    /// As [`lint`](super::lint()) does.
    pub(crate) fn read(source: &'s str) -> Result<Self, RenderError> {
        Ok(Self { source, parsed: Parsed::read(source)? })
    }
}

/// Renders templates with the same data, each as [`Renderer::render`] would alone: it costs what it costs there, the data among it, though
/// they are made once.
pub(crate) struct Renderings<'a> {
    data: &'a Json,
    now: Option<Timestamp>,
    made: Option<(Value, Work)>,
}

impl<'a> Renderings<'a> {
    pub(super) const fn new(data: &'a Json, now: Option<Timestamp>) -> Self {
        Self { data, now, made: None }
    }

    /// The text of one, unless it cannot be rendered.
    pub(crate) fn render(&mut self, template: &Prepared<'_>) -> Result<String, RenderError> {
        let (value, cost) = match self.made.take() {
            Some(made) => made,
            None => {
                let cost = Work::new(self.now);
                let value = Value::from_json(self.data, &cost);
                (value.map_err(|fail| failed(template.source, &Failure { fail, offset: 0 }))?, cost)
            }
        };
        let work = Work::after(&cost);
        let mut executor = Executor::new(template.source, &template.parsed.templates, &work);
        let done = executor.run(&template.parsed.main, &value);
        let done =
            done.map_err(|failure| failed(template.source, &failure)).map(|()| executor.out.into_text());
        // What one template has changed no other sees.
        if !work.has_changed() {
            self.made = Some((value, cost));
        }
        done
    }
}

/// Renders one template after the other. None sees what another has changed.
pub(super) struct Session<'a> {
    data: &'a Json,
    value: Option<Value>,
    work: Work,
}

impl Session<'_> {
    pub(super) fn render(&mut self, source: &str) -> Result<String, RenderError> {
        let parsed = Parsed::read(source)?;
        if self.work.has_changed() {
            self.value = None;
        }
        let value = match self.value.take() {
            Some(value) => value,
            None => Value::from_json(self.data, &self.work)
                .map_err(|fail| failed(source, &Failure { fail, offset: 0 }))?,
        };
        let mut executor = Executor::new(source, &parsed.templates, &self.work);
        let done = executor.run(&parsed.main, &value).map_err(|failure| failed(source, &failure));
        let out = executor.out;
        self.value = Some(value);
        done.map(|()| out.into_text())
    }
}

fn failed(source: &str, failure: &Failure) -> RenderError {
    let (line, column) = line_column(source, failure.offset);
    let (message, suggestion) = match &failure.fail {
        Fail::Says(words) => (words.clone(), None),
        Fail::Missing { key, meant } => (
            format!(
                "there is no `{key}` in the data; names with other signs than letters and digits need `index`"
            ),
            meant.clone(),
        ),
        // Words of the template may be repeated, those of the data may be secrets.
        Fail::Asked(words) if source.contains(words.as_str()) => {
            (format!("the template gave up: {words}"), None)
        }
        Fail::Asked(_) => ("the template gave up, with words that come from the data".to_owned(), None),
        Fail::PrintsTooMuch => return RenderError::PrintsTooMuch { line, column, limit: RENDERED_BYTES },
        Fail::WorksTooMuch => return RenderError::WorksTooMuch { line, column, limit: TEMPLATE_STEPS },
    };
    RenderError::Execution { line, column, message, suggestion }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_that_follow_one_another_say_what_each_says_alone() {
        let data = json!({"a": {"b": "c"}, "list": (0..1000).collect::<Vec<_>>()});
        let alone = |source: &str| GoTemplate::default().render(source, &data);
        let rounds = |rounds: u64| format!("{{{{range {rounds}}}}}{{{{end}}}}{{{{len .list}}}}");
        // The last that is not too much, to the step.
        let (mut good, mut bad) = (0, TEMPLATE_STEPS);
        while bad - good > 1 {
            let middle = u64::midpoint(good, bad);
            if alone(&rounds(middle)).is_ok() { good = middle } else { bad = middle }
        }
        let sources = [
            "{{ .a.b }}".to_owned(),
            rounds(good),
            rounds(bad),
            rounds(good),
            "{{ $_ := set .a \"b\" \"changed\" }}{{ .a.b }}".to_owned(),
            "{{ .a.b }}".to_owned(),
            "{{ .a.nothing }}".to_owned(),
            "{{ $_ := unset .a \"b\" }}{{ .list.nothing }}".to_owned(),
            "{{ .a.b }}".to_owned(),
            "{{ range .list }}{{ . }}{{ end }}".to_owned(),
        ];
        let mut renderings = Renderings::new(&data, None);
        for source in &sources {
            let template = Prepared::read(source).unwrap();
            assert_eq!(renderings.render(&template), alone(source), "{source}");
        }
        let all: Vec<bool> = sources.iter().map(|source| alone(source).is_ok()).collect();
        assert_eq!(all.iter().filter(|good| !**good).count(), 3, "{all:?}");
    }
}
