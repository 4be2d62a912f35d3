//! JSON and YAML.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{Arguments, Function, Made, function, number::json_float};
use crate::{
    limits::RENDERED_BYTES,
    template::{
        value::{Of, Value},
        work::{Fail, Work},
    },
    yaml,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("toJson VALUE", |a| written(a, None, true)),
    function("mustToJson VALUE", |a| written(a, None, true)),
    function("toPrettyJson VALUE", |a| written(a, Some(0), true)),
    function("mustToPrettyJson VALUE", |a| written(a, Some(0), true)),
    function("toRawJson VALUE", |a| written(a, None, false)),
    function("mustToRawJson VALUE", |a| written(a, None, false)),
    function("fromJson TEXT", from_json),
    function("mustFromJson TEXT", from_json),
    function("toYaml VALUE", to_yaml),
    function("fromYaml TEXT", from_yaml),
];

/// As Go's encoding/json writes: `<`, `>` and `&` escaped unless `raw`, keys in order.
fn written(a: &Arguments<'_>, level: Option<usize>, html: bool) -> Made {
    let mut out = String::new();
    Writer { work: a.work, html }.value(a.value(0), level, 0, &mut out)?;
    a.make(out)
}

struct Writer<'a> {
    work: &'a Work,
    html: bool,
}

impl Writer<'_> {
    fn value(&self, value: &Value, level: Option<usize>, depth: usize, out: &mut String) -> Result<(), Fail> {
        self.work.descend(depth)?;
        if out.len() > RENDERED_BYTES {
            return Err(Fail::PrintsTooMuch);
        }
        let inner = level.map(|level| level + 1);
        match value {
            Value::Nil => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(number) | Value::Int64(number) => {
                let _ = write!(out, "{number}");
            }
            Value::Float(number) if number.is_finite() => out.push_str(&json_float(*number)),
            Value::Float(_) => return crate::template::work::refuse("JSON has no infinite numbers"),
            Value::Text(text) => self.text(text, out)?,
            Value::Time(time) => {
                self.text(
                    &crate::template::layout::format("2006-01-02T15:04:05.999999999Z07:00", time)?,
                    out,
                )?;
            }
            Value::Version(version) => self.text(&version.to_string(), out)?,
            Value::List(list) if list.items.is_empty() => out.push_str("[]"),
            Value::List(list) => {
                out.push('[');
                for (n, item) in list.items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    new_line(inner, out);
                    self.value(item, inner, depth + 1, out)?;
                }
                new_line(level, out);
                out.push(']');
            }
            Value::Map(map) if map.borrow().is_empty() => out.push_str("{}"),
            Value::Map(map) => {
                out.push('{');
                for (n, (key, value)) in map.borrow().iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    new_line(inner, out);
                    self.text(key, out)?;
                    out.push_str(if level.is_some() { ": " } else { ":" });
                    self.value(value, inner, depth + 1, out)?;
                }
                new_line(level, out);
                out.push('}');
            }
        }
        Ok(())
    }

    fn text(&self, text: &str, out: &mut String) -> Result<(), Fail> {
        self.work.read(text.len())?;
        out.push('"');
        for c in text.chars() {
            let _ = match c {
                '"' | '\\' => write!(out, "\\{c}"),
                '\n' => write!(out, "\\n"),
                '\r' => write!(out, "\\r"),
                '\t' => write!(out, "\\t"),
                '<' | '>' | '&' if self.html => write!(out, "\\u{:04x}", u32::from(c)),
                '\u{2028}' | '\u{2029}' => write!(out, "\\u{:04x}", u32::from(c)),
                c if u32::from(c) < 0x20 => write!(out, "\\u{:04x}", u32::from(c)),
                c => write!(out, "{c}"),
            };
        }
        out.push('"');
        Ok(())
    }
}

fn new_line(level: Option<usize>, out: &mut String) {
    if let Some(level) = level {
        out.push('\n');
        out.push_str(&"  ".repeat(level));
    }
}

fn from_json(a: &Arguments<'_>) -> Made {
    match serde_json::from_str::<Json>(a.text(0)?) {
        Ok(json) => read(&json, a.work),
        Err(error) => {
            a.refuse(&format!("this is no JSON (line {}, column {})", error.line(), error.column()))
        }
    }
}

/// As Go reads it: every number is a `float64`.
fn read(json: &Json, work: &Work) -> Made {
    match json {
        Json::Number(number) => Ok(Value::Float(number.as_f64().unwrap_or(f64::NAN))),
        Json::Array(items) => {
            work.list(items.iter().map(|item| read(item, work)).collect::<Result<_, _>>()?, Of::Any)
        }
        Json::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((key.as_str().into(), read(value, work)?)));
            work.map(entries.collect::<Result<_, Fail>>()?)
        }
        plain => Value::from_json(plain, work),
    }
}

fn to_yaml(a: &Arguments<'_>) -> Made {
    let json = to_json(a.value(0), a.work, 0)?;
    match yaml::to_string(&json) {
        Ok(text) => a.make(text.trim_end_matches('\n')),
        Err(_) => a.refuse("this value has no YAML form"),
    }
}

fn to_json(value: &Value, work: &Work, depth: usize) -> Result<Json, Fail> {
    work.descend(depth)?;
    // YAML's writer has work with it afterwards.
    work.step(8)?;
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) | Value::Int64(number) => (*number).into(),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            json_float(*number).parse::<i64>().unwrap_or(0).into()
        }
        Value::Float(number) => (*number).into(),
        Value::Text(text) => {
            work.may_make(text.len())?;
            (**text).into()
        }
        Value::Time(_) | Value::Version(_) => crate::template::show::shown(value, work)?.into(),
        Value::List(list) => list
            .items
            .iter()
            .map(|item| to_json(item, work, depth + 1))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        Value::Map(map) => {
            let map = map.borrow();
            let entries =
                map.iter().map(|(key, value)| Ok((key.to_string(), to_json(value, work, depth + 1)?)));
            Json::Object(entries.collect::<Result<_, Fail>>()?)
        }
    })
}

/// One document, within the bounds of every other YAML.
fn from_yaml(a: &Arguments<'_>) -> Made {
    let text = a.text(0)?;
    a.work.step(text.len())?;
    match yaml::parse_documents("", text) {
        Err(faults) => {
            let line = faults.iter().next().map_or(0, |fault| fault.line);
            a.refuse(&format!("this is no YAML (its line {line})"))
        }
        Ok(documents) => match documents.as_slice() {
            [] => Ok(Value::Nil),
            [document] => Value::from_json(&document.to_json(), a.work),
            _ => a.refuse("this is more than one YAML document"),
        },
    }
}
