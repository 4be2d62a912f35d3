//! A YAML document as a tree that knows the place of everything.

use serde_json::Value;

use super::scalar;

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Counts from 1; 0: no place, as of documents that came as JSON.
    pub line: u32,
    /// In characters, counts from 1.
    pub column: u32,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// Where it begins.
    pub position: Position,
    /// What it is.
    pub value: T,
}

/// A node with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub position: Position,
    /// What it is.
    pub content: Content,
    /// Names the node within its file; what an alias brings keeps the name of its source.
    pub(super) id: u32,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A scalar's text.
    Scalar {
        /// After unescaping and folding.
        text: Box<str>,
        /// Not quoted, no block and not tagged `!!str`: it may mean a number, a boolean or nothing.
        plain: bool,
        /// Of a literal block (`|`) and of a text that stands in the file as it is, without escapes: where its first line's text begins.
        /// Its lines are the file's lines.
        literal: Option<Position>,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in their order; keys are unique.
    Mapping(Vec<(Located<Key>, Node)>),
}

/// The key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its text.
    pub text: Box<str>,
    pub(super) id: u32,
}

impl Node {
    /// The value of a mapping's key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Mapping(entries) => {
                entries.iter().find(|(k, _)| &*k.value.text == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.content {
            Content::Mapping(entries) => {
                entries.iter_mut().find(|(k, _)| &*k.value.text == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether this is an unquoted `null`, `~` or nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true, .. } if scalar::is_null(text))
    }

    /// The node at `path` (`spec.interfaces[0].mac`), or else the nearest above it.
    #[must_use]
    pub fn nearest(&self, path: &str) -> &Self {
        let mut node = self;
        for step in path.split(['.', '[']) {
            let next = match (step.strip_suffix(']'), &node.content) {
                (Some(index), Content::Sequence(items)) => {
                    index.parse::<usize>().ok().and_then(|i| items.get(i))
                }
                (None, _) => node.get(step),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The value by YAML's core schema: unquoted `true`, `12`, `1.5`, `null` become what they mean.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar { text, plain: true, .. } => scalar::resolve(text),
            Content::Scalar { text, .. } => Value::String(text.to_string()),
            Content::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Mapping(entries) => {
                Value::Object(entries.iter().map(|(k, v)| (k.value.text.to_string(), v.to_json())).collect())
            }
        }
    }

    /// A value that has no place in a file.
    #[must_use]
    pub fn from_json(value: &Value) -> Self {
        let scalar = |text: String, plain| Content::Scalar { text: text.into(), plain, literal: None };
        let content = match value {
            Value::Null => scalar(String::new(), true),
            Value::Bool(flag) => scalar(flag.to_string(), true),
            Value::Number(number) => scalar(number.to_string(), true),
            Value::String(text) => scalar(text.clone(), false),
            Value::Array(items) => Content::Sequence(items.iter().map(Self::from_json).collect()),
            Value::Object(entries) => Content::Mapping(
                entries
                    .iter()
                    .map(|(key, value)| {
                        let key = Key { text: key.as_str().into(), id: 0 };
                        (Located { position: Position::default(), value: key }, Self::from_json(value))
                    })
                    .collect(),
            ),
        };
        Self { position: Position::default(), content, id: 0 }
    }

    /// What it is, in words.
    pub(super) fn describe(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Scalar { .. } => "a single value",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// How many nodes it is made of.
    pub(super) fn count(&self) -> usize {
        1 + match &self.content {
            Content::Scalar { .. } => 0,
            Content::Sequence(items) => items.iter().map(Self::count).sum(),
            Content::Mapping(entries) => entries.iter().map(|(_, value)| 1 + value.count()).sum(),
        }
    }

    /// Without the nodes that `drop` names, and without their keys.
    pub(super) fn without(&self, drop: &std::collections::HashSet<u32>) -> Self {
        let content = match &self.content {
            Content::Scalar { .. } => self.content.clone(),
            Content::Sequence(items) => Content::Sequence(
                items.iter().filter(|n| !drop.contains(&n.id)).map(|n| n.without(drop)).collect(),
            ),
            Content::Mapping(entries) => Content::Mapping(
                entries
                    .iter()
                    .filter(|(k, v)| !drop.contains(&k.value.id) && !drop.contains(&v.id))
                    .map(|(k, v)| (k.clone(), v.without(drop)))
                    .collect(),
            ),
        };
        Self { position: self.position, content, id: self.id }
    }
}
