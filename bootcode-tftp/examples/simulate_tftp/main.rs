//! The `Sender` and clients of every habit over bad links, by the thousand: `cargo xtask sim` runs it.
//!
//! `--seeds N --from M` plays N seeds; `--seed N` one, and prints all that happens.

mod client;
mod course;
mod link;

use std::process::ExitCode;

use course::Course;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = value("--seed") {
        return match Course::drawn(seed).play(true) {
            Ok(_) => ExitCode::SUCCESS,
            Err(broken) => failed(seed, &broken),
        };
    }
    let (Some(seeds), from) = (value("--seeds"), value("--from").unwrap_or(0)) else {
        eprintln!("error: say --seeds N, with --from M, or --seed N");
        return ExitCode::FAILURE;
    };
    let (mut blocks, mut resent) = (0, 0);
    for seed in from..from + seeds {
        match Course::drawn(seed).play(false) {
            Ok((sent, again)) => {
                blocks += sent;
                resent += again;
            }
            Err(broken) => return failed(seed, &broken),
        }
    }
    println!("tftp: {seeds} seeds from {from}: {blocks} blocks, {resent} of them sent again, no rule broken");
    ExitCode::SUCCESS
}

fn failed(seed: u64, broken: &str) -> ExitCode {
    eprintln!("tftp: seed {seed}: {broken}\n  cargo xtask sim --of tftp --seed {seed}");
    ExitCode::FAILURE
}
