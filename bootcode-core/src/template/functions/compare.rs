//! Go's comparisons, and `and`, `or`, `not`.

use std::cmp::Ordering;

use super::{Arguments, Function, function};
use crate::template::{
    value::Value,
    work::{Fail, refuse},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("eq VALUE VALUE..", |a| {
        if a.values.len() < 2 {
            return a.refuse("there is nothing to compare with");
        }
        for other in a.from(1) {
            if equal(a, a.value(0), other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    function("ne VALUE VALUE", |a| Ok(Value::Bool(!equal(a, a.value(0), a.value(1))?))),
    function("lt VALUE VALUE", |a| Ok(Value::Bool(order(a)? == Some(Ordering::Less)))),
    function("le VALUE VALUE", |a| {
        Ok(Value::Bool(matches!(order(a)?, Some(Ordering::Less | Ordering::Equal))))
    }),
    function("gt VALUE VALUE", |a| Ok(Value::Bool(order(a)? == Some(Ordering::Greater)))),
    function("ge VALUE VALUE", |a| {
        Ok(Value::Bool(matches!(order(a)?, Some(Ordering::Greater | Ordering::Equal))))
    }),
    // What decides has been decided before the call; the last value is left.
    function("and VALUE VALUE..", |a| Ok(a.values.last().cloned().unwrap_or(Value::Nil))),
    function("or VALUE VALUE..", |a| Ok(a.values.last().cloned().unwrap_or(Value::Nil))),
    function("not VALUE", |a| Ok(Value::Bool(!a.value(0).is_true()))),
];

fn equal(a: &Arguments<'_>, one: &Value, other: &Value) -> Result<bool, Fail> {
    for value in [one, other] {
        if matches!(value, Value::List(_) | Value::Map(_)) {
            return refuse(format!("`{}`: {} cannot be compared", a.name, value.noun()));
        }
    }
    match (one, other) {
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        (Value::Text(one), Value::Text(other)) => {
            a.work.read(one.len())?;
            Ok(one == other)
        }
        (Value::Time(one), Value::Time(other)) => Ok(one == other),
        (Value::Version(one), Value::Version(other)) => Ok(one == other),
        _ => match (one.whole(), other.whole()) {
            (Some(one), Some(other)) => Ok(one == other),
            _ => differ(a, one, other),
        },
    }
}

fn order(a: &Arguments<'_>) -> Result<Option<Ordering>, Fail> {
    match (a.value(0), a.value(1)) {
        (Value::Float(one), Value::Float(other)) => Ok(one.partial_cmp(other)),
        (Value::Text(one), Value::Text(other)) => {
            a.work.read(one.len())?;
            Ok(Some(one.cmp(other)))
        }
        (one, other) => match (one.whole(), other.whole()) {
            (Some(one), Some(other)) => Ok(Some(one.cmp(&other))),
            _ => differ(a, one, other),
        },
    }
}

fn differ<T>(a: &Arguments<'_>, one: &Value, other: &Value) -> Result<T, Fail> {
    refuse(format!("`{}`: {} and {} cannot be compared", a.name, one.noun(), other.noun()))
}
