//! What can go wrong, and the exit codes (sysexits.h).

use std::{io, io::Write as _, path::PathBuf, process::ExitCode};

use bootcode_api::{
    ClientError, client,
    routes::{Files, Problem},
};
use bootcode_core::{document::TreeError, yaml::Faults};

use crate::{
    faults::{self, Weight},
    image::FetchError,
    terminal::Form,
};

/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
const DATA: u8 = 65;
const NO_INPUT: u8 = 66;
const UNAVAILABLE: u8 = 69;
const OS: u8 = 71;
const IO: u8 = 74;
const NO_PERMISSION: u8 = 77;
/// What shells give a program that SIGINT ended.
const INTERRUPTED: u8 = 130;
/// Refused, or it failed.
const FAILED: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Client(#[from] client::ClientError),
    #[error("{0}")]
    Input(#[source] TreeError),
    #[error("{} holds no .yaml or .yml file", path.display())]
    Empty { path: PathBuf },
    #[error("there is no document in what was given: each begins with apiVersion, kind, metadata and spec")]
    NoDocuments,
    #[error("{}", faults::counted(faults.len()))]
    Faults { faults: Faults, files: Files, offline: bool },
    /// What `diff --exit-code` ends with; it has said everything.
    #[error("there are differences")]
    Differs,
    /// What `preview-boot` ends with; it has said everything.
    #[error("the client is not answered with what it asks for")]
    NotAnswered,
    #[error("{message}")]
    Usage { message: String },
    /// By Ctrl-C, whose sender knows why.
    #[error("interrupted")]
    Interrupted,
    #[error("the output cannot be written: {source}")]
    Output {
        #[source]
        source: io::Error,
    },
    #[error("the output cannot be made: {message}")]
    Form { message: String },
    #[error("{workflow} is {state}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    NotSucceeded { workflow: String, state: String, reason: String },
    #[error("there is a Hardware `{name}` already; choose another name with --name")]
    NameTaken { name: String },
    #[error("{message}")]
    NotAMac { message: String },
    #[error("{message}")]
    NoWorkflow { message: String },
    #[error("{workflow} has no action `{action}`; it has {known}")]
    NoAction { workflow: String, action: String, known: String },
    #[error("{}: {file}: {why}", layout.display())]
    Image { layout: PathBuf, file: String, why: String },
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An image that is another one than it should be.
    #[error(
        "{what} is not what --sha256 says: it should be sha256 {expected}, but its {bytes} bytes are sha256 {found}; nothing was stored"
    )]
    Digest { what: String, expected: String, found: String, bytes: u64 },
    #[error("{what} is empty; nothing was stored")]
    EmptyImage { what: String },
    /// What is shown to the server, or whom it is trusted by.
    #[error("{message}")]
    Access { message: String },
    #[error("{} cannot be read: {source}", file.display())]
    Unread {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the runtime cannot be started: {source}")]
    Runtime {
        #[source]
        source: io::Error,
    },
}

impl CliError {
    /// Says it on standard error, and what came of it; the exit code.
    pub(crate) fn report(&self, applies: bool) -> ExitCode {
        // A reader that went away, as `head` does, is no failure of ours.
        if let Self::Output { source } = self
            && source.kind() == io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        match self {
            Self::Differs | Self::NotAnswered => return ExitCode::from(FAILED),
            Self::Interrupted => return ExitCode::from(INTERRUPTED),
            _ => {}
        }
        if let Self::Faults { faults, files, offline } = self {
            let text = faults::render(faults, files, Weight::Error, Form::of(&io::stderr()));
            let _ = io::stderr().write_all(text.as_bytes());
            let nothing = if applies { "nothing was applied, " } else { "" };
            say(&format!("{nothing}{self} to mend"));
            if *offline && faults.iter().any(|fault| fault.message.starts_with("there is no ")) {
                say("no server was asked; name what is missing, too, or use `bootcode diff`");
            }
            return ExitCode::from(self.code());
        }
        for line in self.to_string().lines() {
            say(line);
        }
        if let Self::Client(ClientError::Connect { source, .. }) = self {
            say(match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "operators are those who may write the socket: its user and group; `ls -l` shows them"
                }
                _ => "is bootcode-server running? name it with --server or BOOTCODE_SERVER",
            });
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Client(ClientError::Connect { source, .. })
                if matches!(source.kind(), io::ErrorKind::PermissionDenied) =>
            {
                NO_PERMISSION
            }
            Self::Client(
                ClientError::Problem(Problem::Unauthorized { .. })
                | ClientError::Untrusted { .. }
                | ClientError::Plain { .. },
            ) => NO_PERMISSION,
            Self::Client(
                ClientError::Connect { .. } | ClientError::Broken { .. } | ClientError::Version { .. },
            ) => UNAVAILABLE,
            Self::Fetch(FetchError::Refused { .. }) => NO_INPUT,
            Self::Fetch(FetchError::Untrusted { .. }) => NO_PERMISSION,
            Self::Fetch(FetchError::Unreached { .. } | FetchError::GaveUp { .. }) => UNAVAILABLE,
            Self::Fetch(_) | Self::Digest { .. } | Self::EmptyImage { .. } => DATA,
            Self::Faults { .. } | Self::NoDocuments | Self::NotAMac { .. } | Self::NoWorkflow { .. } => DATA,
            Self::Usage { .. } => USAGE,
            Self::Client(ClientError::Problem(Problem::Unavailable { .. })) => UNAVAILABLE,
            Self::Input(_)
            | Self::Empty { .. }
            | Self::Image { .. }
            | Self::Access { .. }
            | Self::Unread { .. } => NO_INPUT,
            Self::Output { .. } => IO,
            Self::Runtime { .. } => OS,
            _ => FAILED,
        }
    }
}

/// Says something on standard error; whoever closed that does not want to hear it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "bootcode: {text}");
}
