//! Where a server is.

use std::{fmt, path::PathBuf, str::FromStr};

/// The address of an API: plain HTTP, or a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://HOST[:PORT]`.
    Http {
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
#[error("`{text}` is no server: write unix:PATH or http://HOST:PORT")]
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
        let authority = text.strip_prefix("http://").ok_or_else(fail)?.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
            return Err(fail());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self::Http { authority })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { authority } => write!(f, "http://{authority}"),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_others_refused() {
        for (text, shown) in [
            ("http://10.0.0.1:7080/", "http://10.0.0.1:7080"),
            ("http://server", "http://server:80"),
            ("unix:/run/b.sock", "unix:/run/b.sock"),
            ("unix:///run/b.sock", "unix:/run/b.sock"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
        for text in ["", "unix:", "server:80", "https://x", "http://", "http://a/b", "http://u@h"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
