//! Where output goes: how wide it is, and whether it takes colours.

use std::{env, io::IsTerminal};

/// Columns where nothing says how many there are; what a pipe or a file is given, too.
const COLUMNS: usize = 80;
/// Below this nothing can be shown well.
const NARROWEST: usize = 40;

/// How the lines for one stream are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Columns.
    pub(crate) width: usize,
    /// Whether lines have colours.
    pub(crate) colours: bool,
}

impl Form {
    /// For this stream; colours only on a terminal that has them, and where nobody says NO_COLOR (no-color.org).
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        if !stream.is_terminal() {
            return Self { width: COLUMNS, colours: false };
        }
        let says = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let colours = says("NO_COLOR").is_none() && says("TERM").is_none_or(|term| term != "dumb");
        // A terminal that does not know its width says 0.
        let told = comfy_table::Table::new().width().map(usize::from);
        let width = told.filter(|width| *width >= NARROWEST).unwrap_or(COLUMNS);
        Self { width, colours }
    }

    /// `text` in the colour with this number (ECMA-48 SGR), where there are colours.
    pub(crate) fn paint(self, colour: u8, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Added.
pub(crate) const GREEN: u8 = 32;
/// Removed.
pub(crate) const RED: u8 = 31;
/// Changed, or to be looked at.
pub(crate) const YELLOW: u8 = 33;

/// Breaks a text at blanks, and words that are too long for a line anywhere, so that no line has more than `width` characters.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            for letter in word.chars() {
                if line.chars().count() >= width.max(1) {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_are_broken_at_blanks_and_words_where_they_must_be() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a\nb", 80), ["a", "b"]);
        assert_eq!(wrap("", 80), Vec::<String>::new());
    }
}
