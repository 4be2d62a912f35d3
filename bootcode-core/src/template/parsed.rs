//! A template that has been parsed and checked.

use std::collections::BTreeMap;

use gotmpl::{
    TemplateError,
    parse::{ListNode, Parser},
};

use super::{
    RenderError,
    lint::{Walk, balance, line_column},
    scan::without_comments,
};
use crate::limits::TEMPLATE_BYTES;

/// What a template does, and what it defines.
pub(super) struct Parsed {
    pub(super) main: ListNode,
    pub(super) templates: BTreeMap<String, ListNode>,
}

impl Parsed {
    /// Parses and checks, as far as that goes without data.
    pub(super) fn read(source: &str) -> Result<Self, RenderError> {
        if source.len() > TEMPLATE_BYTES {
            return Err(RenderError::TooLarge { bytes: source.len(), limit: TEMPLATE_BYTES });
        }
        balance(source)?;
        let plain = without_comments(source);
        let parsed = Parser::new(&plain, "{{", "}}").and_then(Parser::parse);
        let (main, defines) = parsed.map_err(|error| of_engine(&error))?;
        let mut templates: BTreeMap<String, ListNode> = BTreeMap::new();
        for define in defines {
            let known = templates.get(define.name.as_str());
            if known.is_some_and(|list| !list.is_empty_tree()) && !define.body.is_empty_tree() {
                let (line, column) = line_column(source, define.pos.offset);
                let message = format!("a second template is called `{}`", define.name);
                return Err(RenderError::Syntax { line, column, message, suggestion: None });
            }
            // One that is empty takes the place of none.
            if known.is_none() || !define.body.is_empty_tree() {
                templates.insert(define.name.to_string(), define.body);
            }
        }
        let walk = Walk { source, defined: &templates };
        for list in templates.values().chain([&main]) {
            walk.list(list, &mut vec!["$".to_owned()])?;
        }
        Ok(Self { main, templates })
    }
}

fn of_engine(error: &TemplateError) -> RenderError {
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    match error {
        TemplateError::Parse { line, col, message, .. } | TemplateError::Lex { line, col, message, .. } => {
            RenderError::Syntax {
                line: bounded(*line),
                column: bounded(*col),
                message: message.clone(),
                suggestion: None,
            }
        }
        other => RenderError::Syntax { line: 0, column: 0, message: other.to_string(), suggestion: None },
    }
}
