//! Values as Go's fmt package prints them.

use std::fmt::Write as _;

use super::{
    value::{Of, Value},
    work::{Fail, Work, refuse},
};
use crate::limits::RENDERED_BYTES;

/// A value as `%v` shows it.
pub(super) fn shown(value: &Value, work: &Work) -> Result<String, Fail> {
    let mut out = String::new();
    show(value, work, 0, &mut out)?;
    work.may_make(out.len())?;
    Ok(out)
}

fn show(value: &Value, work: &Work, depth: usize, out: &mut String) -> Result<(), Fail> {
    work.descend(depth)?;
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) | Value::Int64(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Text(text) => {
            work.read(text.len())?;
            out.push_str(text);
        }
        Value::List(list) => {
            out.push('[');
            for (n, item) in list.items.iter().enumerate() {
                if n > 0 {
                    out.push(' ');
                }
                show(item, work, depth + 1, out)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (n, (key, value)) in map.borrow().iter().enumerate() {
                if n > 0 {
                    out.push(' ');
                }
                let _ = write!(out, "{key}:");
                show(value, work, depth + 1, out)?;
            }
            out.push(']');
        }
        Value::Time(time) => {
            out.push_str(&super::layout::format("2006-01-02 15:04:05.999999999 -0700 MST", time)?)
        }
        Value::Version(version) => {
            let _ = write!(out, "{version}");
        }
    }
    if out.len() > RENDERED_BYTES { Err(Fail::PrintsTooMuch) } else { Ok(()) }
}

/// `print`: spaces between neighbours of which neither is a text.
pub(super) fn print(values: &[Value], work: &Work) -> Result<String, Fail> {
    let mut out = String::new();
    for (n, value) in values.iter().enumerate() {
        let spaced = n > 0 && !is_text(value) && !is_text(&values[n - 1]);
        if spaced {
            out.push(' ');
        }
        show(value, work, 0, &mut out)?;
    }
    work.may_make(out.len())?;
    Ok(out)
}

/// `println`: spaces between all, and a new line.
pub(super) fn println(values: &[Value], work: &Work) -> Result<String, Fail> {
    let mut out = String::new();
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        show(value, work, 0, &mut out)?;
    }
    out.push('\n');
    work.may_make(out.len())?;
    Ok(out)
}

/// Sprig's `strval`: a text as it is, anything else as `%v`.
pub(super) fn text_of(value: &Value, work: &Work) -> Result<String, Fail> {
    match value {
        Value::Text(text) => {
            work.read(text.len())?;
            Ok(text.to_string())
        }
        other => shown(other, work),
    }
}

/// Sprig's `strslice`: the texts of a list's items that are not nil; of one value, its text.
pub(super) fn texts_of(value: &Value, work: &Work) -> Result<Vec<String>, Fail> {
    match value {
        Value::List(list) if list.of == Of::Lists => refuse("a list of lists has no texts"),
        Value::List(list) => list
            .items
            .iter()
            .filter(|item| !matches!(item, Value::Nil))
            .map(|item| text_of(item, work))
            .collect(),
        Value::Nil => Ok(Vec::new()),
        other => Ok(vec![text_of(other, work)?]),
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::Text(_))
}

/// `strconv`'s `g` with the shortest precision: `1e+06`, `0.0001`, `+Inf`.
pub(super) fn float(number: f64) -> String {
    general(number, None)
}

/// `%g` with the shortest, or this many significant digits.
pub(super) fn general(number: f64, precision: Option<usize>) -> String {
    if let Some(word) = not_finite(number) {
        return word.to_owned();
    }
    let scientific = match precision {
        None => format!("{number:e}"),
        Some(digits) => format!("{:.*e}", digits.max(1) - 1, number),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let threshold = precision.map_or(6, |wanted| i32::try_from(wanted.max(1)).unwrap_or(i32::MAX));
    if exponent < -4 || exponent >= threshold {
        return format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let decimals = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
    format!("{:.*}", usize::try_from(decimals).unwrap_or(0), number)
}

/// `%e`.
pub(super) fn scientific(number: f64, precision: usize) -> String {
    if let Some(word) = not_finite(number) {
        return word.to_owned();
    }
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%f`.
pub(super) fn fixed(number: f64, precision: usize) -> String {
    not_finite(number).map_or_else(|| format!("{number:.precision$}"), str::to_owned)
}

fn not_finite(number: f64) -> Option<&'static str> {
    match number {
        number if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}
