//! Reads nodes into types with serde: the type that is read decides what a scalar means.

use std::collections::HashSet;

use serde::{
    de::{
        DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    Reveal,
    error::ReadError,
    node::{Content, Key, Located, Node},
    scalar,
};
use crate::limits::YAML_LIST_ITEMS;

/// The name of a newtype that is read from a scalar, as its text, or from a mapping: without it a type that takes both would see
/// `1.0` as a number and `true` as a flag.
pub(crate) const TEXT_OR_MAPPING: &str = "$text-or-mapping";

/// The key by which documents name a secret, where one may stand.
const SECRET: &str = "secretRef";
/// What is said where none may.
const SECRETS: &str = "secrets are read only as `userData` and `vendorData` of bootcode/v1 and as values in an action's \
                       `environment`; write here what everybody may know, as a password's hash or a public key";

/// A node to be read, and the nodes that are passed over because they failed before.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'a> {
    pub(super) node: &'a Node,
    pub(super) skip: &'a HashSet<u32>,
    pub(super) reveal: Reveal<'a>,
}

impl<'a> NodeReader<'a> {
    fn expected(&self, what: &str) -> ReadError {
        let found = match &self.node.content {
            Content::Scalar { text, .. } if !self.node.is_null() => self.reveal.quote(text),
            Content::Mapping(_) if self.node.get(SECRET).is_some() => format!("a `{SECRET}`: {SECRETS}"),
            _ => self.node.describe().to_owned(),
        };
        ReadError::new(format!("expected {what}, found {found}")).at(self.node.id, self.node.position)
    }

    /// The text of a scalar that is not null.
    fn text(&self, what: &str) -> Result<&'a str, ReadError> {
        if self.node.is_null() {
            return Err(self.expected(what));
        }
        self.node.as_text().ok_or_else(|| self.expected(what))
    }

    /// With the place, unless a deeper one is known: types that parse a text fail after it was read.
    fn scalar<T>(&self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|error| error.of_scalar(self.node, self.reveal))
    }

    fn collection<T>(&self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|error| error.at(self.node.id, self.node.position))
    }
}

macro_rules! integers {
    ($($method:ident => $visit:ident: $type:ty),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            let number = match &self.node.content {
                Content::Scalar { text, plain: true, .. } => scalar::integer(text),
                _ => None,
            };
            let number = number.ok_or_else(|| self.expected("a whole number"))?;
            let number = <$type>::try_from(number).map_err(|_| {
                self.expected(&format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX))
            })?;
            self.scalar(visitor.$visit(number))
        })*
    };
}

impl<'de> serde::Deserializer<'de> for NodeReader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.content {
            Content::Scalar { text, plain: true, .. } if scalar::is_null(text) => {
                self.scalar(visitor.visit_unit())
            }
            Content::Scalar { text, plain: true, .. } => {
                if let Some(flag) = scalar::boolean(text) {
                    return self.scalar(visitor.visit_bool(flag));
                }
                let result = match scalar::integer(text) {
                    Some(n) if u64::try_from(n).is_ok() => visitor.visit_u64(n as u64),
                    Some(n) if i64::try_from(n).is_ok() => visitor.visit_i64(n as i64),
                    _ => match scalar::float(text) {
                        Some(n) => visitor.visit_f64(n),
                        None => visitor.visit_borrowed_str(text),
                    },
                };
                self.scalar(result)
            }
            Content::Scalar { text, .. } => self.scalar(visitor.visit_borrowed_str(text)),
            Content::Sequence(_) => self.deserialize_seq(visitor),
            Content::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let flag = match &self.node.content {
            Content::Scalar { text, plain: true, .. } => scalar::boolean(text),
            _ => None,
        };
        self.scalar(visitor.visit_bool(flag.ok_or_else(|| self.expected("true or false"))?))
    }

    integers! {
        deserialize_i8 => visit_i8: i8, deserialize_i16 => visit_i16: i16, deserialize_i32 => visit_i32: i32,
        deserialize_i64 => visit_i64: i64, deserialize_u8 => visit_u8: u8, deserialize_u16 => visit_u16: u16,
        deserialize_u32 => visit_u32: u32, deserialize_u64 => visit_u64: u64,
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let number = match &self.node.content {
            Content::Scalar { text, plain: true, .. } => scalar::float(text),
            _ => None,
        };
        self.scalar(visitor.visit_f64(number.ok_or_else(|| self.expected("a number"))?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.scalar(visitor.visit_borrowed_str(self.text("text")?))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { visitor.visit_unit() } else { Err(self.expected("nothing")) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name != TEXT_OR_MAPPING {
            return visitor.visit_newtype_struct(self);
        }
        match &self.node.content {
            Content::Mapping(_) => self.deserialize_map(visitor),
            _ => self.scalar(visitor.visit_borrowed_str(self.text("text or a mapping")?)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let items = match &self.node.content {
            Content::Sequence(items) if items.len() > YAML_LIST_ITEMS => {
                return Err(ReadError::new(format!("a list has at most {YAML_LIST_ITEMS} entries"))
                    .at(self.node.id, self.node.position));
            }
            Content::Sequence(items) => items.as_slice(),
            // `disks:` with nothing behind it is what is left when all lines below are commented out.
            _ if self.node.is_null() => &[],
            _ => return Err(self.expected("a list")),
        };
        self.collection(visitor.visit_seq(Items { items: items.iter().enumerate(), reader: self }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let entries = match &self.node.content {
            Content::Mapping(entries) => entries.as_slice(),
            _ if self.node.is_null() => &[],
            _ => return Err(self.expected("a mapping")),
        };
        self.collection(visitor.visit_map(Entries { entries: entries.iter(), value: None, reader: self }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let text = self.text(&format!("one of {}", variants.join(", ")))?;
        let unit: StrDeserializer<'_, ReadError> = text.into_deserializer();
        self.scalar(visitor.visit_enum(unit))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit_struct tuple_struct }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    reader: NodeReader<'a>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let skip = self.reader.skip;
        let Some((index, node)) = self.items.find(|(_, node)| !skip.contains(&node.id)) else {
            return Ok(None);
        };
        let reader = NodeReader { node, ..self.reader };
        let value = reader.scalar(seed.deserialize(reader));
        value.map(Some).map_err(|error| error.below(format!("[{index}]")))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (Located<Key>, Node)>,
    value: Option<(&'a Located<Key>, &'a Node)>,
    reader: NodeReader<'a>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let skip = self.reader.skip;
        let Some((key, node)) =
            self.entries.find(|(key, node)| !skip.contains(&key.value.id) && !skip.contains(&node.id))
        else {
            return Ok(None);
        };
        self.value = Some((key, node));
        let text: StrDeserializer<'_, ReadError> = (*key.value.text).into_deserializer();
        seed.deserialize(text).map(Some).map_err(|mut error| {
            if !self.reader.reveal.allows(&key.value.text) {
                "unknown key".clone_into(&mut error.message);
                error.suggestion = None;
            } else if *key.value.text == *SECRET {
                error.message = format!("{}; {SECRETS}", error.message);
            }
            error.at(key.value.id, key.position)
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (key, node) =
            self.value.take().ok_or_else(|| ReadError::custom("a value was asked for before its key"))?;
        let reader = NodeReader { node, ..self.reader };
        let value = reader.scalar(seed.deserialize(reader));
        value.map_err(|error| error.below(key.value.text.to_string()))
    }
}
