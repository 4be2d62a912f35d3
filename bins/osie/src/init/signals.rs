//! Signals as values: process 1 sleeps nowhere else, so a request to restart is heard at once and
//! no child stays a zombie.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sync};

use super::console::say;
use super::error::InitError;
use crate::limits::{POLL, STOP_GRACE};

/// The signals that process 1 takes.
pub(super) struct Signals {
    queue: SignalFd,
}

/// What a wait ended with.
pub(super) enum Woken {
    /// The time is over.
    Elapsed,
    /// This child ended so.
    Ended(Pid, WaitStatus),
}

impl Signals {
    /// Takes over the signals of this process, Ctrl-Alt-Del included.
    ///
    /// # Errors
    /// The kernel gave no signal queue.
    pub(super) fn take() -> Result<Self, InitError> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR2] {
            set.add(signal);
        }
        set.thread_block().map_err(InitError::call("sigprocmask"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let queue = SignalFd::with_flags(&set, flags).map_err(InitError::call("signalfd"))?;
        // Only process 1 of a machine (not of a container) may do this; without it the keys restart at once.
        let _ = set_cad_enabled(false);
        Ok(Self { queue })
    }

    /// Waits for `limit`, or until a child ends. A signal that asks for a restart or power-off is obeyed here
    /// and never returns.
    pub(super) fn wait(&self, limit: Duration) -> Woken {
        let until = Instant::now() + limit;
        loop {
            while let Ok(Some(signal)) = self.queue.read_signal() {
                match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                    Some(Signal::SIGTERM | Signal::SIGINT) => go_down(RebootMode::RB_AUTOBOOT),
                    Some(Signal::SIGUSR2) => go_down(RebootMode::RB_POWER_OFF),
                    _ => {}
                }
            }
            if let Some((pid, status)) = reap() {
                return Woken::Ended(pid, status);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::Elapsed;
            }
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            // An interrupted poll is as good as one that ended: the loop looks again.
            let _ = nix::poll::poll(&mut [PollFd::new(self.queue.as_fd(), PollFlags::POLLIN)], timeout);
        }
    }

    /// Waits for the whole of `time`, reaping what ends meanwhile.
    pub(super) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if matches!(self.wait(left), Woken::Elapsed) {
                return;
            }
        }
    }
}

/// One child that ended, if any.
fn reap() -> Option<(Pid, WaitStatus)> {
    match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
        Ok(status) => status.pid().map(|pid| (pid, status)),
        Err(_) => None,
    }
}

/// Ends every process, writes all data out and restarts or powers off.
fn go_down(mode: RebootMode) -> ! {
    let word = if mode == RebootMode::RB_POWER_OFF { "powering off" } else { "restarting" };
    say(format_args!("{word}: ending all processes"));
    let everyone = Pid::from_raw(-1);
    let _ = kill(everyone, Signal::SIGTERM);
    let until = Instant::now() + STOP_GRACE;
    while Instant::now() < until && waitpid(everyone, Some(WaitPidFlag::WNOHANG)) != Err(Errno::ECHILD) {
        if reap().is_none() {
            std::thread::sleep(POLL);
        }
    }
    let _ = kill(everyone, Signal::SIGKILL);
    sync();
    say(format_args!("{word}: data is written"));
    loop {
        let Err(error) = reboot(mode);
        say(format_args!("{word} failed: {error}; switch the machine off"));
        std::thread::sleep(crate::limits::COMPLAIN_EVERY);
    }
}
