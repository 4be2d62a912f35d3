//! The functions of templates: Go's own, Sprig's hermetic ones with Sprig's names and order of arguments, and Tinkerbell's.
//!
//! None sees the environment, the network, a clock or chance. Each says what it takes in one line, which is also its line in
//! docs/TEMPLATES.md and in its error messages.

mod arguments;
mod case;
mod compare;
mod date;
mod dict;
mod disk;
mod encoding;
mod forbidden;
mod go;
mod json;
mod kind;
mod list;
mod number;
mod path;
mod regular;
mod sequence;
mod text;
mod version;
mod wrap;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::LazyLock};

pub(super) use arguments::{Arguments, Made};
pub(super) use forbidden::reason as forbidden;

use super::{
    value::Value,
    work::{Fail, Work, refuse},
};

/// What a function does.
type Body = fn(&Arguments<'_>) -> Made;

/// A function of templates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    /// Its name and what it takes: `[X]` may be left out, `X..` any number of times.
    pub(super) usage: &'static str,
    body: Body,
}

/// What functions are about, in the order of docs/TEMPLATES.md.
pub(super) const GROUPS: [(&str, &[Function]); 17] = [
    ("Go's own", go::FUNCTIONS),
    ("Comparisons and logic", compare::FUNCTIONS),
    ("Machines", disk::FUNCTIONS),
    ("Texts", text::FUNCTIONS),
    ("Words and cases", case::FUNCTIONS),
    ("Wrapping", wrap::FUNCTIONS),
    ("Lists", list::FUNCTIONS),
    ("Sequences", sequence::FUNCTIONS),
    ("Dictionaries", dict::FUNCTIONS),
    ("Defaults and kinds", kind::FUNCTIONS),
    ("Numbers", number::FUNCTIONS),
    ("JSON and YAML", json::FUNCTIONS),
    ("Encodings and digests", encoding::FUNCTIONS),
    ("Regular expressions", regular::FUNCTIONS),
    ("Dates", date::FUNCTIONS),
    ("Paths", path::FUNCTIONS),
    ("Versions", version::FUNCTIONS),
];

static BY_NAME: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    GROUPS
        .iter()
        .flat_map(|(_, functions)| functions.iter())
        .map(|function| (function.name(), *function))
        .collect()
});

/// The function of this name.
pub(super) fn find(name: &str) -> Option<Function> {
    BY_NAME.get(name).copied()
}

/// The names of all.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BY_NAME.keys().copied()
}

const fn function(usage: &'static str, body: Body) -> Function {
    Function { usage, body }
}

impl Function {
    pub(super) fn name(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or_default()
    }

    /// How many values it takes: at least, and at most.
    pub(super) fn counts(&self) -> (usize, usize) {
        let taken = self.usage.split(' ').skip(1);
        taken.fold((0, 0), |(least, most), word| {
            if word.ends_with("..") {
                (least, usize::MAX)
            } else if word.starts_with('[') {
                (least, most.saturating_add(1))
            } else {
                (least + 1, most.saturating_add(1))
            }
        })
    }

    pub(super) fn call(&self, values: &[Value], work: &Work) -> Result<Value, Fail> {
        let (least, most) = self.counts();
        if values.len() < least || values.len() > most {
            return refuse(format!(
                "`{}` was given {} values; it takes: {}",
                self.name(),
                values.len(),
                self.usage
            ));
        }
        (self.body)(&Arguments { name: self.name(), values, work })
    }
}
