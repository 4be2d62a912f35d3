//! Go's `printf`: its verbs, flags, widths and precisions, and what it prints where a verb does not fit.

use std::fmt::Write as _;

use super::{
    show::{fixed, float, general, scientific, shown},
    value::Value,
    work::{Fail, Work, refuse},
};

/// Widths and precisions above this are refused: they are of no use but to print a gigabyte.
const MAX_WIDTH: usize = 999;

/// One `%..verb`.
#[derive(Default)]
struct Directive {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `fmt.Sprintf`.
pub(super) fn sprintf(format: &str, values: &[Value], work: &Work) -> Result<String, Fail> {
    work.read(format.len())?;
    let mut out = String::new();
    let mut next = 0;
    let mut reordered = false;
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut directive = Directive::default();
        rest = directive.flags(rest);
        rest = index(rest, &mut next, &mut reordered)?;
        rest = directive.number(rest, false)?;
        if let Some(behind) = rest.strip_prefix('.') {
            directive.precision = Some(0);
            let behind = index(behind, &mut next, &mut reordered)?;
            rest = directive.number(behind, true)?;
        }
        rest = index(rest, &mut next, &mut reordered)?;
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
        } else if let Some(value) = values.get(next) {
            next += 1;
            if matches!(value, Value::List(_) | Value::Map(_)) {
                // Refuses what is nested too deep, or holds itself.
                shown(value, work)?;
            }
            let text = directive.value(verb, value, work)?;
            work.may_make(text.len())?;
            out.push_str(&text);
        } else if next > values.len() || reordered {
            let _ = write!(out, "%!{verb}(BADINDEX)");
        } else {
            let _ = write!(out, "%!{verb}(MISSING)");
        }
        work.may_make(out.len().min(64))?;
        if out.len() > crate::limits::RENDERED_BYTES {
            return Err(Fail::PrintsTooMuch);
        }
    }
    out.push_str(rest);
    if !reordered && next < values.len() {
        out.push_str("%!(EXTRA ");
        for (n, value) in values[next..].iter().enumerate() {
            if n > 0 {
                out.push_str(", ");
            }
            match value {
                Value::Nil => out.push_str("<nil>"),
                value => {
                    let _ = write!(out, "{}={}", value.type_name(), shown(value, work)?);
                }
            }
        }
        out.push(')');
    }
    Ok(out)
}

/// `[n]`: the next value is the nth.
fn index<'a>(rest: &'a str, next: &mut usize, reordered: &mut bool) -> Result<&'a str, Fail> {
    let Some(behind) = rest.strip_prefix('[') else { return Ok(rest) };
    let Some((digits, behind)) = behind.split_once(']') else {
        return refuse("printf: a `[` without `]`");
    };
    *reordered = true;
    match digits.parse::<usize>() {
        Ok(number) if number >= 1 => *next = number - 1,
        _ => return refuse("printf: between `[` and `]` stands the number of a value, from 1"),
    }
    Ok(behind)
}

