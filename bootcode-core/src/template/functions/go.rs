//! Go's own functions.

use super::{Arguments, Function, Made, function};
use crate::template::{
    printf::sprintf,
    show::{print, println},
    value::Value,
    work::{Fail, refuse},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("print VALUE..", |a| a.counted(print(a.from(0), a.work)?)),
    function("printf FORMAT VALUE..", |a| a.make(sprintf(a.text(0)?, a.from(1), a.work)?)),
    function("println VALUE..", |a| a.counted(println(a.from(0), a.work)?)),
    function("len VALUE", len),
    function("index VALUE KEY..", index),
    function("html VALUE..", |a| escaped(a, gotmpl::html_escape)),
    function("js VALUE..", |a| escaped(a, gotmpl::js_escape)),
    function("urlquery VALUE..", |a| escaped(a, gotmpl::url_encode)),
    function("call FUNCTION VALUE..", |a| a.refuse("no value here is a function")),
];

fn len(a: &Arguments<'_>) -> Made {
    let length = match a.value(0) {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.borrow().len(),
        other => return refuse(format!("`len`: {} has no length", other.noun())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// Into lists by number, into maps by key, into texts for a byte; a key that is not there gives nil, as in Go.
fn index(a: &Arguments<'_>) -> Made {
    let mut value = a.value(0).clone();
    for key in a.from(1) {
        a.work.step(1)?;
        let next = match (&value, key) {
            (Value::List(list), key) => list.items[place(key, list.items.len())?].clone(),
            (Value::Text(text), key) => {
                let byte = text.as_bytes()[place(key, text.len())?];
                Value::Int(byte.into())
            }
            (Value::Map(map), Value::Text(key)) => map.borrow().get(&**key).cloned().unwrap_or(Value::Nil),
            (Value::Map(_), other) => {
                return refuse(format!("`index`: a key is a text, not {}", other.noun()));
            }
            (Value::Nil, _) => return a.refuse("nothing (nil) has nothing in it"),
            (other, _) => return refuse(format!("`index`: {} has nothing in it", other.noun())),
        };
        value = next;
    }
    Ok(value)
}

fn place(key: &Value, length: usize) -> Result<usize, Fail> {
    let Some(number) = key.whole() else {
        return refuse(format!("`index`: a place is a whole number, not {}", key.noun()));
    };
    match usize::try_from(number) {
        Ok(place) if place < length => Ok(place),
        _ => refuse(format!("`index`: this place is behind the end; there are {length}")),
    }
}

fn escaped<T: ToString>(a: &Arguments<'_>, escape: fn(&str) -> T) -> Made {
    let text = match a.from(0) {
        [Value::Text(text)] => text.to_string(),
        values => print(values, a.work)?,
    };
    // No character becomes longer than this.
    a.work.read(text.len() * 9)?;
    a.make(escape(&text).to_string())
}
