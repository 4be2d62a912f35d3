//! Operators' tokens: a file of names and digests; the tokens themselves are told once and kept nowhere.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bootcode_core::secret::Secret;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{
    control::random,
    data::{DataDir, DataError},
};

/// Where they are, in the data directory.
const FILE: &str = "operators";
/// What every token begins with, so that one that got somewhere is found by a search.
const PREFIX: &str = "bco_";

/// A token cannot be made, listed or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The name.
    #[error("`{name}` is no operator's name: write 1 to 63 of a-z, A-Z, 0-9 and .-_@")]
    Name {
        /// What was written.
        name: String,
    },
    /// There is one of this name.
    #[error("`{name}` has a token already: remove it with `bootcode-server token rm {name}` to make another")]
    Taken {
        /// Whose.
        name: String,
    },
    /// There is none of this name.
    #[error("`{name}` has no token; `bootcode-server token list` shows who has")]
    Unknown {
        /// Whose.
        name: String,
    },
    /// The file was written by somebody else.
    #[error(
        "data_dir: {FILE}:{line} is not NAME TIME sha256:DIGEST; remove the line, and make its operator a new token"
    )]
    Damaged {
        /// The line.
        line: usize,
    },
}

/// Whose a token is, since when, and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Whose.
    pub name: String,
    /// Since when.
    pub at: Timestamp,
    digest: String,
}

/// The tokens of a data directory. Read whenever somebody asks: what is removed ends at once.
#[derive(Debug, Clone)]
pub struct Tokens(DataDir);

impl Tokens {
    pub(crate) const fn new(data: DataDir) -> Self {
        Self(data)
    }

    /// All of them, in the order of their making.
    ///
    /// # Errors
    /// [`TokenError::Data`] and [`TokenError::Damaged`].
    pub fn list(&self) -> Result<Vec<Issued>, TokenError> {
        let text = self.0.text(FILE)?.unwrap_or_default();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(at, line)| read(line).ok_or(TokenError::Damaged { line: at + 1 })).collect()
    }

    /// A new one for this operator. It is told here and never again.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn add(&self, name: &str) -> Result<Secret, TokenError> {
        self.add_of(name, random(), Timestamp::now())
    }

    fn add_of(&self, name: &str, random: [u8; 32], at: Timestamp) -> Result<Secret, TokenError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
        if name.is_empty() || name.len() > 63 || !name.bytes().all(fits) {
            return Err(TokenError::Name { name: name.to_owned() });
        }
        let mut all = self.list()?;
        if all.iter().any(|issued| issued.name == name) {
            return Err(TokenError::Taken { name: name.to_owned() });
        }
        let token = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)));
        all.push(Issued { name: name.to_owned(), at, digest: digest(token.reveal()) });
        self.write(&all)?;
        Ok(token)
    }

    /// Takes an operator's token away.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn remove(&self, name: &str) -> Result<(), TokenError> {
        let mut all = self.list()?;
        let before = all.len();
        all.retain(|issued| issued.name != name);
        if all.len() == before {
            return Err(TokenError::Unknown { name: name.to_owned() });
        }
        self.write(&all)
    }

    /// Whose this token is. Digests are compared, so that how long it takes says nothing of a token.
    ///
    /// # Errors
    /// [`TokenError::Data`] and [`TokenError::Damaged`].
    pub(crate) fn holder(&self, token: &str) -> Result<Option<String>, TokenError> {
        let digest = digest(token);
        Ok(self.list()?.into_iter().find(|issued| issued.digest == digest).map(|issued| issued.name))
    }

    fn write(&self, all: &[Issued]) -> Result<(), TokenError> {
        let text = all.iter().fold(String::new(), |mut text, Issued { name, at, digest }| {
            let _ = writeln!(text, "{name} {at} sha256:{digest}");
            text
        });
        Ok(self.0.replace(FILE, text.as_bytes())?)
    }
}

fn read(line: &str) -> Option<Issued> {
    let mut words = line.split_whitespace();
    let (name, at, digest) = (words.next()?, words.next()?, words.next()?.strip_prefix("sha256:")?);
    let whole =
        words.next().is_none() && digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then_some(())?;
    Some(Issued { name: name.to_owned(), at: at.parse().ok()?, digest: digest.to_ascii_lowercase() })
}

fn digest(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> (tempfile::TempDir, Tokens) {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        (dir, Tokens::new(data))
    }

    #[test]
    fn a_token_has_a_holder_until_it_is_removed_and_stands_nowhere() {
        let (dir, tokens) = tokens();
        assert_eq!(tokens.holder("bco_x").unwrap(), None, "nobody has one yet");
        let ada = tokens.add_of("ada", [1; 32], Timestamp::UNIX_EPOCH).unwrap();
        let bob = tokens.add_of("bob@example", [2; 32], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(tokens.holder(ada.reveal()).unwrap().as_deref(), Some("ada"));
        assert_eq!(tokens.holder(bob.reveal()).unwrap().as_deref(), Some("bob@example"));
        assert_eq!(tokens.holder(&bob.reveal()[..20]).unwrap(), None);
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!text.contains(&ada.reveal()[PREFIX.len()..]), "{text}");
        tokens.remove("ada").unwrap();
        assert_eq!(tokens.holder(ada.reveal()).unwrap(), None);
        assert_eq!(tokens.holder(bob.reveal()).unwrap().as_deref(), Some("bob@example"));
        assert_eq!(tokens.list().unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_done_says_what_to_do() {
        let (dir, tokens) = tokens();
        for name in ["", "a b", "a\nb", &"x".repeat(64)] {
            let error = tokens.add_of(name, [0; 32], Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(matches!(error, TokenError::Name { .. }), "{error}");
        }
        tokens.add_of("ada", [0; 32], Timestamp::UNIX_EPOCH).unwrap();
        let twice = tokens.add_of("ada", [1; 32], Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(twice.contains("token rm ada"), "{twice}");
        assert!(matches!(tokens.remove("bob"), Err(TokenError::Unknown { .. })));
        std::fs::write(dir.path().join(FILE), "\nada 2026 sha256:00\n").unwrap();
        let damaged = tokens.holder("bco_x").unwrap_err().to_string();
        assert!(damaged.contains("operators:2"), "{damaged}");
    }
}
