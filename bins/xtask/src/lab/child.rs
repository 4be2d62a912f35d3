//! A program that runs beside the lab and ends with it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::TaskError;
use crate::run::start_error;

/// A running program; killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    process: std::process::Child,
}

impl Child {
    /// Starts a program whose output is appended to a file.
    ///
    /// # Errors
    /// When it cannot be started, or the file not be written.
    pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self, TaskError> {
        let open = || File::options().create(true).append(true).open(log);
        let out = open().map_err(TaskError::file("writing", log))?;
        let err = open().map_err(TaskError::file("writing", log))?;
        // Its own group, so that Ctrl-C on the terminal reaches the lab alone and the lab ends the rest in order.
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let process = command.spawn().map_err(|source| start_error(command, source))?;
        Ok(Self { name, process })
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<ExitStatus, TaskError> {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(TaskError::Check {
            check: "a program ends when it is asked to",
            found: format!("{} still ran {} s after SIGTERM", self.name, patience.as_secs()),
        })
    }

    /// Kills it at once (SIGKILL).
    pub(crate) fn crash(mut self) {
        self.kill();
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
