//! What an unquoted scalar means, by YAML 1.2's core schema (10.3.2): no `yes`, no sexagesimal numbers.

use serde_json::{Number, Value};

/// Whether the text means nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The boolean that the text means.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The integer that the text means.
pub(super) fn integer(text: &str) -> Option<i128> {
    let digits = |text: &str, radix| {
        // from_str_radix takes a second sign; the schema does not.
        let signed = text.starts_with(['+', '-']);
        (!signed).then(|| i128::from_str_radix(text, radix).ok()).flatten()
    };
    if let Some(hex) = text.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    match text.strip_prefix('-') {
        Some(rest) => digits(rest, 10).map(|n| -n),
        None => digits(text.strip_prefix('+').unwrap_or(text), 10),
    }
}

/// The floating-point number that the text means.
pub(super) fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let shaped = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    shaped.then(|| text.parse().ok()).flatten()
}

/// The value that an unquoted text means.
pub(super) fn resolve(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(flag) = boolean(text) {
        return Value::Bool(flag);
    }
    if let Some(number) = integer(text).and_then(Number::from_i128) {
        return Value::Number(number);
    }
    if let Some(number) = float(text).and_then(Number::from_f64) {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}
