//! Keeps the worker alive.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::console::say;
use super::signals::{Signals, Woken};
use crate::backoff::Backoff;
use crate::limits::COMPLAIN_EVERY;

const WORKER: &str = "/bin/bootcode-worker";
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts the worker, and again whenever it ends, for ever. Its output goes to the console.
pub(super) fn keep_running(signals: &Signals) -> ! {
    let mut backoff = Backoff::default();
    loop {
        let started = Instant::now();
        let ended = match start() {
            Ok(pid) => wait_for(pid, signals),
            Err(error) => format!("cannot be started: {error}"),
        };
        let ran = started.elapsed();
        let wait = backoff.after(ran);
        say(format_args!(
            "the worker {ended} after {} s; starting it again in {} s",
            ran.as_secs(),
            wait.as_secs()
        ));
        signals.sleep(wait);
    }
}

fn start() -> std::io::Result<Pid> {
    let child =
        Command::new(WORKER).env_clear().env("PATH", PATH).env("HOME", "/root").current_dir("/").spawn()?;
    // Ids of processes are positive and fit pid_t; the child itself is reaped with all others.
    i32::try_from(child.id()).map(Pid::from_raw).map_err(std::io::Error::other)
}

fn wait_for(worker: Pid, signals: &Signals) -> String {
    let long: Duration = COMPLAIN_EVERY;
    loop {
        match signals.wait(long) {
            Woken::Ended(pid, status) if pid == worker => return describe(status),
            Woken::Ended(..) | Woken::Elapsed => {}
        }
    }
}

fn describe(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, 101) => "panicked (exit status 101; its message stands above)".to_owned(),
        WaitStatus::Exited(_, code) => format!("ended with exit status {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("was killed by {signal}"),
        other => format!("ended ({other:?})"),
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

    use super::*;

    #[test]
    fn an_end_is_told_with_its_status() {
        let pid = Pid::from_raw(7);
        let cases = [
            (WaitStatus::Exited(pid, 0), "exit status 0"),
            (WaitStatus::Exited(pid, 101), "panicked"),
            (WaitStatus::Signaled(pid, Signal::SIGKILL, false), "SIGKILL"),
        ];
        for (status, part) in cases {
            assert!(describe(status).contains(part), "{status:?}");
        }
    }
}
