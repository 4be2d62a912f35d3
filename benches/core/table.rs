//! Figures: wanted, measured, met or not.

use std::{fmt, hint::black_box, time::Duration};

/// How a figure is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Below(f64),
    AtLeast(f64),
    /// Told for comparison only.
    Nothing,
}

#[derive(Debug)]
struct Row {
    what: String,
    wanted: Wanted,
    measured: f64,
    unit: &'static str,
}

impl Row {
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::Below(bound) => self.measured < bound,
            Wanted::AtLeast(bound) => self.measured >= bound,
            Wanted::Nothing => true,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds a figure, and says it at once: the whole takes minutes.
    pub(crate) fn note(
        &mut self,
        what: impl Into<String>,
        wanted: Wanted,
        measured: f64,
        unit: &'static str,
    ) {
        let row = Row { what: what.into(), wanted, measured, unit };
        eprintln!("{}: {:.3} {unit}", row.what, row.measured);
        self.0.push(row);
    }

    pub(crate) fn is_met(&self) -> bool {
        self.0.iter().all(Row::is_met)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | wanted | measured | |\n|---|---|---|---|")?;
        for row in &self.0 {
            let wanted = match row.wanted {
                Wanted::Below(bound) => format!("< {bound} {}", row.unit),
                Wanted::AtLeast(bound) => format!(">= {bound} {}", row.unit),
                Wanted::Nothing => String::new(),
            };
            let met = match (row.wanted, row.is_met()) {
                (Wanted::Nothing, _) => "",
                (_, true) => "ok",
                (_, false) => "MISSED",
            };
            let digits = if row.measured >= 100.0 { 0 } else { 2 };
            writeln!(f, "| {} | {wanted} | {:.digits$} {} | {met} |", row.what, row.measured, row.unit)?;
        }
        Ok(())
    }
}

/// The least time that this thread worked for one round of `work`; what others do on its core meanwhile is not in it.
pub(crate) fn least<T>(rounds: u32, mut work: impl FnMut() -> T) -> Duration {
    let round = |_| {
        let start = thread_time();
        black_box(work());
        thread_time() - start
    };
    (0..rounds).map(round).min().unwrap_or_default()
}

/// The time that this thread itself worked.
pub(crate) fn thread_time() -> Duration {
    let now =
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    Duration::from(now)
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(future)
}
