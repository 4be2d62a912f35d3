//! The plain-HTTP URL that machines fetch from.

use std::{fmt, str::FromStr};

/// `http://host[:port]/path[?query]`: no user, no fragment. Machines have no certificates to trust, so no TLS: what is
/// fetched is verified by its digest instead.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    host: String,
    port: u16,
    path: String,
}

/// Why a text is not such a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlParseError {
    /// Another scheme, or none.
    #[error("`{text}` is not an http:// URL: machines fetch over plain HTTP and verify digests")]
    Scheme {
        /// What was given, without its query.
        text: String,
    },
    /// No host, or one that is not a name or address.
    #[error("`{text}` has no usable host: write http://192.168.99.1:7080/path or http://name/path")]
    Host {
        /// What was given, without its query.
        text: String,
    },
    /// A port that is not one.
    #[error("`{text}` has no usable port: 1 to 65535")]
    Port {
        /// What was given, without its query.
        text: String,
    },
    /// Blanks, control characters or non-ASCII in the path.
    #[error("the path of `{text}` holds characters that must be percent-encoded")]
    Path {
        /// What was given, without its query.
        text: String,
    },
}

impl HttpUrl {
    /// Name or address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 80 when none was written.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, as they stand in the request line.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path
    }

    /// What the `Host` header says.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for HttpUrl {
    type Err = UrlParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || text.split(['?', '#']).next().unwrap_or_default().to_owned();
        let rest = text
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("http://"))
            .and_then(|_| text.get(7..))
            .ok_or_else(|| UrlParseError::Scheme { text: shown() })?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                bracketed.split_once(']').ok_or_else(|| UrlParseError::Host { text: shown() })?
            }
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => port.is_empty().then_some(80),
        }
        .ok_or_else(|| UrlParseError::Port { text: shown() })?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(named) {
            return Err(UrlParseError::Host { text: shown() });
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlParseError::Path { text: shown() });
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), port, path })
    }
}

impl fmt::Display for HttpUrl {
    /// Without the query: it may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "http://{}{path}", self.authority())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_as_rfc_3986_has_it() {
        for (text, host, port, path) in [
            ("http://192.168.99.1:7080/files/a.tar.zst", "192.168.99.1", 7080, "/files/a.tar.zst"),
            ("HTTP://boot.example", "boot.example", 80, "/"),
            ("http://[fe80::1]:8080/x", "fe80::1", 8080, "/x"),
            ("http://[::1]/x?a=b#c", "::1", 80, "/x?a=b"),
            ("http://h?q", "h", 80, "/?q"),
        ] {
            let url: HttpUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port(), url.path_and_query()), (host, port, path), "{text}");
        }
    }

    #[test]
    fn what_machines_cannot_fetch_is_refused_with_its_reason() {
        use UrlParseError as E;
        let fault = |text: &str| text.parse::<HttpUrl>().unwrap_err();
        assert!(matches!(fault("https://h/x"), E::Scheme { .. }));
        assert!(matches!(fault("debian.tar"), E::Scheme { .. }));
        assert!(matches!(fault("http:///x"), E::Host { .. }));
        assert!(matches!(fault("http://user@h/x"), E::Host { .. }));
        assert!(matches!(fault("http://[::1/x"), E::Host { .. }));
        assert!(matches!(fault("http://h:0/x"), E::Port { .. }));
        assert!(matches!(fault("http://h:99999/x"), E::Port { .. }));
        assert!(matches!(fault("http://h/a b"), E::Path { .. }));
        assert!(matches!(fault("http://h/a\r\nX: y"), E::Path { .. }));
    }

    #[test]
    fn a_query_is_never_shown() {
        let url: HttpUrl = "http://h/phone-home?token=secret".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "http://h/phone-home http://h/phone-home");
        assert!(!"https://h/x?token=secret".parse::<HttpUrl>().unwrap_err().to_string().contains("secret"));
    }
}
