//! What an apply would do, as people read it.

use std::fmt::Write as _;

use bootcode_core::{
    document::{FieldChange, Plan},
    yaml,
};
use serde_json::Value;

use crate::{
    arguments::Format,
    error::CliError,
    show::{self, text},
    terminal::{Form, GREEN, RED, YELLOW, wrap},
};

/// Columns before a field's path.
const INDENT: &str = "    ";

/// Prints a plan.
pub(crate) fn show(plan: &Plan, format: Format, form: Form) -> Result<(), CliError> {
    match format {
        Format::Table => show::bytes(render(plan, form).as_bytes()),
        format => {
            let value = serde_json::to_value(plan).map_err(|e| CliError::Form { message: e.to_string() })?;
            show::value(&value, format)
        }
    }
}

fn render(plan: &Plan, form: Form) -> String {
    let mut out = String::new();
    for id in &plan.diff.created {
        let _ = writeln!(out, "{}", form.paint(GREEN, &format!("+ {}/{}", id.kind, id.name)));
    }
    for changed in &plan.diff.changed {
        let name = format!("~ {}/{}", changed.id.kind, changed.id.name);
        let _ = writeln!(out, "{}", form.paint(YELLOW, &name));
        for field in &changed.fields {
            out.push_str(&one(field, form));
        }
    }
    for id in &plan.diff.deleted {
        let _ = writeln!(out, "{}", form.paint(RED, &format!("- {}/{}", id.kind, id.name)));
    }
    for write in &plan.writes {
        for (place, line) in wrap(&write.to_string(), form.width.saturating_sub(2)).iter().enumerate() {
            let indent = if place == 0 { "" } else { "  " };
            let _ = writeln!(out, "{indent}{}", form.paint(RED, line));
        }
    }
    let diff = &plan.diff;
    let counts = [
        (diff.created.len(), "to create"),
        (diff.changed.len(), "to change"),
        (diff.deleted.len(), "to delete"),
        (diff.unchanged.len(), "unchanged"),
    ];
    let counts =
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let _ = writeln!(out, "{}", counts.collect::<Vec<_>>().join(", "));
    out
}

/// One line where both values fit on it, else the lines that differ.
fn one(field: &FieldChange, form: Form) -> String {
    let line = match (&field.from, &field.to) {
        (Some(from), Some(to)) => short(from).zip(short(to)).map(|(from, to)| format!("{from} -> {to}")),
        (Some(gone), None) => short(gone).map(|gone| format!("{gone} -> nothing")),
        (None, Some(new)) => short(new).map(|new| format!("nothing -> {new}")),
        (None, None) => None,
    };
    let line = line.map(|line| format!("{INDENT}{}: {line}", field.path));
    if let Some(line) = line.filter(|line| line.chars().count() <= form.width) {
        return format!("{line}\n");
    }
    let (from, to) = (lines(field.from.as_ref()), lines(field.to.as_ref()));
    let same = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    let left = from.len().min(to.len()) - same;
    let same_end =
        from.iter().rev().zip(to.iter().rev()).take(left).take_while(|(from, to)| from == to).count();
    let mut out = format!("{INDENT}{}:\n", field.path);
    for (sign, colour, lines) in [('-', RED, &from), ('+', GREEN, &to)] {
        for line in &lines[same..lines.len() - same_end] {
            let _ = writeln!(out, "{INDENT}  {}", form.paint(colour, &format!("{sign} {line}")));
        }
    }
    out
}

/// A value that goes on a line: no list or mapping with anything in it, and no text of several lines.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) if !items.is_empty() => None,
        Value::Object(keys) if !keys.is_empty() => None,
        Value::String(text) if text.trim_end().contains('\n') => None,
        Value::String(text) if text.is_empty() || text.trim() != text => Some(format!("{text:?}")),
        value => Some(text(value)),
    }
}

fn lines(value: Option<&Value>) -> Vec<String> {
    let text = match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => yaml::to_string(value).unwrap_or_else(|_| value.to_string()),
    };
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(path: &str, from: Option<Value>, to: Option<Value>) -> String {
        one(&FieldChange { path: path.into(), from, to }, Form { width: 40, colours: false })
    }

    #[test]
    fn a_field_is_a_line_or_the_lines_that_differ() {
        assert_eq!(change("spec.hold", Some(json!("x")), None), "    spec.hold: x -> nothing\n");
        assert_eq!(change("spec.a", None, Some(json!(1))), "    spec.a: nothing -> 1\n");
        assert_eq!(change("a", Some(json!("")), Some(json!("b"))), "    a: \"\" -> b\n");
        assert_eq!(
            change("spec.data", Some(json!("a\nb\nc\nd\n")), Some(json!("a\nB\nd\n"))),
            "    spec.data:\n      - b\n      - c\n      + B\n"
        );
        let long = "x".repeat(30);
        assert_eq!(
            change("spec.image", Some(json!("y")), Some(json!(long))),
            format!("    spec.image:\n      - y\n      + {long}\n")
        );
        assert_eq!(
            change("ntp", Some(json!(["a", "b"])), Some(json!(["a", "b", "c"]))),
            "    ntp:\n      + - c\n"
        );
    }
}
