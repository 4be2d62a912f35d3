//! Why a server cannot start.

use std::io;

/// Why a server cannot start, and what mends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The system's interfaces cannot be read.
    #[error("cannot read the network interfaces of this system")]
    Interfaces {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No such interface.
    #[error("there is no network interface `{interface}`; this system has {}: correct `interfaces:`", available.join(", "))]
    UnknownInterface {
        /// What was configured.
        interface: String,
        /// What there is.
        available: Vec<String>,
    },
    /// The site has no address.
    #[error("no IPv4 address to tell machines: give one of {} an address (`ip address add 192.168.99.1/24 dev NAME`) or set `advertise:`", interfaces.join(", "))]
    NoAddress {
        /// The configured interfaces.
        interfaces: Vec<String>,
    },
    /// A port cannot be opened.
    #[error("cannot listen on UDP 0.0.0.0:{port} of `{interface}`: {}", remedy(source, *port))]
    Port {
        /// Its number.
        port: u16,
        /// The interface.
        interface: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

fn remedy(source: &io::Error, port: u16) -> String {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "no right to; run as root, or with CAP_NET_BIND_SERVICE and CAP_NET_RAW".to_owned()
        }
        io::ErrorKind::AddrInUse => {
            format!(
                "another program holds it; `ss -ulpn sport = :{port}` names it, stop that or leave this interface out"
            )
        }
        _ => source.to_string(),
    }
}
