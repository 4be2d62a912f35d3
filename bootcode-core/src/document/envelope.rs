//! The envelope that every document has.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of our documents.
pub const API_VERSION: &str = "bootcode/v1";

/// The kinds that people apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// An IP network and its DHCP.
    Network,
    /// What many machines share.
    Profile,
    /// A machine.
    Hardware,
    /// A recipe of tasks and actions.
    Template,
    /// A template applied to a machine; immutable.
    Workflow,
    /// Names of secrets and where the server reads them.
    Secret,
}

impl Kind {
    /// Every kind, in the order in which they depend on each other.
    pub const ALL: [Self; 6] =
        [Self::Network, Self::Secret, Self::Profile, Self::Hardware, Self::Template, Self::Workflow];

    /// As written in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Profile => "Profile",
            Self::Hardware => "Hardware",
            Self::Template => "Template",
            Self::Workflow => "Workflow",
            Self::Secret => "Secret",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No kind has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no kind: use network, profile, hardware, template, workflow or secret")]
pub struct UnknownKind {
    /// What was read.
    pub text: String,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    /// Reads a kind in any case, singular or plural.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let singular = lower.strip_suffix('s').unwrap_or(&lower);
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(singular))
            .ok_or_else(|| UnknownKind { text: text.to_owned() })
    }
}

/// A document as it is stored and shown: known kind, spec as a JSON value that was validated at `apply`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// [`API_VERSION`].
    pub api_version: String,
    /// Its kind.
    pub kind: Kind,
    /// Name and labels.
    pub metadata: Metadata,
    /// What is declared; its shape depends on the kind.
    pub spec: Value,
}

/// Name and labels of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Unique within the kind: lower-case letters, digits, `-` and `.`, at most 63 characters.
    pub name: String,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
