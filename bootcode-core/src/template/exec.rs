//! Carries a parsed template out, as Go's text/template does with `missingkey=error`.
//!
//! The engine below has an executor too; this one says where it failed, counts what it does, and has maps that can be changed.

use std::{collections::BTreeMap, rc::Rc};

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, TemplateNode};

use super::{
    functions,
    output::Output,
    show::shown,
    value::Value,
    work::{Fail, Work, refuse},
};
use crate::{limits::TEMPLATE_DEPTH, yaml::nearest};

/// A failure and where it happened, in bytes.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fail: Fail,
    pub(super) offset: usize,
}

/// Why the walk leaves a list before its end.
enum Leave {
    Break,
    Continue,
    Fail(Box<Failure>),
}

type Walked = Result<(), Leave>;
type Evaluated = Result<Value, Box<Failure>>;

impl From<Box<Failure>> for Leave {
    fn from(failure: Box<Failure>) -> Self {
        Self::Fail(failure)
    }
}

/// One execution.
pub(super) struct Executor<'a> {
    pub(super) source: &'a str,
    pub(super) templates: &'a BTreeMap<String, ListNode>,
    pub(super) work: &'a Work,
    pub(super) out: Output,
    /// Names without the dollar sign; `$` itself is the empty name.
    variables: Vec<(String, Value)>,
    depth: usize,
}

impl<'a> Executor<'a> {
    pub(super) fn new(source: &'a str, templates: &'a BTreeMap<String, ListNode>, work: &'a Work) -> Self {
        Self { source, templates, work, out: Output::default(), variables: Vec::new(), depth: 0 }
    }

    /// Carries the list out with this data.
    pub(super) fn run(&mut self, list: &ListNode, data: &Value) -> Result<(), Box<Failure>> {
        self.variables = vec![(String::new(), data.clone())];
        match self.list(list, data) {
            Ok(()) | Err(Leave::Break | Leave::Continue) => Ok(()),
            Err(Leave::Fail(failure)) => Err(failure),
        }
    }

