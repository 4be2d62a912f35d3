//! One program, many names: `disk-wipe` and the others are links to it or its first argument.

use std::{path::Path, process::ExitCode};

use bootcode_actions::{Environment, Program, programs};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a process that a SIGTERM ended, as a shell gives it.
const TERMINATED: u8 = 128 + 15;
/// `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let Some(program) = chosen(std::env::args()) else {
        eprintln!("which action? Name one of: {}", Program::ALL.map(|program| program.name()).join(", "));
        return ExitCode::from(USAGE);
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("{}: cannot start: {fault}", program.name());
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(program));
    // A thread that still writes to a slow disk must not hold the process.
    runtime.shutdown_background();
    code
}

async fn run(program: Program) -> ExitCode {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(fault) => {
            eprintln!("{}: cannot listen for SIGTERM: {fault}", program.name());
            return ExitCode::FAILURE;
        }
    };
    let work = async {
        let environment = Environment::read(|name| std::env::var(name).ok())?;
        programs::run(program, &environment).await
    };
    tokio::select! {
        result = work => match result {
            Ok(done) => {
                println!("{}: {done}", program.name());
                ExitCode::SUCCESS
            }
            Err(fault) => {
                eprintln!("{}: {}", program.name(), fault.in_one_line());
                ExitCode::FAILURE
            }
        },
        _ = terminate.recv() => {
            programs::abandon();
            eprintln!("{}: stopped by SIGTERM; what it wrote so far is not complete", program.name());
            ExitCode::from(TERMINATED)
        }
    }
}

/// By the name that the process was called by, else by the first argument.
fn chosen(mut arguments: impl Iterator<Item = String>) -> Option<Program> {
    let called = arguments.next()?;
    let name = Path::new(&called).file_name()?.to_str()?;
    Program::named(name).or_else(|| Program::named(&arguments.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_chosen_by_link_or_argument() {
        let chosen =
            |arguments: &[&str]| super::chosen(arguments.iter().map(ToString::to_string)).map(Program::name);
        assert_eq!(chosen(&["/disk-wipe"]), Some("disk-wipe"));
        assert_eq!(chosen(&["/bootcode-actions", "install-grub"]), Some("install-grub"));
        assert_eq!(chosen(&["/bootcode-actions"]), None);
        assert_eq!(chosen(&["/bootcode-actions", "format-everything"]), None);
    }
}
