//! The speeds that core promises, each measured beside what it is compared with, in one run: `cargo xtask bench core`.
//! `cargo bench -p bootcode-benches --bench core -- look-up` measures one part.
//!
//! Ends with 1 where a wanted figure is missed. Times are the least of several rounds, or a thread's own time where they are long:
//! a machine that others use at the same time makes neither smaller.

mod appends;
mod fleet;
mod profile;
mod table;
mod workflows;

use std::process::ExitCode;

use table::Table;

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(appends::CHILD) {
        appends::child(dir.as_ref());
        return ExitCode::SUCCESS;
    }
    type Part = (&'static str, fn(&mut Table));
    let parts: [Part; 8] = [
        ("fold", workflows::fold),
        ("claim", workflows::claim),
        ("appends", appends::rate),
        ("fsyncs", appends::syncs),
        ("parse", fleet::parse),
        ("look-up", fleet::look_up),
        ("change", fleet::change),
        ("profile", profile::change),
    ];
    // `cargo bench` adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| parts.iter().all(|(part, _)| part != name)) {
        eprintln!("no part `{unknown}`; there are {}", parts.map(|(part, _)| part).join(", "));
        return ExitCode::from(64);
    }
    let mut table = Table::default();
    for (name, measure) in parts {
        if named.is_empty() || named.iter().any(|part| part == name) {
            measure(&mut table);
        }
    }
    print!("{table}");
    if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
