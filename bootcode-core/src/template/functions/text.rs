//! Texts.

use super::{Arguments, Function, Made, function};
use crate::template::{
    printf::quoted,
    show::{shown, text_of, texts_of},
    value::Value,
    work::Fail,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("trim TEXT", |a| a.make(a.text(0)?.trim())),
    function("trimAll CHARACTERS TEXT", trim_all),
    function("trimall CHARACTERS TEXT", trim_all),
    function("trimPrefix PREFIX TEXT", |a| {
        let (prefix, text) = (a.text(0)?, a.text(1)?);
        a.make(text.strip_prefix(prefix).unwrap_or(text))
    }),
    function("trimSuffix SUFFIX TEXT", |a| {
        let (suffix, text) = (a.text(0)?, a.text(1)?);
        a.make(text.strip_suffix(suffix).unwrap_or(text))
    }),
    function("contains PART TEXT", |a| Ok(Value::Bool(a.text(1)?.contains(a.text(0)?)))),
    function("hasPrefix PREFIX TEXT", |a| Ok(Value::Bool(a.text(1)?.starts_with(a.text(0)?)))),
    function("hasSuffix SUFFIX TEXT", |a| Ok(Value::Bool(a.text(1)?.ends_with(a.text(0)?)))),
    function("replace OLD NEW TEXT", replace),
    function("repeat COUNT TEXT", repeat),
    function("substr START END TEXT", substr),
    function("trunc COUNT TEXT", trunc),
    function("abbrev WIDTH TEXT", |a| {
        let (width, text) = (a.whole(0)?, a.text(1)?);
        if width < 4 { a.make(text) } else { a.make(abbreviated(a, text, 0, width)?) }
    }),
    function("abbrevboth LEFT RIGHT TEXT", |a| {
        let (left, right, text) = (a.whole(0)?, a.whole(1)?, a.text(2)?);
        if right < 4 || (left > 0 && right < 7) {
            a.make(text)
        } else {
            a.make(abbreviated(a, text, left, right)?)
        }
    }),
    function("nospace TEXT", |a| {
        a.make(a.text(0)?.chars().filter(|c| !c.is_whitespace()).collect::<String>())
    }),
    function("quote VALUE..", |a| joined(a, |value| Ok(quoted(&text_of(value, a.work)?)))),
    function("squote VALUE..", |a| joined(a, |value| Ok(format!("'{}'", shown(value, a.work)?)))),
    function("cat VALUE..", |a| joined(a, |value| shown(value, a.work))),
    function("indent SPACES TEXT", |a| a.make(indented(a)?)),
    function("nindent SPACES TEXT", |a| a.make(format!("\n{}", indented(a)?))),
    function("plural ONE MANY COUNT", |a| a.make(if a.whole(2)? == 1 { a.text(0)? } else { a.text(1)? })),
    function("toString VALUE", |a| a.make(a.text_of(0)?)),
    function("toStrings LIST", |a| a.work.texts(texts_of(a.value(0), a.work)?)),
    function("join SEPARATOR LIST", |a| {
        let separator = a.text(0)?;
        let texts = texts_of(a.value(1), a.work)?;
        let length: usize = texts.iter().map(|text| text.len() + separator.len()).sum();
        a.work.may_make(length.saturating_sub(separator.len()))?;
        a.make(texts.join(separator))
    }),
    function("sortAlpha LIST", |a| {
        let mut texts = texts_of(a.value(0), a.work)?;
        a.work.step(texts.len().saturating_mul(16))?;
        texts.sort_unstable();
        a.work.texts(texts)
    }),
    function("split SEPARATOR TEXT", |a| numbered(a, parts(a.text(0)?, a.text(1)?, None))),
    function("splitn SEPARATOR COUNT TEXT", |a| {
        let count = a.whole(1)?;
        let parts = match usize::try_from(count) {
            Ok(0) => Vec::new(),
            Ok(count) => parts(a.text(0)?, a.text(2)?, Some(count)),
            Err(_) => parts(a.text(0)?, a.text(2)?, None),
        };
        numbered(a, parts)
    }),
    function("splitList SEPARATOR TEXT", |a| a.work.texts(parts(a.text(0)?, a.text(1)?, None))),
];

fn trim_all(a: &Arguments<'_>) -> Made {
    let (cut, text) = (a.text(0)?, a.text(1)?);
    a.work.step(cut.len().saturating_mul(text.len()) / 64)?;
    a.make(text.trim_matches(|c| cut.contains(c)))
}

