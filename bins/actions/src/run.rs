//! Calling the tools that an action's image brings.

use std::{ffi::OsStr, process::Stdio};

use crate::limits;

/// A tool failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// It could not be started.
    #[error("{tool} cannot be started: {source}; it belongs into this action's image")]
    Start {
        /// Its name.
        tool: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("{tool} failed ({status}): {said}")]
    Failed {
        /// Its name.
        tool: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its error output.
        said: String,
    },
}

/// Runs a tool to its end; what it says is kept for the reason only. Dropping the future ends the tool.
pub(crate) async fn run<A: AsRef<OsStr>>(tool: &str, arguments: &[A]) -> Result<(), ToolError> {
    let output = tokio::process::Command::new(tool)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| ToolError::Start { tool: tool.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let tail = said.get(said.len().saturating_sub(limits::TOOL_OUTPUT_BYTES)..).unwrap_or_default();
    let said = String::from_utf8_lossy(tail).trim().replace('\n', "; ");
    Err(ToolError::Failed { tool: tool.to_owned(), status: output.status, said })
}
