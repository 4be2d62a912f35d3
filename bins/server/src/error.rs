//! Why the server cannot start, in one line, with the exit code of sysexits.h.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use bootcode_core::{engine::EngineError, store::StoreError};

use crate::{
    backup::BackupError, config::ConfigError, data::DataError, freshness::FreshnessError,
    operators::TokenError, sources::SourceDirError, tls::AuthorityError,
};

/// The server cannot start, or ended because a part of it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The workflow engine.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The epochs.
    #[error(transparent)]
    Freshness(#[from] FreshnessError),
    /// A directory of documents.
    #[error(transparent)]
    Sources(#[from] SourceDirError),
    /// DHCP.
    #[error("dhcp: {0}")]
    Dhcp(#[from] bootcode_dhcp::BindError),
    /// TFTP.
    #[error("tftp.listen: {0}")]
    Tftp(#[from] bootcode_tftp::tftp::BindError),
    /// The images.
    #[error("images: {0}")]
    Images(#[from] bootcode_tftp::registry::LayoutError),
    /// A configured path.
    #[error("{key}: {} {message}", path.display())]
    Path {
        /// The key.
        key: &'static str,
        /// The path.
        path: PathBuf,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// The network interfaces.
    #[error("interfaces: {message}")]
    Interfaces {
        /// What is wrong and how to mend it.
        message: String,
    },
    /// The operators' socket.
    #[error("api.socket: {} cannot be bound: {}", path.display(), socket_remedy(source))]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// An address of a listener.
    #[error("{key}: {address} cannot be bound: {}", bind_remedy(source))]
    Listen {
        /// The key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The server's authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Operators' tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The runtime or a signal handler.
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] io::Error),
    /// A task ended that should not.
    #[error("{task} ended by itself; this is a bug, please report it with the log")]
    Ended {
        /// Which.
        task: &'static str,
    },
}

impl ServerError {
    /// In one line, or one a fault, with the causes.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            // The remedy is instead of the cause.
            Self::Listen { .. } | Self::Socket { .. } => self.to_string(),
            _ => with_causes(self),
        }
    }

    fn is_permission(&self) -> bool {
        let mut error: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(at) = error {
            let denied = |io: &io::Error| io.kind() == io::ErrorKind::PermissionDenied;
            if at.downcast_ref().is_some_and(denied) {
                return true;
            }
            error = at.source();
        }
        false
    }

    /// The exit code (sysexits.h).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(ConfigError::Override(_))
            | Self::Authority(AuthorityError::Name { .. })
            | Self::Tokens(TokenError::Name { .. }) => 64,
            Self::Sources(SourceDirError::Faults { .. } | SourceDirError::Apply { .. }) => 65,
            Self::Config(ConfigError::Read { .. }) | Self::Sources(SourceDirError::Read { .. }) => 66,
            Self::Config(_) | Self::Path { .. } | Self::Images(_) | Self::Interfaces { .. } => 78,
            _ if self.is_permission() => 77,
            Self::Store(StoreError::ReadOnly { .. }) => 77,
            Self::Backup(BackupError::Memory) => 78,
            // EX_CANTCREAT.
            Self::Backup(BackupError::File { .. }) => 73,
            Self::Backup(_) | Self::Store(_) | Self::Engine(_) | Self::Data(_) | Self::Freshness(_) => 74,
            Self::Dhcp(_) | Self::Tftp(_) | Self::Listen { .. } | Self::Socket { .. } => 69,
            Self::Tokens(TokenError::Taken { .. } | TokenError::Unknown { .. }) => 1,
            Self::Authority(_) | Self::Tokens(_) => 74,
            Self::Runtime(_) => 71,
            Self::Ended { .. } => 70,
        }
    }
}

/// An error with its causes, as far as it does not repeat them itself.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

fn socket_remedy(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "another server answers there; stop that one, or configure another".to_owned()
        }
        io::ErrorKind::AlreadyExists => {
            "there is a file that is no socket; remove it, or configure another".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "no right to make it there; run as root, or configure one in a directory that you may write"
                .to_owned()
        }
        _ => format!("{source}; configure another"),
    }
}

fn bind_remedy(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "it is in use; stop what has it (`ss -ltnp` names it) or configure another".to_owned()
        }
        io::ErrorKind::PermissionDenied => "no right to; run as root or with CAP_NET_BIND_SERVICE".to_owned(),
        io::ErrorKind::AddrNotAvailable => "no interface of this host has it; see `ip address`".to_owned(),
        _ => source.to_string(),
    }
}
