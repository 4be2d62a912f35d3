//! What the engine below does not refuse: blocks that nobody closes, an `end` that closes nothing, unknown functions and variables.

use std::collections::BTreeMap;

use gotmpl::parse::{Expr, ListNode, Node, PipeNode, Pos};

use super::{RenderError, functions, parsed::Parsed, scan::actions};
use crate::yaml::nearest;

/// Checks a template as far as that goes without data.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn lint(source: &str) -> Result<(), RenderError> {
    Parsed::read(source).map(drop)
}

/// The line and column of a byte.
pub(super) fn line_column(source: &str, offset: usize) -> (u32, u32) {
    let before = source.get(..offset.min(source.len())).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (bounded(line), bounded(column))
}

pub(super) fn syntax(source: &str, offset: usize, message: String) -> RenderError {
    let (line, column) = line_column(source, offset);
    RenderError::Syntax { line, column, message, suggestion: None }
}

/// Every block has its end, every end its block, every else stands in a block that takes it.
pub(super) fn balance(source: &str) -> Result<(), RenderError> {
    // The word, its place, and whether its last `else` has been.
    let mut open: Vec<(&str, usize, bool)> = Vec::new();
    for action in actions(source)? {
        let fail = |message: String| Err(syntax(source, action.offset, message));
        match action.word {
            "if" | "with" | "range" | "define" | "block" => open.push((action.word, action.offset, false)),
            "end" if open.pop().is_none() => return fail("this `end` closes nothing".to_owned()),
            "else" => match open.last_mut() {
                None => return fail("this `else` belongs to nothing".to_owned()),
                Some((word @ ("define" | "block"), ..)) => return fail(format!("a `{word}` has no `else`")),
                Some((_, _, true)) => return fail("a second `else` in one block".to_owned()),
                // `else if` and `else with` go on with the block that is open.
                Some((_, _, last)) => *last = !matches!(action.second, "if" | "with"),
            },
            "break" | "continue" if !open.iter().any(|(word, ..)| *word == "range") => {
                return fail(format!("this `{}` stands outside of every `range`", action.word));
            }
            _ => {}
        }
    }
    match open.pop() {
        Some((word, at, _)) => Err(syntax(source, at, format!("this `{word}` has no `{{{{end}}}}`"))),
        None => Ok(()),
    }
}

/// Looks for names that mean nothing.
pub(super) struct Walk<'a> {
    pub(super) source: &'a str,
    pub(super) defined: &'a BTreeMap<String, ListNode>,
}

impl Walk<'_> {
    /// `variables` are those in scope; a list's own go out of scope at its end.
    pub(super) fn list(&self, list: &ListNode, variables: &mut Vec<String>) -> Result<(), RenderError> {
        let scope = variables.len();
        for node in &list.nodes {
            match node {
                Node::List(list) => self.list(list, variables)?,
                Node::Action(action) => self.pipe(&action.pipe, variables)?,
                Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                    let outside = variables.len();
                    self.pipe(&branch.pipe, variables)?;
                    self.list(&branch.body, variables)?;
                    if let Some(body) = &branch.else_body {
                        self.list(body, variables)?;
                    }
                    variables.truncate(outside);
                }
                Node::Template(call) => {
                    if let Some(pipe) = &call.pipe {
                        self.pipe(pipe, variables)?;
                    }
                    if !self.defined.contains_key(call.name.as_str()) {
                        let message = format!("no template is called `{}`", call.name);
                        let meant = nearest(&call.name, self.defined.keys().map(String::as_str));
                        return Err(self.error(call.pos, message, meant.map(str::to_owned)));
                    }
                }
                Node::Define(define) => self.list(&define.body, &mut vec!["$".to_owned()])?,
                Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
            }
        }
        variables.truncate(scope.max(1));
        Ok(())
    }

    fn pipe(&self, pipe: &PipeNode, variables: &mut Vec<String>) -> Result<(), RenderError> {
        for command in &pipe.commands {
            for argument in &command.args {
                self.expression(argument, variables)?;
            }
        }
        for name in &pipe.decl {
            let name = with_dollar(name);
            if !pipe.is_assign {
                variables.push(name);
            } else if !variables.contains(&name) {
                return Err(self.unknown_variable(pipe.pos, &name, variables));
            }
        }
        Ok(())
    }

    fn expression(&self, expression: &Expr, variables: &mut Vec<String>) -> Result<(), RenderError> {
        match expression {
            Expr::Identifier(pos, name) if functions::find(name).is_none() => {
                if let Some(reason) = functions::forbidden(name) {
                    return Err(self.error(*pos, format!("`{name}` is not available: {reason}"), None));
                }
                let meant = nearest(name, functions::names()).map(str::to_owned);
                Err(self.error(*pos, format!("there is no function `{name}`"), meant))
            }
            Expr::Variable(pos, name, _) if !variables.contains(&with_dollar(name)) => {
                Err(self.unknown_variable(*pos, &with_dollar(name), variables))
            }
            Expr::Pipe(_, pipe) => self.pipe(pipe, variables),
            Expr::Chain(_, inner, _) => self.expression(inner, variables),
            _ => Ok(()),
        }
    }

    fn unknown_variable(&self, pos: Pos, name: &str, variables: &[String]) -> RenderError {
        let meant = nearest(name, variables.iter().map(String::as_str).filter(|known| known.len() > 1))
            .map(str::to_owned);
        self.error(pos, format!("there is no variable `{name}` here"), meant)
    }

    fn error(&self, pos: Pos, message: String, suggestion: Option<String>) -> RenderError {
        let (line, column) = line_column(self.source, pos.offset);
        RenderError::Syntax { line, column, message, suggestion }
    }
}

/// The engine keeps some names with the dollar sign and some without.
fn with_dollar(name: &str) -> String {
    if name.starts_with('$') { name.to_owned() } else { format!("${name}") }
}