    fn list(&mut self, list: &ListNode, dot: &Value) -> Walked {
        if self.depth >= TEMPLATE_DEPTH {
            let words = format!("blocks and templates are nested deeper than {TEMPLATE_DEPTH}");
            return Err(at(list.pos.offset, Fail::Says(words)).into());
        }
        self.depth += 1;
        let walked = list.nodes.iter().try_for_each(|node| self.node(node, dot));
        self.depth -= 1;
        walked
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Walked {
        match node {
            Node::Text(text) => {
                let offset = text.pos.offset;
                // Trim markers may have taken white space away in front of the text.
                let rest = self.source.get(offset..).unwrap_or_default();
                let skipped =
                    if rest.starts_with(&*text.text) { 0 } else { rest.len() - rest.trim_start().len() };
                self.work.read(skipped).map_err(|fail| at(offset, fail))?;
                self.out.literal(&text.text, offset + skipped, self.work).map_err(|fail| at(offset, fail))?;
            }
            Node::Action(action) => {
                let offset = action.pos.offset;
                let value = self.pipe(&action.pipe, dot)?;
                if action.pipe.decl.is_empty() {
                    let text = match &value {
                        Value::Nil => Ok("<no value>".to_owned()),
                        Value::Text(text) => Ok(text.to_string()),
                        other => shown(other, self.work),
                    };
                    text.and_then(|text| self.out.printed(&text, offset, self.work))
                        .map_err(|fail| at(offset, fail))?;
                }
            }
            Node::If(branch) => self.scoped(|this| {
                let value = this.pipe(&branch.pipe, dot)?;
                this.either(branch, value.is_true(), dot, dot)
            })?,
            Node::With(branch) => self.scoped(|this| {
                let value = this.pipe(&branch.pipe, dot)?;
                this.either(branch, value.is_true(), &value, dot)
            })?,
            Node::Range(branch) => self.scoped(|this| this.range(branch, dot))?,
            Node::Template(call) => self.template(call, dot)?,
            Node::List(list) => self.list(list, dot)?,
            Node::Define(_) => {}
            Node::Break(_) => return Err(Leave::Break),
            Node::Continue(_) => return Err(Leave::Continue),
        }
        Ok(())
    }

    fn scoped(&mut self, walk: impl FnOnce(&mut Self) -> Walked) -> Walked {
        let mark = self.variables.len();
        let walked = walk(self);
        self.variables.truncate(mark);
        walked
    }

    fn either(&mut self, branch: &BranchNode, first: bool, dot: &Value, other: &Value) -> Walked {
        match (first, &branch.else_body) {
            (true, _) => self.list(&branch.body, dot),
            (false, Some(body)) => self.list(body, other),
            (false, None) => Ok(()),
        }
    }

    fn range(&mut self, branch: &BranchNode, dot: &Value) -> Walked {
        let offset = branch.pipe.pos.offset;
        let value = self.commands(&branch.pipe, dot)?;
        let mark = self.variables.len();
        let mut rounds = 0;
        let mut round = |this: &mut Self, key: Value, item: Value| -> Result<bool, Leave> {
            this.work.step(1).map_err(|fail| at(offset, fail))?;
            rounds += 1;
            let bound = match branch.pipe.decl.as_slice() {
                [] => vec![],
                [one] => vec![(one, item.clone())],
                [first, second, ..] => vec![(first, key), (second, item.clone())],
            };
            for (name, value) in bound {
                this.bind(name, value, branch.pipe.is_assign, offset)?;
            }
            let walked = this.list(&branch.body, &item);
            this.variables.truncate(mark);
            match walked {
                Ok(()) | Err(Leave::Continue) => Ok(true),
                Err(Leave::Break) => Ok(false),
                Err(fail) => Err(fail),
            }
        };
        match &value {
            Value::Nil => {}
            Value::List(list) => {
                for (n, item) in list.items.iter().enumerate() {
                    if !round(self, Value::Int(i64::try_from(n).unwrap_or(i64::MAX)), item.clone())? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                // The body may change the map.
                self.work.step(map.borrow().len()).map_err(|fail| at(offset, fail))?;
                let entries: Vec<_> = map.borrow().iter().map(|(k, v)| (Rc::clone(k), v.clone())).collect();
                for (key, item) in entries {
                    if !round(self, Value::Text(key), item)? {
                        break;
                    }
                }
            }
            Value::Int(count) | Value::Int64(count) => {
                if branch.pipe.decl.len() > 1 {
                    return Err(
                        at(offset, Fail::Says("a number is ranged over with one variable".into())).into()
                    );
                }
                let number: fn(i64) -> Value =
                    if matches!(value, Value::Int(_)) { Value::Int } else { Value::Int64 };
                for n in 0..*count {
                    if !round(self, number(n), number(n))? {
                        break;
                    }
                }
            }
            other => {
                let words = format!("`range` cannot go over {}", other.noun());
                return Err(at(offset, Fail::Says(words)).into());
            }
        }
        match &branch.else_body {
            Some(body) if rounds == 0 => self.list(body, dot),
            _ => Ok(()),
        }
    }

    fn template(&mut self, call: &TemplateNode, dot: &Value) -> Walked {
        let data = match &call.pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        // A call costs more than an expression.
        self.work.step(8).map_err(|fail| at(call.pos.offset, fail))?;
        let templates = self.templates;
        let Some(list) = templates.get(call.name.as_str()) else {
            let words = format!("no template is called `{}`", call.name);
            return Err(at(call.pos.offset, Fail::Says(words)).into());
        };
        let own = std::mem::replace(&mut self.variables, vec![(String::new(), data.clone())]);
        let walked = self.list(list, &data);
        self.variables = own;
        walked
    }

    /// A pipeline's value, its variable declared or set.
    fn pipe(&mut self, pipe: &PipeNode, dot: &Value) -> Evaluated {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.decl {
            self.bind(name, value.clone(), pipe.is_assign, pipe.pos.offset)?;
        }
        Ok(value)
    }

    fn bind(&mut self, name: &str, value: Value, assign: bool, offset: usize) -> Result<(), Box<Failure>> {
        let name = name.trim_start_matches('$');
        if !assign {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, place)) => *place = value,
            None => return Err(at(offset, Fail::Says(format!("there is no variable `${name}` here")))),
        }
        Ok(())
    }

    fn commands(&mut self, pipe: &PipeNode, dot: &Value) -> Evaluated {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        piped.ok_or_else(|| at(pipe.pos.offset, Fail::Says("this pipeline is empty".to_owned())))
    }

