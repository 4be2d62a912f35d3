//! The operator: everything that the lab wants of the server it asks with the `bootcode` command.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::timeline::Event;
use crate::error::TaskError;
use crate::run::capture;

/// Somebody with the `bootcode` command and the server's socket.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    program: PathBuf,
    server: String,
}

impl Operator {
    /// Uses this program on this socket.
    pub(crate) fn new(program: PathBuf, socket: &Path) -> Self {
        Self { program, server: format!("unix:{}", socket.display()) }
    }

    /// `bootcode apply -f PATH`.
    ///
    /// # Errors
    /// When it is refused, with what the command said.
    pub(crate) fn apply(&self, path: &Path) -> Result<(), TaskError> {
        self.ask(&["apply", "-f", &path.to_string_lossy()]).map(drop)
    }

    /// Whether the server answers.
    pub(crate) fn answered(&self) -> bool {
        self.ask(&["get", "hardware", "-o", "json"]).is_ok()
    }

    /// Whether the server knows this machine already.
    pub(crate) fn knows(&self, hardware: &str) -> bool {
        self.ask(&["get", "hardware", hardware, "-o", "json"]).is_ok()
    }

    /// `bootcode timeline HARDWARE`, as people read it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) fn timeline(&self, hardware: &str) -> Result<String, TaskError> {
        self.ask(&["timeline", hardware])
    }

    /// The same for machines.
    ///
    /// # Errors
    /// When the server does not answer, or with something else than events.
    pub(crate) fn events(&self, hardware: &str) -> Result<Vec<Event>, TaskError> {
        let text = self.ask(&["timeline", hardware, "-o", "json"])?;
        text.lines().filter(|line| !line.trim().is_empty()).map(Event::parse).collect()
    }

    /// `bootcode get workflow NAME`, its document and status.
    ///
    /// # Errors
    /// When the server does not answer, or does not know it.
    pub(crate) fn workflow(&self, name: &str) -> Result<Value, TaskError> {
        self.document(&["get", "workflow", name, "-o", "json"])
    }

    /// `bootcode get hardware NAME --resolved`, its Profile merged in.
    ///
    /// # Errors
    /// When the server does not answer, or does not know it.
    pub(crate) fn hardware(&self, name: &str) -> Result<Value, TaskError> {
        self.document(&["get", "hardware", name, "--resolved", "-o", "json"])
    }

    fn document(&self, words: &[&str]) -> Result<Value, TaskError> {
        let text = self.ask(words)?;
        serde_json::from_str(&text)
            .map_err(|error| TaskError::Answer { what: "`bootcode get`", found: error.to_string() })
    }

    /// `bootcode diagnose HARDWARE`: what the server thinks is wrong, if it can be asked.
    pub(crate) fn diagnose(&self, hardware: &str) -> Option<String> {
        self.ask(&["diagnose", hardware])
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    fn ask(&self, words: &[&str]) -> Result<String, TaskError> {
        // A server that hangs must not hang the lab.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=2", "30"])
            .arg(&self.program)
            .args(words)
            .args(["--server", &self.server]);
        capture(&mut command)
    }
}
