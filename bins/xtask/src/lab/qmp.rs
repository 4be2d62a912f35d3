//! QEMU's machine protocol: one JSON object a line over a Unix socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::TaskError;

/// More than any answer to the commands used here.
const LINE_BYTES: u64 = 64 * 1024;
/// Events may come between a command and its answer; these many are passed over.
const EVENTS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that takes commands.
#[derive(Debug)]
pub(crate) struct Qmp {
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects, and leaves the negotiation behind.
    ///
    /// # Errors
    /// When nobody answers there.
    pub(crate) fn connect(path: &Path) -> Result<Self, TaskError> {
        let stream = UnixStream::connect(path).map_err(TaskError::file("connecting to", path))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(TaskError::file("connecting to", path))?;
        let mut this = Self { lines: BufReader::new(stream) };
        this.line()?;
        this.execute("qmp_capabilities")?;
        Ok(this)
    }

    /// Runs a command without arguments.
    ///
    /// # Errors
    /// When QEMU refuses it or does not answer.
    pub(crate) fn execute(&mut self, command: &str) -> Result<(), TaskError> {
        let answer = |found: String| TaskError::Answer { what: "QEMU's machine protocol", found };
        let message = format!("{}\n", json!({"execute": command}));
        self.lines.get_mut().write_all(message.as_bytes()).map_err(|error| answer(error.to_string()))?;
        for _ in 0..EVENTS {
            let line = self.line()?;
            if line.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = line.get("error") {
                return Err(answer(format!("{command}: {error}")));
            }
        }
        Err(answer(format!("{command}: no answer among {EVENTS} messages")))
    }

    fn line(&mut self) -> Result<Value, TaskError> {
        let answer = |found: String| TaskError::Answer { what: "QEMU's machine protocol", found };
        let mut line = String::new();
        self.lines
            .by_ref()
            .take(LINE_BYTES)
            .read_line(&mut line)
            .map_err(|error| answer(error.to_string()))?;
        serde_json::from_str(&line).map_err(|error| answer(format!("{error}: {line:?}")))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A QEMU of three answers: greeting, capabilities, then what the case says.
    fn answered(last: &'static str) -> Result<(), TaskError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        let qemu = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"QMP\": {}}\n{\"return\": {}}\n").unwrap();
            stream.write_all(last.as_bytes()).unwrap();
            let mut all = String::new();
            stream.read_to_string(&mut all).unwrap();
            all
        });
        let result = Qmp::connect(&path).and_then(|mut qmp| qmp.execute("system_reset"));
        assert!(qemu.join().unwrap().contains(r#"{"execute":"system_reset"}"#));
        result
    }

    #[test]
    fn events_before_the_answer_are_passed_over() {
        answered("{\"event\": \"RESET\"}\n{\"return\": {}}\n").unwrap();
    }

    #[test]
    fn a_refusal_is_an_error_with_its_text() {
        let error = answered("{\"error\": {\"desc\": \"no\"}}\n").unwrap_err();
        assert!(error.to_string().contains("no"), "{error}");
    }
}
