//! The actions of a template, as far as their first words tell.

use super::{RenderError, lint::syntax};

/// `{{ word second .. }}`.
pub(super) struct Action<'a> {
    /// Where the first word stands, in bytes.
    pub(super) offset: usize,
    pub(super) word: &'a str,
    pub(super) second: &'a str,
}

/// The source with each comment made an empty text of the same length and lines: the engine trims white space behind a comment where only
/// the white space in front of it should go.
pub(super) fn without_comments(source: &str) -> String {
    let mut plain = String::with_capacity(source.len());
    let mut at = 0;
    while let Some(open) = source[at..].find("{{").map(|n| at + n) {
        let start = first(source, open);
        let end = match source[start..].strip_prefix("/*").and_then(|rest| rest.find("*/")) {
            Some(length) => start + length + 4,
            None => {
                let end = close(source, open, start).unwrap_or(source.len());
                plain.push_str(&source[at..end]);
                at = end;
                continue;
            }
        };
        plain.push_str(&source[at..start]);
        plain.push_str("\"\"");
        plain.extend(source[start + 2..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        at = end;
    }
    plain.push_str(&source[at..]);
    plain
}

/// Every action, without comments.
pub(super) fn actions(source: &str) -> Result<Vec<Action<'_>>, RenderError> {
    let mut actions = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find("{{").map(|n| at + n) {
        let start = first(source, open);
        let trimmed = &source[start..];
        if trimmed.starts_with("/*") {
            let end = source[start..].find("*/");
            let end = end.ok_or_else(|| syntax(source, start, "this comment has no end: `*/`".to_owned()))?;
            at = start + end + 2;
            continue;
        }
        let word = first_word(trimmed);
        let second = first_word(trimmed[word.len()..].trim_start());
        actions.push(Action { offset: start, word, second });
        at = close(source, open, start)?;
    }
    Ok(actions)
}

/// Where the first word behind the braces at `open` stands.
fn first(source: &str, open: usize) -> usize {
    let inner = &source[open + 2..];
    // A trim marker is a hyphen with white space behind it; a hyphen alone begins a number.
    let trims = inner.strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_whitespace));
    source.len() - inner[usize::from(trims)..].trim_start().len()
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// Behind the action's braces, whatever its texts hold.
fn close(source: &str, open: usize, start: usize) -> Result<usize, RenderError> {
    let mut rest = source[start..].char_indices();
    while let Some((n, c)) = rest.next() {
        match c {
            '}' if source[start + n..].starts_with("}}") => return Ok(start + n + 2),
            '"' | '\'' | '`' => loop {
                match rest.next() {
                    Some((_, '\\')) if c != '`' => {
                        rest.next();
                    }
                    Some((_, end)) if end == c => break,
                    Some((_, '\n')) if c != '`' => {
                        return Err(syntax(source, start + n, "this text has no end on its line".to_owned()));
                    }
                    Some(_) => {}
                    None => return Err(syntax(source, start + n, "this text has no end".to_owned())),
                }
            },
            _ => {}
        }
    }
    Err(syntax(source, open, "these braces have no `}}`".to_owned()))
}
