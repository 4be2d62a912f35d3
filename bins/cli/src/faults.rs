//! Faults as people read them: what is wrong, the line that it is in, and what was probably meant.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    ops::Range,
};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use bootcode_api::routes::Files;
use bootcode_core::{
    limits::FAULTS,
    yaml::{Fault, Faults},
};

use crate::terminal::{Form, wrap};

/// Faults that are shown with their lines; more push the first ones off the screen and get a line each.
const WITH_SOURCE: usize = 20;
/// Characters that are underlined at most.
const UNDERLINED: usize = 30;
/// `error: ` and `warning: `: what a title's first line begins with.
const PREFIX: usize = 9;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Nothing is done.
    Error,
    /// It is done all the same.
    Warning,
}

/// Every fault; those of the given files with the line that they are in.
pub(crate) fn render(faults: &Faults, files: &Files, weight: Weight, form: Form) -> String {
    let mut text = String::new();
    for (count, fault) in faults.iter().enumerate() {
        let source = files.files.iter().find(|file| file.name == fault.file);
        let line = source.filter(|_| count < WITH_SOURCE).and_then(|file| line(&file.text, fault.line));
        match line {
            Some(line) => {
                let _ = writeln!(text, "{}\n", with_line(fault, line, weight, form));
            }
            None if count < WITH_SOURCE => {
                let _ = writeln!(text, "{}\n", alone(fault, weight, form));
            }
            None => {
                let _ = writeln!(text, "{fault}");
            }
        }
    }
    if faults.len() >= FAULTS {
        let _ = writeln!(text, "only the first {FAULTS} are listed");
    }
    text
}

/// Says on standard error what of these files has no effect.
pub(crate) fn warn(warnings: &[Fault], files: &Files) {
    let text = render(&Faults(warnings.to_vec()), files, Weight::Warning, Form::of(&io::stderr()));
    // Whoever closed that does not want to hear it.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// `1 fault`, `2 faults`.
pub(crate) fn counted(count: usize) -> String {
    match count {
        1 => "1 fault".to_owned(),
        FAULTS.. => format!("{FAULTS} faults or more"),
        _ => format!("{count} faults"),
    }
}

fn with_line(fault: &Fault, line: &str, weight: Weight, form: Form) -> String {
    let title = title(fault, form);
    let mut span = span(line, fault.column);
    // What is longer than the screen is underlined at its beginning, so that the rest can be left out.
    if let Some((most, _)) = line[span.clone()].char_indices().nth(UNDERLINED) {
        span.end = span.start + most;
    }
    let annotation = AnnotationKind::Primary.span(span);
    let snippet =
        Snippet::source(line).line_start(fault.line as usize).path(&fault.file).annotation(annotation);
    let group = level(weight).primary_title(title).element(snippet);
    let group = match &fault.suggestion {
        Some(meant) => group.element(Level::HELP.message(format!("did you mean `{meant}`?"))),
        None => group,
    };
    renderer(form).render(&[group])
}

/// A fault without a line to show.
fn alone(fault: &Fault, weight: Weight, form: Form) -> String {
    let place = Fault { path: String::new(), message: String::new(), suggestion: None, ..fault.clone() };
    let place = place.to_string();
    let mut group = level(weight).primary_title(title(fault, form)).element(
        // The place stands where a snippet has it.
        annotate_snippets::Origin::path(place.trim_end_matches([':', ' ']).to_owned()),
    );
    if let Some(meant) = &fault.suggestion {
        group = group.element(Level::HELP.message(format!("did you mean `{meant}`?")));
    }
    renderer(form).render(&[group])
}

fn title(fault: &Fault, form: Form) -> String {
    let colon = if fault.path.is_empty() { "" } else { ": " };
    wrap(&format!("{}{colon}{}", fault.path, fault.message), form.width.saturating_sub(PREFIX)).join("\n")
}

const fn level(weight: Weight) -> Level<'static> {
    match weight {
        Weight::Error => Level::ERROR,
        Weight::Warning => Level::WARNING,
    }
}

const fn renderer(form: Form) -> Renderer {
    let renderer = if form.colours { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(form.width)
}

/// The line of this number, unless what stands there is nobody's business: what somebody wrote into a Secret by mistake.
fn line(text: &str, number: u32) -> Option<&str> {
    let index = (number as usize).checked_sub(1)?;
    let line = text.lines().nth(index)?;
    let before: Vec<&str> = text.lines().take(index + 1).collect();
    let starts = |line: &&str| line.starts_with("---");
    let after = text.lines().skip(index + 1).take_while(|line| !starts(line));
    let own = before.into_iter().rev().take_while(|line| !starts(line)).chain(after);
    let is_secret = |line: &str| line.contains("kind") && line.contains("Secret");
    (!own.into_iter().any(is_secret)).then_some(line)
}

/// The bytes of the word, text or bracket that begins at a column, which counts characters from 1.
fn span(line: &str, column: u32) -> Range<usize> {
    let skipped = (column as usize).saturating_sub(1);
    let start = line.char_indices().nth(skipped).map_or(line.len(), |(at, _)| at);
    let rest = &line[start..];
    let length = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
        Some('[' | '{') => 1,
        _ => {
            let ends = |at: usize| {
                rest[at..].starts_with([',', ']', '}'])
                    || rest[at..].starts_with(": ")
                    || rest[at..].starts_with(" #")
                    || &rest[at..] == ":"
            };
            rest.char_indices().map(|(at, _)| at).find(|at| ends(*at)).unwrap_or(rest.len())
        }
    };
    start..start + rest[..length].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_underlined_is_the_value_that_is_meant() {
        for (line, column, expected) in [
            ("  - {mac: 52:54:00:00:00:0g, ip: 1}", 11, "52:54:00:00:00:0g"),
            ("cdir: 10.0.0.0/24", 1, "cdir"),
            ("name: 'a, b' # x", 7, "'a, b'"),
            ("name: \"open", 7, "\"open"),
            ("name: äö x  # y", 7, "äö x"),
            ("spec:", 1, "spec"),
            ("a: [1]", 4, "["),
            ("a", 9, ""),
        ] {
            assert_eq!(&line[span(line, column)], expected, "{line}");
        }
    }

    #[test]
    fn what_stands_in_a_secret_is_not_repeated() {
        let text = "kind: Network\nspec: a\n---\nspec: {keys: {a: hunter2}}\nkind: Secret\n---\nspec: b\n";
        assert_eq!(line(text, 2), Some("spec: a"));
        assert_eq!(line(text, 4), None);
        assert_eq!(line(text, 7), Some("spec: b"));
        assert_eq!(line(text, 9), None);
    }
}
