//! Running other programs, with errors that say what to do.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};

use super::error::BuildError;
use crate::limits::STDERR_BYTES;

/// A command that finds the tools of system administration for normal users too, and answers in English.
pub(super) fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs it to its end and gives its stdout.
///
/// # Errors
/// The program is missing (`package` has it) or fails (`hint` says what may help).
pub(super) fn output(
    command: &mut Command,
    package: &'static str,
    hint: &'static str,
) -> Result<Vec<u8>, BuildError> {
    let result = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let output = result.map_err(|source| not_started(command, package, source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(command, output.status.to_string(), hint, tail(&stderr)))
}

/// Runs it with its stderr on ours, for commands that show progress.
///
/// # Errors
/// As [`output`].
pub(super) fn watched(command: &mut Command, package: &'static str) -> Result<(), BuildError> {
    let result = command.stdout(Stdio::null()).stderr(Stdio::inherit()).status();
    let status = result.map_err(|source| not_started(command, package, source))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(command, status.to_string(), "", "its messages stand above".to_owned()))
}

fn failed(command: &Command, status: String, hint: &'static str, stderr: String) -> BuildError {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let command = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    BuildError::Command { command, status, hint, stderr }
}

fn not_started(command: &Command, package: &'static str, source: io::Error) -> BuildError {
    let program = command.get_program().to_string_lossy().into_owned();
    match source.kind() {
        io::ErrorKind::NotFound => BuildError::ProgramMissing { program, package },
        _ => BuildError::File { action: "execute", path: program.into(), source },
    }
}

/// The end of a text, at most [`STDERR_BYTES`] of it.
fn tail(text: &str) -> String {
    let start = text.len().saturating_sub(STDERR_BYTES);
    let start = (start..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[start..].to_owned()
}
