//! Secrets: named in documents and logs, read when they are needed, never printed.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::limits::SECRET_NAME_BYTES;

/// Where secrets are read. Asked each time that one is handed out; nothing keeps the answer.
#[async_trait]
pub trait SecretSource: Send + Sync {
    /// The secret's value now.
    ///
    /// # Errors
    /// [`SecretError`] says what to mend; whoever asked waits until it is.
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError>;
}

/// For embedders without secrets: has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl SecretSource for NoSecrets {
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), problem: "this server has no secrets".to_owned() })
    }
}

/// A secret cannot be had now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret {reference} cannot be read: {problem}")]
pub struct SecretError {
    /// Which one.
    pub reference: SecretRef,
    /// Why, and what to do; never a part of its value.
    pub problem: String,
}

/// The value of a secret. Overwritten when it is dropped, and masked by `Debug`; it has no `Display` and no serde of its own, so that
/// it gets into no log and no document by accident.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Names a secret: a Secret document and one of its keys, written `document/key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretRef {
    document: String,
    key: String,
}

/// A text is no name of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is named by its Secret document and one of its keys: write document/key")]
pub struct SecretRefError;

impl SecretRef {
    /// The Secret document's name.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.document
    }

    /// The key in its `keys:`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for SecretRef {
    type Err = SecretRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (document, key) = text.split_once('/').ok_or(SecretRefError)?;
        let plain = |c: char| c.is_ascii_graphic() && c != '/';
        let good =
            |name: &str| !name.is_empty() && name.len() <= SECRET_NAME_BYTES && name.chars().all(plain);
        if !good(document) || !good(key) {
            return Err(SecretRefError);
        }
        Ok(Self { document: document.to_owned(), key: key.to_owned() })
    }
}

impl TryFrom<String> for SecretRef {
    type Error = SecretRefError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.document, self.key)
    }
}

/// For the one message that carries secrets on purpose: what a worker is handed.
pub(crate) mod revealed {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(
        secrets: &BTreeMap<String, Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(secrets.iter().map(|(name, secret)| (name, secret.reveal())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Secret>, D::Error> {
        let values = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
    }
}

/// Like [`revealed`], of one.
pub(crate) mod revealed_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.reveal())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_printed_by_nobody() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(***) Some(Secret(***))");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn a_reference_has_a_document_and_a_key() {
        for good in ["site/root-password", "a/TOKEN"] {
            let reference: SecretRef = good.parse().unwrap();
            assert_eq!(reference.to_string(), good);
            assert_eq!(serde_json::to_value(&reference).unwrap(), good);
        }
        let long = format!("a/{}", "x".repeat(SECRET_NAME_BYTES + 1));
        for bad in ["", "a", "/a", "a/", "a/b/c", "a/b c", "a/ü", "a/\n", &long] {
            assert!(bad.parse::<SecretRef>().is_err(), "{bad}");
            assert!(serde_json::from_value::<SecretRef>(bad.into()).is_err(), "{bad}");
        }
    }
}
