//! What happened, as a hash always and as text where it is wanted.

use std::fmt::{self, Write};

/// FNV-1a over every line.
pub(super) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(with_lines: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: with_lines.then(Vec::new) }
    }

    /// `who` did `what` at `ms`.
    pub(super) fn note(&mut self, ms: u64, who: &str, what: fmt::Arguments<'_>) {
        // Writing into a hash or a string cannot fail.
        let _ = writeln!(self, "{ms} {who} {what}");
        if let Some(lines) = &mut self.lines {
            let (minutes, seconds, rest) = (ms / 60_000, ms / 1000 % 60, ms % 1000);
            lines.push(format!("{minutes:3}:{seconds:02}.{rest:03} {who:<9} {what}"));
        }
    }

    pub(super) fn end(self) -> (u64, Vec<String>) {
        (self.hash, self.lines.unwrap_or_default())
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        Ok(())
    }
}
