//! The actions of a template, as far as their first words tell.

use super::{RenderError, lint::syntax};

/// `{{ word second .. }}`.
pub(super) struct Action<'a> {
    /// Where the first word stands, in bytes.
    pub(super) offset: usize,
    pub(super) word: &'a str,
    pub(super) second: &'a str,
}

/// Every action, without comments.
pub(super) fn actions(source: &str) -> Result<Vec<Action<'_>>, RenderError> {
    let mut actions = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find("{{").map(|n| at + n) {
        let mut inner = open + 2;
        // A trim marker is a hyphen with white space behind it; a hyphen alone begins a number.
        if source[inner..].strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_whitespace)) {
            inner += 1;
        }
        let trimmed = source[inner..].trim_start();
        let start = source.len() - trimmed.len();
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
