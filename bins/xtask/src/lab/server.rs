//! bootcode-server in the lab: its configuration, its start, its end.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::child::Child;
use super::dir::LabDir;
use super::operator::Operator;
use crate::error::TaskError;
use crate::interrupt::Interrupt;
use crate::run::tail;
use crate::workspace::Workspace;

/// From start to the first answer; it opens its store and applies its documents meanwhile.
const START: Duration = Duration::from_secs(60);
/// From SIGTERM to its end.
const STOP: Duration = Duration::from_secs(30);

/// How much is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// Everything that a machine needs to be provisioned.
    Machines,
    /// What must be said, and nothing besides.
    Defaults,
}

/// A server that can be started again on what it left.
#[derive(Debug)]
pub(crate) struct Server {
    dir: LabDir,
    program: PathBuf,
    operator: Operator,
    child: Option<Child>,
}

impl Server {
    /// Writes its configuration. Nothing runs yet.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) fn configure(workspace: &Workspace, dir: &LabDir, serves: Serves) -> Result<Self, TaskError> {
        let socket = dir.socket("api.sock");
        let mut config = format!(
            "# Written by `cargo xtask`.\n\
             data_dir: {data}\n\
             interfaces: [br0]\n\
             api: {{socket: {socket}}}\n\
             sources: [{{dir: {machines}}}]\n",
            data = quoted(dir.path("data")),
            socket = quoted(socket.clone()),
            machines = quoted(dir.path("machines")),
        );
        if serves == Serves::Machines {
            config.push_str(&format!(
                "files: [{files}]\nimages: {images}\nipxe: /usr/lib/ipxe\nosie: {osie}\n",
                files = quoted(dir.path("files")),
                images = quoted(workspace.images()),
                osie = quoted(workspace.osie()),
            ));
        }
        dir.write("bootcode.yaml", &config)?;
        let operator = Operator::new(workspace.program("bootcode"), &socket);
        Ok(Self { dir: dir.clone(), program: workspace.program("bootcode-server"), operator, child: None })
    }

    /// The operator of this server.
    pub(crate) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Starts it, and waits until it answers and knows this machine.
    ///
    /// # Errors
    /// When it ends or stays silent, with the last of its log.
    pub(crate) fn start(&mut self, hardware: &str, interrupt: &Interrupt) -> Result<(), TaskError> {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.dir.path("bootcode.yaml"));
        self.child = Some(Child::start("bootcode-server", &mut command, &self.dir.path("server.log"))?);
        let start = Instant::now();
        loop {
            if self.operator.knows(hardware) {
                return Ok(());
            }
            let ended = self.ended();
            if ended.is_some() || start.elapsed() > START {
                let how = ended.unwrap_or_else(|| {
                    let what = if self.operator.answered() { "does not know" } else { "is silent about" };
                    format!("bootcode-server {what} {hardware} after {} s", START.as_secs())
                });
                let log = tail(&self.dir.text("server.log"), 15);
                return Err(TaskError::Lab { stage: "server".into(), cause: format!("{how}:\n{log}") });
            }
            interrupt.pause(Duration::from_millis(200))?;
        }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.ended()?;
        Some(format!("bootcode-server ended ({status})"))
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not, or ends with a failure.
    pub(crate) fn stop(&mut self) -> Result<(), TaskError> {
        let Some(child) = self.child.take() else { return Ok(()) };
        let status = child.stop(STOP)?;
        if status.success() {
            return Ok(());
        }
        Err(TaskError::Check { check: "bootcode-server ends well on SIGTERM", found: status.to_string() })
    }

    /// Kills it (SIGKILL).
    pub(crate) fn crash(&mut self) {
        if let Some(child) = self.child.take() {
            child.crash();
        }
    }
}

/// A path as a YAML scalar: JSON's strings are YAML's.
fn quoted(path: PathBuf) -> String {
    serde_json::Value::from(path.to_string_lossy().into_owned()).to_string()
}
