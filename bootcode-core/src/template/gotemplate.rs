//! Go's text/template, with a missing key as an error and bounds on everything.

use std::io;

use gotmpl::{
    MissingKey, Template, TemplateError,
    parse::{Expr, ListNode, Node, PipeNode},
};
use serde_json::Value;

use super::{
    RenderError, Renderer, functions, lines,
    lint::{line_column, lint},
    scan::without_comments,
};
use crate::{
    limits::{RENDERED_BYTES, TEMPLATE_ITERATIONS},
    yaml::nearest,
};

/// The language that Tinkerbell's templates are written in.
#[derive(Debug, Clone, Copy, Default)]
pub struct GoTemplate;

impl Renderer for GoTemplate {
    fn render(&self, source: &str, data: &Value) -> Result<String, RenderError> {
        lint(source)?;
        let template = parse(source).map_err(|error| failed(source, None, &error, data))?;
        let values = gotmpl::to_value(data).map_err(|error| failed(source, None, &error, data))?;
        match execute(&template, None, &values) {
            Ok(text) => Ok(text),
            Err(Stop::TooMuch) => Err(RenderError::PrintsTooMuch { limit: RENDERED_BYTES }),
            Err(Stop::Failed(error)) => {
                let node = failing_node(source, &values);
                Err(failed(source, node.as_ref(), &error, data))
            }
        }
    }
}

impl GoTemplate {
    /// For each line of the rendered text the template's line that made it. Empty where that cannot be told.
    pub(super) fn origins(source: &str, data: &Value) -> Vec<u32> {
        let render = || {
            let template = lines::instrument(parse(source).ok()?, source)?;
            execute(&template, Some(lines::INSTRUMENTED), &gotmpl::to_value(data).ok()?).ok()
        };
        render().map(|text| lines::origins(&text)).unwrap_or_default()
    }
}

fn parse(source: &str) -> Result<Template, TemplateError> {
    functions::register(Template::new("t"))
        .missing_key(MissingKey::Error)
        .max_range_iters(TEMPLATE_ITERATIONS)
        .parse(&without_comments(source))
}

enum Stop {
    TooMuch,
    Failed(TemplateError),
}

/// Takes no more than may be printed.
struct Bounded {
    text: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > RENDERED_BYTES {
            self.full = true;
            return Err(io::Error::other("the bound of what a template prints"));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Executes the template, or the one of this name within it.
fn execute(template: &Template, name: Option<&str>, values: &gotmpl::Value) -> Result<String, Stop> {
    let mut out = Bounded { text: Vec::new(), full: false };
    let result = match name {
        Some(name) => template.execute_template(&mut out, name, values),
        None => template.execute(&mut out, values),
    };
    if out.full {
        return Err(Stop::TooMuch);
    }
    result.map_err(Stop::Failed)?;
    String::from_utf8(out.text).map_err(|_| Stop::TooMuch)
}

/// The engine does not say where it failed: the first top-level node with which the template fails is looked for.
fn failing_node(source: &str, values: &gotmpl::Value) -> Option<Node> {
    const PART: &str = "\u{10FFFE}part";
    let nodes = parse(source).ok()?.lookup("t")?.clone();
    let fails = |count: usize| {
        let first = ListNode { pos: nodes.pos, nodes: nodes.nodes[..count].to_vec() };
        let template = parse(source).map(|template| template.add_parse_tree(PART, first));
        template.is_ok_and(|template| execute(&template, Some(PART), values).is_err())
    };
    let (mut good, mut bad) = (0, nodes.nodes.len());
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        if fails(middle) { bad = middle } else { good = middle }
    }
    nodes.nodes.get(bad.checked_sub(1)?).cloned()
}

fn failed(source: &str, node: Option<&Node>, error: &TemplateError, data: &Value) -> RenderError {
    let mut suggestion = None;
    let mut offset = node.map(offset_of);
    let message = match error {
        TemplateError::MissingKey { key } => {
            if let Some(at) = node.and_then(|node| in_node(node, key)) {
                offset = Some(at);
            }
            suggestion = data
                .as_object()
                .and_then(|map| nearest(key, map.keys().map(String::as_str)))
                .map(str::to_owned);
            format!(
                "there is no `{key}` in the data; names with other signs than letters and digits need `index`"
            )
        }
        // The words of a function may hold values; its name does not.
        TemplateError::FuncPanic { name, .. } => format!("the function `{name}` failed"),
        TemplateError::Exec(words) => functions::public_words(words),
        other => other.to_string(),
    };
    let (line, column) = offset.map_or((0, 0), |offset| line_column(source, offset));
    RenderError::Execution { line, column, message, suggestion }
}

fn offset_of(node: &Node) -> usize {
    match node {
        Node::List(list) => list.pos.offset,
        Node::Text(text) => text.pos.offset,
        Node::Action(action) => action.pos.offset,
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => branch.pos.offset,
        Node::Template(call) => call.pos.offset,
        Node::Define(define) => define.pos.offset,
        Node::Break(pos) | Node::Continue(pos) => pos.offset,
    }
}

/// Where a node asks for this key.
fn in_node(node: &Node, key: &str) -> Option<usize> {
    let list = |list: &ListNode| list.nodes.iter().find_map(|node| in_node(node, key));
    match node {
        Node::List(nodes) => list(nodes),
        Node::Action(action) => in_pipe(&action.pipe, key),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => in_pipe(&branch.pipe, key)
            .or_else(|| list(&branch.body))
            .or_else(|| branch.else_body.as_ref().and_then(list)),
        Node::Template(call) => call.pipe.as_ref().and_then(|pipe| in_pipe(pipe, key)),
        _ => None,
    }
}

fn in_pipe(pipe: &PipeNode, key: &str) -> Option<usize> {
    pipe.commands
        .iter()
        .flat_map(|command| &command.args)
        .find_map(|expression| in_expression(expression, key))
}

fn in_expression(expression: &Expr, key: &str) -> Option<usize> {
    match expression {
        Expr::Field(pos, names) | Expr::Variable(pos, _, names) if names.iter().any(|name| name == key) => {
            Some(pos.offset)
        }
        Expr::Pipe(_, pipe) => in_pipe(pipe, key),
        Expr::Chain(pos, inner, names) => {
            let own = names.iter().any(|name| name == key).then_some(pos.offset);
            own.or_else(|| in_expression(inner, key))
        }
        _ => None,
    }
}