impl Directive {
    fn flags<'a>(&mut self, rest: &'a str) -> &'a str {
        for (n, c) in rest.char_indices() {
            match c {
                '-' => self.minus = true,
                '+' => self.plus = true,
                '#' => self.sharp = true,
                ' ' => self.space = true,
                '0' => self.zero = true,
                _ => return &rest[n..],
            }
        }
        ""
    }

    fn number<'a>(&mut self, rest: &'a str, precision: bool) -> Result<&'a str, Fail> {
        if rest.starts_with('*') {
            return refuse("printf: a width is written out, not given as a value (`*`)");
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Ok(rest);
        }
        let number = rest[..digits].parse::<usize>().unwrap_or(usize::MAX);
        if number > MAX_WIDTH {
            return refuse(format!("printf: a width of more than {MAX_WIDTH}"));
        }
        *(if precision { &mut self.precision } else { &mut self.width }) = Some(number);
        Ok(&rest[digits..])
    }

    fn value(&self, verb: char, value: &Value, work: &Work) -> Result<String, Fail> {
        match (verb, value) {
            ('T', value) => Ok(self.pad(value.type_name().to_owned(), false)),
            ('v', Value::Nil) => Ok(self.pad("<nil>".to_owned(), false)),
            ('v' | 't', Value::Bool(value)) => Ok(self.pad(value.to_string(), false)),
            (
                'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U',
                Value::Int(number) | Value::Int64(number),
            ) => self.whole(verb, *number),
            ('v' | 'g' | 'G' | 'e' | 'E' | 'f' | 'F', Value::Float(number)) => {
                Ok(self.floating(verb, *number))
            }
            ('v' | 's' | 'q' | 'x' | 'X', Value::Text(text)) => {
                work.read(text.len())?;
                Ok(self.text(verb, text))
            }
            ('v' | 's', Value::Time(_) | Value::Version(_)) => Ok(self.text('s', &shown(value, work)?)),
            ('q', Value::Time(_) | Value::Version(_)) => Ok(self.text('q', &shown(value, work)?)),
            (_, Value::List(list)) => {
                let items = list.items.iter().map(|item| self.inner(verb, item, work));
                Ok(format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(" ")))
            }
            (_, Value::Map(map)) => {
                let entries = map
                    .borrow()
                    .iter()
                    .map(|(key, value)| {
                        let key = self.value(verb, &Value::Text(key.clone()), work)?;
                        Ok(format!("{key}:{}", self.inner(verb, value, work)?))
                    })
                    .collect::<Result<Vec<_>, Fail>>()?;
                Ok(format!("map[{}]", entries.join(" ")))
            }
            (verb, Value::Nil) => Ok(format!("%!{verb}(<nil>)")),
            (verb, value) => {
                let plain = Self { width: self.width, ..Self::default() };
                let shown = plain.value('v', value, work)?;
                Ok(format!("%!{verb}({}={shown})", value.type_name()))
            }
        }
    }

    /// A value in a list or a map: there nil is `<nil>` for every verb.
    fn inner(&self, verb: char, value: &Value, work: &Work) -> Result<String, Fail> {
        match value {
            Value::Nil => Ok(self.pad("<nil>".to_owned(), false)),
            value => {
                let text = self.value(verb, value, work)?;
                work.may_make(text.len())?;
                Ok(text)
            }
        }
    }

    fn whole(&self, verb: char, number: i64) -> Result<String, Fail> {
        let magnitude = number.unsigned_abs();
        let (prefix, digits) = match verb {
            'b' => (if self.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
            'o' => (if self.sharp { "0" } else { "" }, format!("{magnitude:o}")),
            'O' => ("0o", format!("{magnitude:o}")),
            'x' => (if self.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
            'X' => (if self.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
            'c' | 'q' | 'U' => return Ok(self.rune(verb, number)),
            _ => ("", magnitude.to_string()),
        };
        let sign = match (number < 0, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let digits = match self.precision {
            Some(0) if number == 0 => String::new(),
            Some(precision) => format!("{digits:0>precision$}"),
            None if self.zero && !self.minus => {
                // Go fills the width with zeros between the sign and the digits; a prefix comes on top.
                let width = self.width.unwrap_or(0).saturating_sub(sign.len());
                format!("{digits:0>width$}")
            }
            None => digits,
        };
        Ok(self.pad(format!("{sign}{prefix}{digits}"), false))
    }

    fn rune(&self, verb: char, number: i64) -> String {
        let rune = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        let text = match verb {
            'c' => rune.to_string(),
            'q' => quoted_rune(rune),
            _ => format!("U+{number:04X}"),
        };
        self.pad(text, false)
    }

    fn floating(&self, verb: char, number: f64) -> String {
        let mut text = match verb {
            'e' | 'E' => scientific(number, self.precision.unwrap_or(6)),
            'f' | 'F' => fixed(number, self.precision.unwrap_or(6)),
            _ if self.precision.is_none() => float(number),
            _ => general(number, self.precision),
        };
        if matches!(verb, 'E' | 'G') {
            text = text.to_uppercase();
        }
        if !text.starts_with(['-', '+']) && (self.plus || self.space) {
            text.insert(0, if self.plus { '+' } else { ' ' });
        }
        if text.starts_with('+') && !self.plus {
            // `+Inf` without a plus flag keeps its sign, as in Go.
            return self.pad(text, false);
        }
        self.pad(text, number.is_finite())
    }

    fn text(&self, verb: char, text: &str) -> String {
        let cut: String = match (verb, self.precision) {
            ('x' | 'X', Some(bytes)) => {
                return self.pad(hexadecimal(&text.as_bytes()[..bytes.min(text.len())], verb, self), false);
            }
            (_, Some(characters)) => text.chars().take(characters).collect(),
            _ => text.to_owned(),
        };
        let made = match verb {
            'q' if self.sharp
                && !cut.contains(['`', '\u{feff}'])
                && !cut.chars().any(|c| c.is_control() && c != '\t') =>
            {
                format!("`{cut}`")
            }
            'q' => quoted(&cut),
            'x' | 'X' => hexadecimal(cut.as_bytes(), verb, self),
            _ => cut,
        };
        self.pad(made, true)
    }

    /// To the width: spaces, or zeros behind a sign.
    fn pad(&self, text: String, zeros: bool) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if missing == 0 {
            text
        } else if self.minus {
            text + &" ".repeat(missing)
        } else if self.zero && zeros {
            match text.strip_prefix(['-', '+']) {
                Some(digits) => format!("{}{}{digits}", &text[..1], "0".repeat(missing)),
                None => "0".repeat(missing) + &text,
            }
        } else {
            " ".repeat(missing) + &text
        }
    }
}

fn hexadecimal(bytes: &[u8], verb: char, directive: &Directive) -> String {
    let mut out = String::new();
    let prefix = if !directive.sharp {
        ""
    } else if verb == 'x' {
        "0x"
    } else {
        "0X"
    };
    for (n, byte) in bytes.iter().enumerate() {
        if n > 0 && directive.space {
            out.push(' ');
        }
        if n == 0 || directive.space {
            out.push_str(prefix);
        }
        let _ = if verb == 'x' { write!(out, "{byte:02x}") } else { write!(out, "{byte:02X}") };
    }
    out
}

/// `strconv.Quote`.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        escape(c, '"', &mut out);
    }
    out.push('"');
    out
}

fn quoted_rune(rune: char) -> String {
    let mut out = "'".to_owned();
    escape(rune, '\'', &mut out);
    out.push('\'');
    out
}

fn escape(c: char, quote: char, out: &mut String) {
    let _ = match c {
        c if c == quote || c == '\\' => write!(out, "\\{c}"),
        '\u{7}' => write!(out, "\\a"),
        '\u{8}' => write!(out, "\\b"),
        '\u{c}' => write!(out, "\\f"),
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        '\u{b}' => write!(out, "\\v"),
        c if printable(c) => write!(out, "{c}"),
        c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(out, "\\x{:02x}", c as u32),
        c if c as u32 > 0xffff => write!(out, "\\U{:08x}", c as u32),
        c => write!(out, "\\u{:04x}", c as u32),
    };
}

/// Go prints letters, marks, numbers, punctuation and symbols, and of the spaces only U+0020. The standard library's own escaping knows
/// which code points are printable.
fn printable(c: char) -> bool {
    // Behind a letter, a combining mark is not escaped.
    let behind: String = ['x', c].into_iter().collect();
    c == ' ' || (!c.is_whitespace() && (matches!(c, '\'' | '"') || behind.escape_debug().count() == 2))
}
