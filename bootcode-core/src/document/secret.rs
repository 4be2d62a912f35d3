//! `kind: Secret`: names of secrets and where the server reads them. The values never stand in documents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `spec` of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSpec {
    /// By name; referenced as `<document>/<name>`.
    pub keys: BTreeMap<String, SecretOrigin>,
}

/// Where a secret is read; exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SecretOrigin {
    /// A file on the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A variable of the server's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}
