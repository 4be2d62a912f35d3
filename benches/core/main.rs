//! The speeds that core promises, each measured beside what it is compared with, in one run: `cargo xtask bench core`.
//!
//! Ends with 1 where a wanted figure is missed. Times are the least of several rounds, or a thread's own time where they are long:
//! a machine that others use at the same time makes neither smaller.

mod appends;
mod fleet;
mod table;
mod workflows;

use std::process::ExitCode;

use table::Table;

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(appends::CHILD) {
        appends::child(dir.as_ref());
        return ExitCode::SUCCESS;
    }
    let mut table = Table::default();
    workflows::fold(&mut table);
    workflows::claim(&mut table);
    appends::rate(&mut table);
    appends::syncs(&mut table);
    fleet::parse(&mut table);
    fleet::look_up(&mut table);
    fleet::change(&mut table);
    print!("{table}");
    if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
