//! Regular expressions in Go's syntax (RE2), carried out in linear time and bounded in size.

use regex::{Regex, RegexBuilder};

use super::{Arguments, Function, Made, function};
use crate::{
    limits::{TEMPLATE_REGEX_BYTES, TEMPLATE_REGEX_PROGRAM_BYTES},
    template::{
        value::Value,
        work::{Fail, refuse},
    },
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("regexMatch REGEX TEXT", is_match),
    function("mustRegexMatch REGEX TEXT", is_match),
    function("regexFind REGEX TEXT", find),
    function("mustRegexFind REGEX TEXT", find),
    function("regexFindAll REGEX TEXT COUNT", find_all),
    function("mustRegexFindAll REGEX TEXT COUNT", find_all),
    function("regexReplaceAll REGEX TEXT NEW", |a| replace(a, false)),
    function("mustRegexReplaceAll REGEX TEXT NEW", |a| replace(a, false)),
    function("regexReplaceAllLiteral REGEX TEXT NEW", |a| replace(a, true)),
    function("mustRegexReplaceAllLiteral REGEX TEXT NEW", |a| replace(a, true)),
    function("regexSplit REGEX TEXT COUNT", split),
    function("mustRegexSplit REGEX TEXT COUNT", split),
    function("regexQuoteMeta TEXT", |a| {
        let mut out = String::new();
        for c in a.text(0)?.chars() {
            if r"\.+*?()|[]{}^$".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        a.make(out)
    }),
];

/// Steps that one expression costs to be made; it takes longer than most of what a template does.
const COMPILATION_STEPS: usize = 2_000;

fn expression(a: &Arguments<'_>) -> Result<Regex, Fail> {
    let (pattern, text) = (a.text(0)?, a.text(1)?);
    if pattern.len() > TEMPLATE_REGEX_BYTES {
        return a.refuse(&format!("an expression has at most {TEMPLATE_REGEX_BYTES} bytes"));
    }
    a.work.step(COMPILATION_STEPS)?;
    let made = RegexBuilder::new(&translated(pattern))
        .size_limit(TEMPLATE_REGEX_PROGRAM_BYTES)
        .dfa_size_limit(TEMPLATE_REGEX_PROGRAM_BYTES)
        .nest_limit(50)
        .build();
    // Each character may cost as much as the expression is long.
    a.work.step(text.len().saturating_mul(1 + pattern.len()) / 64)?;
    made.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Fail::Says(format!("`{}`: the expression is too large", a.name)),
        _ => Fail::Says(format!("`{}`: the expression is not well-formed", a.name)),
    })
}

/// Go's syntax in ours: `\d`, `\w`, `\s` and `\b` mean ASCII, `\Q..\E` is literal, and `[`, `&` and `~` mean nothing in brackets.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut brackets = false;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let Some(escaped) = rest.chars().next() else {
                    out.push('\\');
                    break;
                };
                rest = &rest[escaped.len_utf8()..];
                match (escaped, brackets) {
                    ('Q', _) => {
                        let (literal, behind) = rest.split_once("\\E").unwrap_or((rest, ""));
                        out.push_str(&regex::escape(literal));
                        rest = behind;
                    }
                    ('d', false) => out.push_str("[0-9]"),
                    ('d', true) => out.push_str("0-9"),
                    ('D', _) => out.push_str("[^0-9]"),
                    ('w', false) => out.push_str("[0-9A-Za-z_]"),
                    ('w', true) => out.push_str("0-9A-Za-z_"),
                    ('W', _) => out.push_str("[^0-9A-Za-z_]"),
                    ('s', false) => out.push_str("[\\t\\n\\f\\r ]"),
                    ('s', true) => out.push_str("\\t\\n\\f\\r "),
                    ('S', _) => out.push_str("[^\\t\\n\\f\\r ]"),
                    ('b', false) => out.push_str("(?-u:\\b)"),
                    ('B', false) => out.push_str("(?-u:\\B)"),
                    _ => {
                        out.push('\\');
                        out.push(escaped);
                    }
                }
            }
            '[' if !brackets => {
                brackets = true;
                out.push('[');
                for sign in ['^', ']'] {
                    if rest.starts_with(sign) {
                        out.push_str(if sign == ']' { "\\]" } else { "^" });
                        rest = &rest[1..];
                    }
                }
            }
            '[' if rest.starts_with(':') && rest.contains(":]") => {
                let end = rest.find(":]").map_or(rest.len(), |n| n + 2);
                out.push('[');
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '[' | '&' | '~' if brackets => {
                out.push('\\');
                out.push(c);
            }
            ']' if brackets => {
                brackets = false;
                out.push(']');
            }
            c => out.push(c),
        }
    }
    out
}

fn is_match(a: &Arguments<'_>) -> Made {
    Ok(Value::Bool(expression(a)?.is_match(a.text(1)?)))
}

fn find(a: &Arguments<'_>) -> Made {
    a.make(expression(a)?.find(a.text(1)?).map_or("", |found| found.as_str()))
}

/// At most COUNT, below 0 all.
fn find_all(a: &Arguments<'_>) -> Made {
    let count = usize::try_from(a.whole(2)?).unwrap_or(usize::MAX);
    let expression = expression(a)?;
    let mut found = Vec::new();
    for one in expression.find_iter(a.text(1)?).take(count) {
        a.work.step(1)?;
        found.push(one.as_str());
    }
    a.work.texts(found)
}

fn replace(a: &Arguments<'_>, literal: bool) -> Made {
    let expression = expression(a)?;
    let (text, new) = (a.text(1)?, a.text(2)?);
    let mut out = String::new();
    let mut last = 0;
    for captures in expression.captures_iter(text) {
        a.work.step(1 + new.len() / 16)?;
        let Some(whole) = captures.get(0) else { return refuse("a match is no match") };
        out.push_str(&text[last..whole.start()]);
        if literal {
            out.push_str(new);
        } else {
            captures.expand(new, &mut out);
        }
        if out.len() > crate::limits::RENDERED_BYTES {
            return Err(Fail::PrintsTooMuch);
        }
        last = whole.end();
    }
    out.push_str(&text[last..]);
    a.make(out)
}

/// Into at most COUNT parts, below 0 all; as Go's `Regexp.Split`.
fn split(a: &Arguments<'_>) -> Made {
    let (text, count) = (a.text(1)?, a.whole(2)?);
    let expression = expression(a)?;
    let Ok(count) = usize::try_from(if count < 0 { i64::MAX } else { count }) else {
        return a.refuse("COUNT is no count");
    };
    if count == 0 {
        return a.work.texts(Vec::<&str>::new());
    }
    if !a.text(0)?.is_empty() && text.is_empty() {
        return a.work.texts([""]);
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for one in expression.find_iter(text) {
        a.work.step(1)?;
        if parts.len() + 1 == count {
            break;
        }
        end = one.start();
        if one.end() != 0 {
            parts.push(&text[begin..end]);
        }
        begin = one.end();
    }
    if end != text.len() {
        parts.push(&text[begin..]);
    }
    a.work.texts(parts)
}
