//! What is found while a document is taken for ours: faults, warnings, and where each field came from.

use std::fmt::Display;

use super::paths::Paths;
use crate::{
    limits::WARNINGS,
    yaml::{Fault, Faults, Node},
};

/// A document that is being read.
pub(super) struct Reading<'a> {
    pub(super) file: &'a str,
    pub(super) node: &'a Node,
    pub(super) faults: &'a mut Faults,
    pub(super) warnings: &'a mut Vec<Fault>,
    pub(super) paths: Paths,
}

impl Reading<'_> {
    /// Something that has no effect, or another than it has elsewhere.
    pub(super) fn warn(&mut self, path: &str, message: impl Display) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(place(self.file, self.node, path, message));
        }
    }

    /// Something that keeps the document from being taken.
    pub(super) fn fault(&mut self, path: &str, message: impl Display) {
        self.faults.push(place(self.file, self.node, path, message));
    }

    /// A text as the type that it should be; a fault where it is none.
    pub(super) fn parse<T>(&mut self, path: &str, text: Option<&str>, what: &str) -> Option<T>
    where
        T: std::str::FromStr,
    {
        let text = text.map(str::trim).filter(|text| !text.is_empty())?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.fault(path, format_args!("`{text}` is no {what}"));
        }
        parsed
    }
}

pub(super) fn place(file: &str, node: &Node, path: &str, message: impl Display) -> Fault {
    let position = node.nearest(path).position;
    Fault {
        file: file.to_owned(),
        line: position.line,
        column: position.column,
        path: path.to_owned(),
        message: message.to_string(),
        suggestion: None,
    }
}