    fn command(&mut self, command: &CommandNode, dot: &Value, piped: Option<Value>) -> Evaluated {
        let Some((first, arguments)) = command.args.split_first() else {
            return Err(at(command.pos.offset, Fail::Says("this command is empty".to_owned())));
        };
        let offset = first.pos().offset;
        match first {
            Expr::Identifier(_, name) => self.call(name, arguments, dot, piped, offset),
            Expr::Chain(_, inner, fields) if matches!(**inner, Expr::Identifier(..)) => {
                let Expr::Identifier(_, name) = &**inner else { return self.expression(first, dot) };
                let value = self.call(name, arguments, dot, piped, offset)?;
                self.fields(value, fields, offset)
            }
            _ if piped.is_some() || !arguments.is_empty() => {
                Err(at(offset, Fail::Says("values are given to something that is no function".to_owned())))
            }
            Expr::Nil(_) => Err(at(offset, Fail::Says("nil is not a command".to_owned()))),
            other => self.expression(other, dot),
        }
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Expr],
        dot: &Value,
        piped: Option<Value>,
        offset: usize,
    ) -> Evaluated {
        self.work.step(1).map_err(|fail| at(offset, fail))?;
        let Some(function) = functions::find(name) else {
            return Err(at(offset, Fail::Says(format!("there is no function `{name}`"))));
        };
        // `and` and `or` look no further than they need.
        let decided = |value: &Value| match name {
            "and" => !value.is_true(),
            "or" => value.is_true(),
            _ => false,
        };
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            let value = self.expression(argument, dot)?;
            if decided(&value) {
                return Ok(value);
            }
            values.push(value);
        }
        values.extend(piped);
        function.call(&values, self.work).map_err(|fail| at(offset, fail))
    }

    fn expression(&mut self, expression: &Expr, dot: &Value) -> Evaluated {
        let offset = expression.pos().offset;
        self.work.step(1).map_err(|fail| at(offset, fail))?;
        match expression {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Field(_, names) => self.fields(dot.clone(), names, offset),
            Expr::Variable(_, name, names) => {
                let bare = name.trim_start_matches('$');
                match self.variables.iter().rev().find(|(known, _)| known == bare) {
                    Some((_, value)) => self.fields(value.clone(), names, offset),
                    None => Err(at(offset, Fail::Says(format!("there is no variable `${bare}` here")))),
                }
            }
            Expr::String(_, text) => Ok(Value::Text(Rc::from(&**text))),
            Expr::Number(_, Number::Int(number)) => Ok(Value::Int(*number)),
            Expr::Number(_, Number::Float(number)) => Ok(Value::Float(*number)),
            Expr::Number(_, Number::Uint(number)) => {
                Err(at(offset, Fail::Says(format!("{number} is larger than a number can be"))))
            }
            Expr::Bool(_, value) => Ok(Value::Bool(*value)),
            Expr::Nil(_) => Ok(Value::Nil),
            Expr::Pipe(_, pipe) => self.pipe(pipe, dot),
            Expr::Identifier(_, name) => self.call(name, &[], dot, None, offset),
            Expr::Chain(_, inner, names) => {
                let value = self.expression(inner, dot)?;
                self.fields(value, names, offset)
            }
        }
    }

    fn fields<T: AsRef<str>>(&self, mut value: Value, names: &[T], offset: usize) -> Evaluated {
        for name in names {
            value = field(&value, name.as_ref()).map_err(|fail| at(offset, fail))?;
        }
        Ok(value)
    }
}

fn at(offset: usize, fail: Fail) -> Box<Failure> {
    Box::new(Failure { fail, offset })
}

/// `.name` of a value.
fn field(value: &Value, name: &str) -> Result<Value, Fail> {
    match value {
        Value::Map(map) => {
            let map = map.borrow();
            map.get(name).cloned().ok_or_else(|| {
                // Keys that are no plain words may come from a value.
                let words = map
                    .keys()
                    .map(|key| &**key)
                    .filter(|key| key.chars().all(|c| c.is_alphanumeric() || c == '_'));
                Fail::Missing { key: name.to_owned(), meant: nearest(name, words).map(str::to_owned) }
            })
        }
        Value::Nil => refuse(format!("`.{name}` is asked of nothing (nil)")),
        Value::Version(version) => match name {
            "Major" => Ok(Value::Int64(i64::try_from(version.major).unwrap_or(i64::MAX))),
            "Minor" => Ok(Value::Int64(i64::try_from(version.minor).unwrap_or(i64::MAX))),
            "Patch" => Ok(Value::Int64(i64::try_from(version.patch).unwrap_or(i64::MAX))),
            "Prerelease" => Ok(Value::Text(version.pre.as_str().into())),
            "Metadata" => Ok(Value::Text(version.build.as_str().into())),
            _ => {
                refuse(format!("a version has no `{name}`; it has Major, Minor, Patch, Prerelease, Metadata"))
            }
        },
        Value::Time(time) => match name {
            "Year" => Ok(Value::Int(time.year().into())),
            "Day" => Ok(Value::Int(time.day().into())),
            "Hour" => Ok(Value::Int(time.hour().into())),
            "Minute" => Ok(Value::Int(time.minute().into())),
            "Second" => Ok(Value::Int(time.second().into())),
            "Unix" => Ok(Value::Int64(time.timestamp().as_second())),
            _ => refuse(format!("a time has no `{name}` here; use `date \"2006-01-02\"`")),
        },
        other => refuse(format!("{} has no fields; `.{name}` is asked of it", other.noun())),
    }
}
