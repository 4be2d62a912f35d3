//! The program `crun` (any runtime with its command line does).

use std::{
    ffi::OsStr,
    io::Read as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::unix::pipe,
    process::{Child, Command},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::super::{Control, Exit, Finished, RuntimeError, output::pump};
use crate::limits;

/// How the runtime is called.
#[derive(Debug)]
pub(super) struct Crun {
    pub(super) program: PathBuf,
    /// Where it keeps its state.
    pub(super) root: PathBuf,
}

impl Crun {
    /// Runs a bundle to its end.
    pub(super) async fn run(
        &self,
        name: &str,
        bundle: &Path,
        control: &Control,
    ) -> Result<Finished, RuntimeError> {
        let complaints = bundle.join("crun.log");
        let mut command = self.command();
        command
            .arg("--log")
            .arg(&complaints)
            .args(["--log-format", "json", "run", "--bundle"])
            .arg(bundle)
            .arg(name);
        let fault = |source| RuntimeError::Program { program: self.program.clone(), source };
        // One pipe for output and errors, so that their lines keep their order.
        let (output, input) = std::io::pipe().map_err(fault)?;
        let errors = input.try_clone().map_err(fault)?;
        command.stdin(Stdio::null()).stdout(input).stderr(errors).kill_on_drop(true);
        // A signal to the worker's group must not end the container behind its back.
        command.process_group(0);
        let mut child = command.spawn().map_err(fault)?;
        let started = Instant::now();
        // The command holds the pipe's other end, which would keep it open for ever.
        drop(command);
        let output = pipe::Receiver::from_owned_fd(output.into()).map_err(fault)?;
        let output = AbortOnDropHandle::new(tokio::spawn(pump(output, control.log.clone())));
        let stopped = tokio::select! {
            status = child.wait() => Err(status),
            () = control.cancel.cancelled() => Ok(Exit::Cancelled),
            () = sleep_until(started + control.limit) => Ok(Exit::TimedOut),
        };
        let exit = match stopped {
            Ok(exit) => {
                self.delete(name).await;
                stop(&mut child).await;
                exit
            }
            Err(status) => {
                let status = status
                    .map_err(|source| RuntimeError::Program { program: self.program.clone(), source })?;
                let code = status.code().unwrap_or(1);
                if code != 0
                    && let Some(message) = complaint(&complaints)
                {
                    return Err(RuntimeError::Start { message });
                }
                Exit::from_code(code)
            }
        };
        let ran = started.elapsed();
        let _ = timeout(limits::OUTPUT_DRAIN, output).await;
        Ok(Finished { exit, ran })
    }

    /// Kills what runs under this name and forgets it; nothing there is as good.
    pub(super) async fn delete(&self, name: &str) {
        let mut command = self.command();
        command
            .args(["delete", "--force", name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match timeout(limits::CRUN_DELETE, command.kill_on_drop(true).status()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(program = %self.program.display(), %error, "cannot be run"),
            Err(_) => tracing::error!(container = name, "was not deleted in {:?}", limits::CRUN_DELETE),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args([OsStr::new("--cgroup-manager=cgroupfs"), OsStr::new("--root"), self.root.as_os_str()]);
        command
    }
}

/// The runtime ends with its container; when it does not, it is ended too.
async fn stop(child: &mut Child) {
    const PATIENCE: Duration = Duration::from_secs(5);
    if timeout(PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// What the runtime itself said, as opposed to the container: then there was no container.
fn complaint(log: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        msg: String,
        level: String,
    }
    let mut text = String::new();
    std::fs::File::open(log).ok()?.take(limits::CRUN_LOG_BYTES).read_to_string(&mut text).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.find(|line| line.level == "error").map(|line| line.msg)
}
