//! How far something came, for whoever watches a terminal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// No eye reads faster.
const EVERY: Duration = Duration::from_millis(200);

/// One line that is written over and over; nothing where standard error is no terminal.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, shown: None, terminal: io::stderr().is_terminal() }
    }

    /// Shows that `bytes` are done, of `total` where that is known.
    pub(super) fn at(&mut self, bytes: u64, total: Option<u64>) {
        let is_new = self.shown.is_none_or(|shown| shown.elapsed() >= EVERY) || total == Some(bytes);
        if self.terminal && is_new {
            self.shown = Some(Instant::now());
            let _ = write!(io::stderr(), "\r\x1b[Kbootcode: {} {}", self.what, text(bytes, total));
        }
    }
}

impl Drop for Progress {
    /// What is said next begins on a line of its own.
    fn drop(&mut self) {
        if self.terminal && self.shown.is_some() {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

fn text(bytes: u64, total: Option<u64>) -> String {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    match total {
        Some(total) if total > 0 => {
            let percent = u128::from(bytes) * 100 / u128::from(total);
            format!("{} of {} ({percent} %)", mib(bytes), mib(total))
        }
        _ => mib(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn progress_is_told_with_and_without_an_end() {
        assert_eq!(text(3 << 20, None), "3 MiB");
        assert_eq!(text(3 << 20, Some(12 << 20)), "3 MiB of 12 MiB (25 %)");
        assert_eq!(text(u64::MAX, Some(u64::MAX)).split(' ').next_back(), Some("%)"));
        assert_eq!(text(0, Some(0)), "0 MiB");
    }
}
