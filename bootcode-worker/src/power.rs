//! What is done with the machine when its workflow has ended.

use bootcode_core::workflow::MachineAction;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, sync},
};

/// The machine's switch.
pub trait MachinePower: Send + Sync {
    /// Does it. On success the machine goes down soon after the return; `Stay` does nothing.
    ///
    /// # Errors
    /// The machine stays up.
    fn carry_out(&self, action: MachineAction) -> Result<(), PowerError>;
}

/// Why the machine stays up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PowerError {
    /// Process 1 did not take the signal.
    #[error("cannot ask process 1 for it: {source}")]
    Signal {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// This worker may not.
    #[error(
        "the workflow asks for {action:?}, which a worker on a machine that it does not own leaves to its owner"
    )]
    NotOurs {
        /// What was asked for.
        action: MachineAction,
    },
}

/// Asks OSIE's init, which ends everything, writes data out and restarts (SIGTERM) or powers off (SIGUSR2).
#[derive(Debug, Clone, Copy, Default)]
pub struct InitPower;

impl MachinePower for InitPower {
    fn carry_out(&self, action: MachineAction) -> Result<(), PowerError> {
        let signal = match action {
            MachineAction::Stay => return Ok(()),
            MachineAction::Reboot => Signal::SIGTERM,
            MachineAction::Poweroff => Signal::SIGUSR2,
            MachineAction::Kexec => {
                tracing::warn!(
                    "kexec is not available here: the machine restarts through its firmware instead"
                );
                Signal::SIGTERM
            }
        };
        sync();
        kill(Pid::from_raw(1), signal).map_err(|errno| PowerError::Signal { source: errno.into() })
    }
}

/// For a worker on a host that does more than be provisioned.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostPower;

impl MachinePower for HostPower {
    fn carry_out(&self, action: MachineAction) -> Result<(), PowerError> {
        match action {
            MachineAction::Stay => Ok(()),
            action => Err(PowerError::NotOurs { action }),
        }
    }
}
