//! Why the program could not do its work, and the exit code (sysexits).

use bootcode_worker::{
    driver::DriverError, identity::IdentityError, runtime::RuntimeError, spool::SpoolError,
};

/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// The server refuses.
pub(crate) const NOPERM: u8 = 77;

/// Why the worker ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "no server: give --server, --id and --token-file, or start OSIE with bootcode.server= bootcode.worker= \
         bootcode.token= on the kernel command line"
    )]
    NoServer,
    #[error("{source}")]
    Server {
        #[source]
        source: bootcode_api::EndpointError,
    },
    #[error(
        "{server} is a Unix socket, which containers cannot reach: give the http:// address for machines"
    )]
    NotHttp { server: String },
    #[cfg(feature = "oci")]
    #[error("{source}")]
    Url {
        #[source]
        source: bootcode_worker::image::UrlParseError,
    },
    #[error("this program was built without the runtime {name}: build it with --features {name}")]
    #[cfg_attr(all(feature = "oci", feature = "docker"), allow(dead_code))]
    NotBuilt { name: &'static str },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("cannot take the inventory: {source}")]
    Inventory {
        #[source]
        source: std::io::Error,
    },
    #[error("cannot take signals: {source}")]
    Signals {
        #[source]
        source: std::io::Error,
    },
}

impl Failure {
    /// By sysexits.h.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::NoServer | Self::Server { .. } | Self::NotHttp { .. } => USAGE,
            #[cfg(feature = "oci")]
            Self::Url { .. } => USAGE,
            Self::NotBuilt { .. } | Self::Runtime(_) => 69,
            Self::Signals { .. } | Self::Inventory { .. } | Self::Driver(_) => 71,
            Self::Identity(IdentityError::File { .. } | IdentityError::Empty { .. }) => 66,
            Self::Identity(_) => 78,
            Self::Spool(_) => 74,
        }
    }
}
