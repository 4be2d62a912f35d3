//! Lines of a width.

use super::{Arguments, Function, Made, function};

pub(super) const FUNCTIONS: &[Function] = &[
    function("wrap WIDTH TEXT", |a| wrap(a, a.whole(0)?, "\n", a.text(1)?, false)),
    function("wrapWith WIDTH SEPARATOR TEXT", |a| {
        let separator = a.text(1)?;
        wrap(a, a.whole(0)?, if separator.is_empty() { "\n" } else { separator }, a.text(2)?, true)
    }),
];

/// goutils' wrapping: at spaces, which are taken away; `long` says whether a word longer than a line is broken. Widths count bytes.
fn wrap(a: &Arguments<'_>, width: i64, separator: &str, text: &str, long: bool) -> Made {
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::new();
    let mut offset = 0;
    while bytes.len() - offset > width {
        a.work.step(1)?;
        a.work.may_make(separator.len())?;
        if bytes[offset] == b' ' {
            offset += 1;
            continue;
        }
        let end = width + offset;
        if let Some(space) = bytes[offset..=end].iter().rposition(|byte| *byte == b' ') {
            out.extend_from_slice(&bytes[offset..offset + space]);
            out.extend_from_slice(separator.as_bytes());
            offset += space + 1;
        } else if long {
            out.extend_from_slice(&bytes[offset..end]);
            out.extend_from_slice(separator.as_bytes());
            offset = end;
        } else if let Some(space) = bytes[end..].iter().position(|byte| *byte == b' ') {
            out.extend_from_slice(&bytes[offset..end + space]);
            out.extend_from_slice(separator.as_bytes());
            offset = end + space + 1;
        } else {
            out.extend_from_slice(&bytes[offset..]);
            offset = bytes.len();
        }
    }
    out.extend_from_slice(&bytes[offset..]);
    match String::from_utf8(out) {
        Ok(text) => a.make(text),
        Err(_) => a.refuse("this cuts a character in two; it counts bytes, as Go does"),
    }
}
