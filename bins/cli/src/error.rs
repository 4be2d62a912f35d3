//! What can go wrong, and the exit codes (sysexits.h).

use std::{io, path::PathBuf, process::ExitCode};

use bootcode_api::{ClientError, client, routes::Problem};
use bootcode_core::yaml::Faults;

/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
const DATA: u8 = 65;
const NO_INPUT: u8 = 66;
const UNAVAILABLE: u8 = 69;
const OS: u8 = 71;
const IO: u8 = 74;
/// Refused, or it failed.
const FAILED: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Client(#[from] client::ClientError),
    #[error("{} cannot be read: {source}", path.display())]
    Input {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no .yaml or .yml file", path.display())]
    Empty { path: PathBuf },
    #[error("{0}")]
    Faults(Faults),
    #[error("the output cannot be written: {source}")]
    Output {
        #[source]
        source: io::Error,
    },
    #[error("the output cannot be made: {message}")]
    Form { message: String },
    #[error("{workflow} is {state}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    NotSucceeded { workflow: String, state: String, reason: String },
    #[error("{workflow} has no action `{action}`; it has {known}")]
    NoAction { workflow: String, action: String, known: String },
    #[error("the runtime cannot be started: {source}")]
    Runtime {
        #[source]
        source: io::Error,
    },
}

impl CliError {
    /// Says it on standard error; the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        // A reader that went away, as `head` does, is no failure of ours.
        if let Self::Output { source } = self
            && source.kind() == io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        for line in self.to_string().lines() {
            eprintln!("bootcode: {line}");
        }
        let faults = match self {
            Self::Faults(faults) => faults.len(),
            Self::Client(ClientError::Problem(Problem::Faults { faults })) => faults.len(),
            _ => 0,
        };
        if faults > 0 {
            eprintln!("bootcode: nothing was applied, {} to mend", counted(faults));
        }
        if let Self::Client(ClientError::Connect { .. }) = self {
            eprintln!("bootcode: is bootcode-server running? name it with --server or BOOTCODE_SERVER");
        }
        ExitCode::from(self.code())
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Client(ClientError::Connect { .. } | ClientError::Broken { .. }) => UNAVAILABLE,
            Self::Faults(_) | Self::Client(ClientError::Problem(Problem::Faults { .. })) => DATA,
            Self::Input { .. } | Self::Empty { .. } => NO_INPUT,
            Self::Output { .. } => IO,
            Self::Runtime { .. } => OS,
            _ => FAILED,
        }
    }
}

fn counted(faults: usize) -> String {
    if faults == 1 { "1 fault".to_owned() } else { format!("{faults} faults") }
}
