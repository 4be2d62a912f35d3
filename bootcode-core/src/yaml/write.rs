//! Writing YAML.

use serde_json::Value;

/// The value cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be written as YAML")]
pub struct WriteError {
    /// The cause.
    #[source]
    pub source: serde_saphyr::SerializeError,
}

/// Writes a value; texts that older readers take for booleans (`no`) are quoted, longer texts become blocks.
///
/// # Errors
/// Where a number has no YAML form; values that were read here have one.
pub fn to_string(value: &Value) -> Result<String, WriteError> {
    serde_saphyr::to_string(value).map_err(|source| WriteError { source })
}
