//! From stored documents to the types that protocols use.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Document, Hardware, Kind, Network, NetworkSpec, ProfileError, SecretSpec, TemplateSpec, WorkflowDocSpec,
    merge,
};

/// A stored document cannot be taken for what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// There is none.
    #[error("there is no {kind} `{name}`")]
    Missing {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// Another kind was expected.
    #[error("`{name}` is a {found}, no {expected}")]
    WrongKind {
        /// The name.
        name: String,
        /// What it is.
        found: Kind,
        /// What was needed.
        expected: Kind,
    },
    /// Its spec has no valid shape; documents that were validated at `apply` have one.
    #[error("the spec of {kind} `{name}` is not valid")]
    Invalid {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// Machine and Profile do not make a whole.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

impl Hardware {
    /// The machine that `document` declares, the Profile's spec merged in.
    ///
    /// # Errors
    /// Where a document is of another kind, or the two do not make a whole.
    pub fn resolve(document: &Document, profile: Option<&Document>) -> Result<Self, ResolveError> {
        expect(document, Kind::Hardware)?;
        if let Some(profile) = profile {
            expect(profile, Kind::Profile)?;
        }
        let spec = merge(&document.metadata.name, profile.map(|profile| &profile.spec), &document.spec)?;
        Ok(Self { name: document.metadata.name.clone(), labels: document.metadata.labels.clone(), spec })
    }

    /// The Profile that the document names.
    #[must_use]
    pub fn profile_of(document: &Document) -> Option<&str> {
        document.spec.get("profile").and_then(Value::as_str)
    }
}

impl Network {
    /// The network that `document` declares.
    ///
    /// # Errors
    /// Where it is of another kind or has no valid shape.
    pub fn from_document(document: &Document) -> Result<Self, ResolveError> {
        let spec: NetworkSpec = spec(document, Kind::Network)?;
        Ok(Self { name: document.metadata.name.clone(), spec })
    }
}

impl TemplateSpec {
    /// The template that `document` declares.
    ///
    /// # Errors
    /// Where it is of another kind or has no valid shape.
    pub fn from_document(document: &Document) -> Result<Self, ResolveError> {
        spec(document, Kind::Template)
    }
}

impl WorkflowDocSpec {
    /// The workflow that `document` declares.
    ///
    /// # Errors
    /// Where it is of another kind or has no valid shape.
    pub fn from_document(document: &Document) -> Result<Self, ResolveError> {
        spec(document, Kind::Workflow)
    }
}

impl SecretSpec {
    /// The secrets that `document` declares.
    ///
    /// # Errors
    /// Where it is of another kind or has no valid shape.
    pub fn from_document(document: &Document) -> Result<Self, ResolveError> {
        spec(document, Kind::Secret)
    }
}

fn expect(document: &Document, expected: Kind) -> Result<(), ResolveError> {
    if document.kind == expected {
        return Ok(());
    }
    Err(ResolveError::WrongKind { name: document.metadata.name.clone(), found: document.kind, expected })
}

fn spec<T: DeserializeOwned>(document: &Document, kind: Kind) -> Result<T, ResolveError> {
    expect(document, kind)?;
    T::deserialize(&document.spec).map_err(|source| ResolveError::Invalid {
        kind,
        name: document.metadata.name.clone(),
        source,
    })
}
