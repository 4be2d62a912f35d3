//! Why the server could not start.

use std::{io, net::SocketAddr};

/// The server's address could not be taken. The message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "UDP {address} is in use: stop the other TFTP server (`ss -lunp 'sport = :{}'` shows it) or set another `tftp.listen`",
        address.port()
    )]
    InUse {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The port is below 1024 and the process may not have it.
    #[error(
        "no permission to bind UDP {address}: run as root, give the program CAP_NET_BIND_SERVICE, or set a port above 1023"
    )]
    Permission {
        /// What was asked for.
        address: SocketAddr,
    },
    /// No interface has the address.
    #[error("UDP {address} cannot be bound: no interface of this host has that address; see `ip address`")]
    NotOurs {
        /// What was asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("UDP {address} cannot be bound")]
    Io {
        /// What was asked for.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    pub(super) fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::PermissionDenied => Self::Permission { address },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs { address },
            _ => Self::Io { address, source },
        }
    }
}
