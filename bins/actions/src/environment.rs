//! What the worker tells every action.

use std::{collections::BTreeMap, fmt, fs::File, io::Read as _, path::PathBuf};

use bootcode_worker::image::{HttpUrl, UrlParseError};

use crate::limits;

/// Where the machine's document is, and who asks.
#[derive(Debug)]
pub struct Environment {
    /// `BOOTCODE_METADATA_URL`, else `http://$MIRROR_HOST:7080/metadata`.
    pub metadata: HttpUrl,
    /// What stands in the file that `BOOTCODE_TOKEN_FILE` names.
    pub token: Option<Token>,
    /// `BOOTCODE_DISKS`: the node in this boot of each disk that this action may write, by the disk's id in the document, as a JSON
    /// object. The server chose them and the worker made all others read-only; `None` where nobody says so.
    pub disks: Option<BTreeMap<String, String>>,
    /// `BOOTCODE_WORKFLOW`, for the record that an installation leaves.
    pub workflow: String,
}

/// A bearer token; never shown.
pub struct Token(String);

/// What is wrong with the environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// Nothing says where the metadata is.
    #[error(
        "neither BOOTCODE_METADATA_URL nor MIRROR_HOST is set: the worker sets the first, a template's `environment:` can set the second"
    )]
    Missing,
    /// What says so is not a URL.
    #[error("{name} gives no usable URL: {source}")]
    Url {
        /// The variable.
        name: &'static str,
        /// What is wrong.
        #[source]
        source: UrlParseError,
    },
    /// The token's file cannot be read.
    #[error("BOOTCODE_TOKEN_FILE names {}, which cannot be read: {source}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The disks are no JSON object of texts.
    #[error("BOOTCODE_DISKS is not understood: {source}; an object of disk ids and nodes is expected")]
    Disks {
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The token's file holds something else.
    #[error("BOOTCODE_TOKEN_FILE names {}, which holds no token: one line of visible ASCII is expected", path.display())]
    Token {
        /// The file.
        path: PathBuf,
    },
}

impl Environment {
    /// Reads the variables by `variable`, and the token's file.
    ///
    /// # Errors
    /// A variable is missing or wrong.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (name, url) = match (set("BOOTCODE_METADATA_URL"), set("MIRROR_HOST")) {
            (Some(url), _) => ("BOOTCODE_METADATA_URL", url),
            (None, Some(host)) => ("MIRROR_HOST", format!("http://{host}:7080/metadata")),
            (None, None) => return Err(EnvironmentError::Missing),
        };
        let metadata = url.parse().map_err(|source| EnvironmentError::Url { name, source })?;
        let token = set("BOOTCODE_TOKEN_FILE").map(|path| Token::from_file(path.into())).transpose()?;
        let disks = set("BOOTCODE_DISKS").map(|text| serde_json::from_str(&text)).transpose();
        let disks = disks.map_err(|source| EnvironmentError::Disks { source })?;
        Ok(Self { metadata, token, disks, workflow: set("BOOTCODE_WORKFLOW").unwrap_or_default() })
    }
}

impl Token {
    fn from_file(path: PathBuf) -> Result<Self, EnvironmentError> {
        let mut text = String::new();
        let read =
            File::open(&path).and_then(|file| file.take(limits::TOKEN_BYTES).read_to_string(&mut text));
        read.map_err(|source| EnvironmentError::TokenFile { path: path.clone(), source })?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EnvironmentError::Token { path });
        }
        Ok(Self(token.to_owned()))
    }

    /// The secret itself, for the one header that carries it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        Environment::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_worker_s_url_comes_before_the_article_s_mirror_host() {
        let host = ("MIRROR_HOST", "192.168.2.2");
        assert_eq!(read(&[host]).unwrap().metadata.to_string(), "http://192.168.2.2:7080/metadata");
        let url = ("BOOTCODE_METADATA_URL", "http://10.0.0.1:7080/metadata");
        assert_eq!(read(&[host, url]).unwrap().metadata.to_string(), "http://10.0.0.1:7080/metadata");
        assert!(matches!(read(&[]), Err(EnvironmentError::Missing)));
        assert!(matches!(
            read(&[("MIRROR_HOST", "a b")]),
            Err(EnvironmentError::Url { name: "MIRROR_HOST", .. })
        ));
    }

    #[test]
    fn the_disks_are_those_that_were_handed_out() {
        let host = ("MIRROR_HOST", "h");
        assert_eq!(read(&[host]).unwrap().disks, None);
        let disks = read(&[host, ("BOOTCODE_DISKS", r#"{"a":"/dev/vda"}"#)]).unwrap().disks.unwrap();
        assert_eq!(disks, [("a".to_owned(), "/dev/vda".to_owned())].into());
        assert_eq!(read(&[host, ("BOOTCODE_DISKS", "{}")]).unwrap().disks, Some(BTreeMap::new()));
        assert!(matches!(read(&[host, ("BOOTCODE_DISKS", "a")]), Err(EnvironmentError::Disks { .. })));
    }

    #[test]
    fn a_token_is_read_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let pairs = [("MIRROR_HOST", "h"), ("BOOTCODE_TOKEN_FILE", path)];
        std::fs::write(path, "s3cret\n").unwrap();
        let environment = read(&pairs).unwrap();
        assert_eq!(environment.token.as_ref().unwrap().reveal(), "s3cret");
        assert!(!format!("{environment:?}").contains("s3cret"));
        std::fs::write(path, "two\nlines\n").unwrap();
        assert!(matches!(read(&pairs), Err(EnvironmentError::Token { .. })));
        assert!(matches!(
            read(&[("MIRROR_HOST", "h"), ("BOOTCODE_TOKEN_FILE", "/nonexistent/token")]),
            Err(EnvironmentError::TokenFile { .. })
        ));
    }
}
