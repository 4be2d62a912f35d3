//! Names of images, and digests as people write them.

use std::{fmt, str::FromStr};

use crate::error::CliError;

/// What an image is called on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) repository: String,
    pub(super) tag: String,
}

/// A SHA-256 digest, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sha256(String);

/// The tag that a name without one has.
const LATEST: &str = "latest";

impl Name {
    /// Reads NAME:TAG.
    pub(super) fn with_tag(text: &str) -> Result<Self, CliError> {
        let usage = || {
            let message = format!(
                "`{text}` is no image's name: write NAME:TAG with a name in lower case, as in disk-wipe:v3"
            );
            CliError::Usage { message }
        };
        let (repository, tag) = text.rsplit_once(':').ok_or_else(usage)?;
        Self::of(repository, tag).ok_or_else(usage)
    }

    /// Reads NAME:TAG, or NAME, which then has the tag `latest`.
    pub(super) fn or_latest(text: &str) -> Result<Self, CliError> {
        let (repository, tag) = text.rsplit_once(':').unwrap_or((text, LATEST));
        Self::of(repository, tag).ok_or_else(|| CliError::Usage {
            message: format!(
                "`{text}` is no image's name: write NAME or NAME:TAG, the name in lower case, as in --name debian-12.tar.zst"
            ),
        })
    }

    /// By the distribution specification's grammars.
    fn of(repository: &str, tag: &str) -> Option<Self> {
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_component = |component: &str| {
            let between = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
            component.bytes().next().is_some_and(lower)
                && component.bytes().last().is_some_and(lower)
                && between
                    .filter(|text| !text.is_empty())
                    .all(|text| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-'))
        };
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_tag = tag.bytes().next().is_some_and(word)
            && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
        let whole = repository.split('/').all(is_component) && is_tag;
        whole.then(|| Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag.as_str() {
            LATEST => f.write_str(&self.repository),
            tag => write!(f, "{}:{tag}", self.repository),
        }
    }
}

impl Sha256 {
    /// Of a hash that has taken everything.
    pub(super) fn finished(hash: sha2::Sha256) -> Self {
        use fmt::Write as _;
        use sha2::Digest as _;
        Self(hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// As registries write it.
    pub(super) fn digest(&self) -> String {
        format!("sha256:{}", self.0)
    }
}

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
        if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(hex))
        } else {
            Err("a SHA-256 digest has 64 hexadecimal digits, as `sha256sum` prints it".to_owned())
        }
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        let name = |repository: &str, tag: &str| Name { repository: repository.into(), tag: tag.into() };
        assert_eq!(Name::with_tag("a/b:v1").unwrap(), name("a/b", "v1"));
        assert_eq!(Name::or_latest("debian-12.tar.zst").unwrap(), name("debian-12.tar.zst", "latest"));
        assert_eq!(Name::or_latest("a__b:V1.0").unwrap().to_string(), "a__b:V1.0");
        assert_eq!(Name::or_latest("a:latest").unwrap().to_string(), "a");
        assert!(Name::with_tag("a").is_err());
        for wrong in [
            ":v1", "a:", "a b:v1", "A:v1", "a:v1?x", "a:b/c", "a%2f:v1", "", "../a", "a..b", "a/", "a:.v",
            "a~1",
        ] {
            assert!(Name::with_tag(wrong).is_err() && Name::or_latest(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn digests_are_read_as_they_are_published() {
        let hex = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        for text in [hex, &hex.to_lowercase(), &format!("sha256:{hex}")] {
            assert_eq!(text.parse::<Sha256>().unwrap().to_string(), hex.to_lowercase());
        }
        for wrong in ["", "sha256:", &hex[1..], &format!("{hex}0"), &hex.replace('E', "g")] {
            assert!(wrong.parse::<Sha256>().is_err(), "{wrong}");
        }
    }
}
