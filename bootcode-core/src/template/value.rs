//! What a template computes with: Go's values as far as templates meet them.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use jiff::Zoned;
use serde_json::Value as Json;

use super::work::{Fail, Work};

/// The entries of a map; in key order, as Go ranges over them.
pub(super) type Entries = BTreeMap<Rc<str>, Value>;

/// A value. Maps are shared, as Go's are: Sprig's `set` changes what every holder sees.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    /// Go's `int`: what is written in a template, a length, an index.
    Int(i64),
    /// Go's `int64`: what comes from the data, and what Sprig computes.
    Int64(i64),
    Float(f64),
    Text(Rc<str>),
    List(Rc<List>),
    Map(Rc<RefCell<Entries>>),
    Time(Rc<Zoned>),
    Version(Rc<semver::Version>),
}

/// A list and what Go calls it.
#[derive(Debug)]
pub(super) struct List {
    pub(super) items: Vec<Value>,
    pub(super) of: Of,
}

/// The type of a list's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Any,
    Text,
    Int,
    Lists,
}

impl Value {
    /// As data comes into a template: whole numbers are `int64`.
    pub(super) fn from_json(json: &Json, work: &Work) -> Result<Self, Fail> {
        work.step(1)?;
        Ok(match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int64(whole),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text.as_str().into()),
            Json::Array(items) => {
                let items = items.iter().map(|item| Self::from_json(item, work)).collect::<Result<_, _>>()?;
                work.list(items, Of::Any)?
            }
            Json::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((key.as_str().into(), Self::from_json(value, work)?)));
                work.map(entries.collect::<Result<_, Fail>>()?)?
            }
        })
    }

    /// Go's truth of `if`, `and`, `or`, `not` and of Sprig's `empty`.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(number) | Self::Int64(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.borrow().is_empty(),
            Self::Time(_) | Self::Version(_) => true,
        }
    }

    /// Go's `%T`.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(list) => match list.of {
                Of::Any => "[]interface {}",
                Of::Text => "[]string",
                Of::Int => "[]int",
                Of::Lists => "[][]interface {}",
            },
            Self::Map(_) => "map[string]interface {}",
            Self::Time(_) => "time.Time",
            Self::Version(_) => "*semver.Version",
        }
    }

    /// Go's `reflect.Kind`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Time(_) => "struct",
            Self::Version(_) => "ptr",
            plain => plain.type_name(),
        }
    }

    /// What it is, for messages.
    pub(super) fn noun(&self) -> String {
        match self.kind() {
            "invalid" => "nothing (nil)".to_owned(),
            "int" => "an int".to_owned(),
            "int64" => "an int64".to_owned(),
            kind => format!("a {kind}"),
        }
    }

    /// Go's `reflect.DeepEqual`: an `int` is no `int64`.
    pub(super) fn deep_equal(&self, other: &Self, work: &Work, depth: usize) -> Result<bool, Fail> {
        work.descend(depth)?;
        Ok(match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) | (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => {
                work.read(a.len())?;
                a == b
            }
            (Self::List(a), Self::List(b)) => {
                if a.of != b.of || a.items.len() != b.items.len() {
                    return Ok(false);
                }
                for (a, b) in a.items.iter().zip(&b.items) {
                    if !a.deep_equal(b, work, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Self::Map(a), Self::Map(b)) => {
                let (a, b) = (a.borrow(), b.borrow());
                if a.len() != b.len() {
                    return Ok(false);
                }
                for ((key_a, a), (key_b, b)) in a.iter().zip(b.iter()) {
                    if key_a != key_b || !a.deep_equal(b, work, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Version(a), Self::Version(b)) => a == b,
            _ => false,
        })
    }

    /// A copy that shares nothing with this.
    pub(super) fn deep_copy(&self, work: &Work, depth: usize) -> Result<Self, Fail> {
        work.descend(depth)?;
        match self {
            Self::List(list) => {
                let items = list.items.iter().map(|item| item.deep_copy(work, depth + 1));
                work.list(items.collect::<Result<_, _>>()?, list.of)
            }
            Self::Map(map) => {
                let copy =
                    |(key, value): (&Rc<str>, &Self)| Ok((Rc::clone(key), value.deep_copy(work, depth + 1)?));
                let entries = map.borrow().iter().map(copy).collect::<Result<_, Fail>>()?;
                work.map(entries)
            }
            plain => Ok(plain.clone()),
        }
    }

    /// Both of Go's whole numbers.
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Self::Int(number) | Self::Int64(number) => Some(*number),
            _ => None,
        }
    }
}
