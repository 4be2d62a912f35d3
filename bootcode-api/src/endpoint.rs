//! Where a server is.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// The address of an API: HTTP with TLS or without, or a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://HOST[:PORT]`.
    Http {
        /// Host and port.
        authority: String,
    },
    /// `https://HOST[:PORT]`.
    Https {
        /// Host and port.
        authority: String,
    },
    /// `unix:PATH`.
    Unix {
        /// The socket.
        path: PathBuf,
    },
}

/// The text names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no server: write unix:PATH, https://HOST:PORT or http://HOST:PORT")]
pub struct EndpointError {
    /// What was read.
    pub text: String,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || EndpointError { text: text.to_owned() };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(fail()) } else { Ok(Self::Unix { path: path.into() }) };
        }
        let (authority, port, secure) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(authority), _) => (authority, 80, false),
            (_, Some(authority)) => (authority, 443, true),
            (None, None) => return Err(fail()),
        };
        let authority = authority.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
            return Err(fail());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
        Ok(if secure { Self::Https { authority } } else { Self::Http { authority } })
    }
}

impl Endpoint {
    /// The host of an address by name or number, without the brackets of IPv6.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Http { authority } | Self::Https { authority } => {
                let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
                Some(host.trim_start_matches('[').trim_end_matches(']'))
            }
            Self::Unix { .. } => None,
        }
    }

    /// Whether what is sent there can be read by nobody on the way: by TLS, by a socket, or because it stays on this host.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Https { .. } | Self::Unix { .. } => true,
            Self::Http { .. } => self.host().is_some_and(|host| {
                host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { authority } => write!(f, "http://{authority}"),
            Self::Https { authority } => write!(f, "https://{authority}"),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_read_on_the_way_is_told() {
        for (text, private) in [
            ("http://10.0.0.1:7080", false),
            ("http://localhost.example:7081", false),
            ("http://127.0.0.2:7081", true),
            ("http://[::1]:7081", true),
            ("http://localhost", true),
            ("https://10.0.0.1:7443", true),
            ("unix:/run/b.sock", true),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().is_private(), private, "{text}");
        }
    }

    #[test]
    fn endpoints_are_read_and_others_refused() {
        for (text, shown) in [
            ("http://10.0.0.1:7080/", "http://10.0.0.1:7080"),
            ("http://server", "http://server:80"),
            ("https://server:7443/", "https://server:7443"),
            ("https://[fd00::1]", "https://[fd00::1]:443"),
            ("unix:/run/b.sock", "unix:/run/b.sock"),
            ("unix:///run/b.sock", "unix:/run/b.sock"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
        for text in ["", "unix:", "server:80", "ftp://x", "http://", "https://", "http://a/b", "http://u@h"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
