//! Running programs, and telling what runs.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::error::TaskError;

/// Runs a step: says its name first, and how long it took after.
///
/// # Errors
/// Whatever the step returns.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T, TaskError>) -> Result<T, TaskError> {
    println!("==> {name}");
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(_) => println!("    {name}: done in {seconds:.1} s"),
        Err(_) => println!("    {name}: FAILED after {seconds:.1} s"),
    }
    result
}

/// Runs a program with its output on the terminal.
///
/// # Errors
/// When it cannot be started, or ends with a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), TaskError> {
    let status = command.stdin(Stdio::null()).status().map_err(|source| start_error(command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(TaskError::Command { command: shown(command), status: status.to_string(), output: String::new() })
}

/// Runs a program and returns what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started, or ends with a failure; the end of what it said goes with it.
pub(crate) fn capture(command: &mut Command) -> Result<String, TaskError> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| start_error(command, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(TaskError::Command {
        command: shown(command),
        status: output.status.to_string(),
        output: tail(&said, 12),
    })
}

/// The last lines of a text, indented.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    all[from..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whether a program of this name is in `PATH` or where system programs live.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|dir| dir.join(name).is_file())
}

pub(crate) fn start_error(command: &Command, source: std::io::Error) -> TaskError {
    TaskError::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
