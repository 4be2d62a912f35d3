//! How reading a node into a type fails, with the place.

use std::fmt;

use super::{Fault, Position, Reveal, nearest, node::Node};

/// One failure; the place is filled in on the way out, innermost first.
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    /// The key that is missing, where that is the failure.
    pub(super) missing: Option<&'static str>,
    /// The node to leave out when reading on.
    pub(super) node: Option<u32>,
    pub(super) position: Position,
    /// Outermost last.
    steps: Vec<String>,
}

impl ReadError {
    pub(super) fn new(message: String) -> Self {
        Self {
            message,
            suggestion: None,
            missing: None,
            node: None,
            position: Position::default(),
            steps: Vec::new(),
        }
    }

    /// Fills in the place, unless a deeper one is known.
    pub(super) fn at(mut self, id: u32, position: Position) -> Self {
        if self.node.is_none() {
            self.node = Some(id);
            self.position = position;
        }
        self
    }

    /// The same for a single value, which the message repeats where that is allowed.
    pub(super) fn of_scalar(mut self, node: &Node, reveal: Reveal<'_>) -> Self {
        if self.node.is_none()
            && let Some(text) = node.as_text()
        {
            if !reveal.allows(text) {
                self.message = format!("{} is not of the kind that belongs here", reveal.quote(text));
                self.suggestion = None;
            } else if !self.message.contains('`') {
                self.message = format!("{}: {}", reveal.quote(text), self.message);
            }
        }
        self.at(node.id, node.position)
    }

    pub(super) fn below(mut self, step: String) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn into_fault(self, file: &str, root: &str) -> Fault {
        let mut path = root.to_owned();
        for step in self.steps.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        Fault {
            file: file.to_owned(),
            line: self.position.line,
            column: self.position.column,
            path,
            message: self.message,
            suggestion: self.suggestion,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

fn listed(expected: &'static [&'static str]) -> String {
    expected.join(", ")
}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let field = Reveal::All.quote(field);
        let word = field.trim_matches('`');
        let suggestion = nearest(word, expected.iter().copied()).map(str::to_owned);
        let message = match suggestion {
            Some(_) => format!("unknown key {field}"),
            None => format!("unknown key {field}; known are {}", listed(expected)),
        };
        Self { suggestion, ..Self::new(message) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let shown = Reveal::All.quote(variant);
        let suggestion = nearest(variant, expected.iter().copied()).map(str::to_owned);
        Self { suggestion, ..Self::new(format!("{shown} is none of {}", listed(expected))) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("the key `{field}` is missing")) }
    }
}