fn replace(a: &Arguments<'_>) -> Made {
    let (old, new, text) = (a.text(0)?, a.text(1)?, a.text(2)?);
    let times = text.matches(old).count();
    a.work.may_make(times.saturating_mul(new.len()).saturating_add(text.len() - times * old.len()))?;
    a.make(text.replace(old, new))
}

fn repeat(a: &Arguments<'_>) -> Made {
    let (Ok(count), text) = (usize::try_from(a.whole(0)?), a.text(1)?) else {
        return a.refuse("a count is not negative");
    };
    a.work.may_make(count.saturating_mul(text.len()))?;
    a.make(text.repeat(if text.is_empty() { 0 } else { count }))
}

/// Bytes, as Sprig counts them; END below 0 or behind the end is the end.
fn substr(a: &Arguments<'_>) -> Made {
    let (start, end, text) = (a.whole(0)?, a.whole(1)?, a.text(2)?);
    let (from, to) = match (usize::try_from(start), usize::try_from(end)) {
        (Err(_), Ok(end)) => (0, end),
        (Ok(start), Ok(end)) if end <= text.len() => (start, end),
        (Ok(start), _) => (start, text.len()),
        (Err(_), Err(_)) => return a.refuse("START and END are both below 0"),
    };
    a.make(cut(a, text, from, to)?)
}

fn trunc(a: &Arguments<'_>) -> Made {
    let (count, text) = (a.whole(0)?, a.text(1)?);
    let bytes = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match count {
        _ if bytes >= text.len() => a.make(text),
        0.. => a.make(cut(a, text, 0, bytes)?),
        _ => a.make(cut(a, text, text.len() - bytes, text.len())?),
    }
}

/// These bytes, which must be whole characters.
fn cut<'a>(a: &Arguments<'_>, text: &'a str, from: usize, to: usize) -> Result<&'a str, Fail> {
    match text.get(from..to) {
        Some(part) => Ok(part),
        None if to > text.len() || from > to => a.refuse("this reaches behind the text's end"),
        None => a.refuse("this cuts a character in two; it counts bytes, as Go does"),
    }
}

/// goutils' abbreviation: three dots stand for what is left out, in front too where `offset` says so.
fn abbreviated(a: &Arguments<'_>, text: &str, offset: i64, width: i64) -> Result<String, Fail> {
    let place = |n: i64| usize::try_from(n).unwrap_or(0);
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if length <= width {
        return Ok(text.to_owned());
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return Ok(format!("{}...", cut(a, text, 0, place(width - 3))?));
    }
    if offset + width - 3 < length {
        let rest = cut(a, text, place(offset), text.len())?;
        return Ok(format!("...{}", abbreviated(a, rest, 0, width - 3)?));
    }
    Ok(format!("...{}", cut(a, text, place(length - (width - 3)), text.len())?))
}

/// All values but nil, with spaces between.
fn joined(a: &Arguments<'_>, write: impl Fn(&Value) -> Result<String, Fail>) -> Made {
    let values = a.from(0).iter().filter(|value| !matches!(value, Value::Nil));
    a.make(values.map(write).collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn indented(a: &Arguments<'_>) -> Result<String, Fail> {
    let (Ok(spaces), text) = (usize::try_from(a.whole(0)?), a.text(1)?) else {
        return a.refuse("a count of spaces is not negative");
    };
    let lines = text.matches('\n').count() + 1;
    a.work.may_make(lines.saturating_mul(spaces).saturating_add(text.len()))?;
    let pad = " ".repeat(spaces);
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}

/// Go's `strings.SplitN`; an empty separator splits after each character.
fn parts<'a>(separator: &str, text: &'a str, count: Option<usize>) -> Vec<&'a str> {
    if separator.is_empty() {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if count.is_some_and(|count| parts.len() + 1 == count) {
                parts.push(rest);
                return parts;
            }
            let (first, behind) = rest.split_at(c.len_utf8());
            parts.push(first);
            rest = behind;
        }
        return parts;
    }
    match count {
        Some(count) => text.splitn(count, separator).collect(),
        None => text.split(separator).collect(),
    }
}

/// `_0`, `_1` ..
fn numbered(a: &Arguments<'_>, parts: Vec<&str>) -> Made {
    let entries = parts.into_iter().enumerate().map(|(n, part)| Ok((format!("_{n}").into(), a.make(part)?)));
    a.work.map(entries.collect::<Result<_, Fail>>()?)
}
