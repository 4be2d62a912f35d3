//! Names of repositories and tags.

use super::{Digest, DigestError};
use crate::limits;

/// What comes behind `/manifests/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A tag.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

impl Reference {
    /// Reads a tag, or a digest where there is a colon. `None` where it is no tag.
    ///
    /// # Errors
    /// [`DigestError`] where it has a digest's form and is none.
    pub fn parse(text: &str) -> Result<Option<Self>, DigestError> {
        if text.contains(':') {
            return Ok(Some(Self::Digest(text.parse()?)));
        }
        Ok(is_tag(text).then(|| Self::Tag(text.to_owned())))
    }
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`, as the distribution specification has it.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= limits::TAG_BYTES
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// Components of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes, between each other by `/`.
#[must_use]
pub fn is_repository(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= limits::REPOSITORY_BYTES
        && text.split('/').all(|component| {
            let separators =
                component.split(|c: char| c.is_ascii() && alphanumeric(c as u8)).filter(|s| !s.is_empty());
            component.bytes().next().is_some_and(alphanumeric)
                && component.bytes().last().is_some_and(alphanumeric)
                && separators.into_iter().all(|separator| {
                    matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specifications_grammar() {
        for name in ["disk-wipe", "a", "a/b/c", "a.b_c__d---e/0"] {
            assert!(is_repository(name), "{name}");
        }
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a b",
            "ä",
            "..",
            &"a".repeat(256),
        ] {
            assert!(!is_repository(name), "{name}");
        }
        for tag in ["v3", "latest", "_", "1.0-rc.1"] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in ["", ".a", "-a", "a/b", "a:b", &"a".repeat(129)] {
            assert!(!is_tag(tag), "{tag}");
        }
    }
}
