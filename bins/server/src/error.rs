//! Why the server cannot start, in one line, with the exit code of sysexits.h.

use std::{io, net::SocketAddr, path::PathBuf};

use bootcode_core::{engine::EngineError, store::StoreError};

use crate::{config::ConfigError, data::DataError, freshness::FreshnessError, sources::SourceDirError};

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
    /// An address of machines' HTTP.
    #[error("http.listen: {address} cannot be bound: {}", bind_remedy(source))]
    Http {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The operators' socket.
    #[error("api.socket: {} cannot be bound: {}", path.display(), bind_remedy(source))]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
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
    /// The exit code (sysexits.h).
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(ConfigError::Override(_)) => 64,
            Self::Sources(SourceDirError::Faults { .. }) => 65,
            Self::Config(ConfigError::Read { .. }) | Self::Sources(SourceDirError::Read { .. }) => 66,
            Self::Config(_) | Self::Path { .. } | Self::Interfaces { .. } => 78,
            Self::Store(_) | Self::Engine(_) | Self::Data(_) | Self::Freshness(_) => 74,
            Self::Dhcp(_) | Self::Tftp(_) | Self::Http { .. } | Self::Socket { .. } => 69,
            Self::Sources(_) | Self::Runtime(_) => 71,
            Self::Ended { .. } => 70,
        }
    }
}

fn bind_remedy(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "it is in use; stop what has it (`ss -ltnp` names it) or configure another".to_owned()
        }
        io::ErrorKind::PermissionDenied => "no right to; run as root or with CAP_NET_BIND_SERVICE".to_owned(),
        io::ErrorKind::AddrNotAvailable => "no interface of this host has it; see `ip address`".to_owned(),
        io::ErrorKind::NotFound => "its directory does not exist; make it".to_owned(),
        _ => source.to_string(),
    }
}
