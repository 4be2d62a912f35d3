//! What an apply would do, before anybody does it.

use serde::{Deserialize, Serialize};

use super::Diff;

/// What `bootcode diff` shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The documents that it would create and change.
    #[serde(flatten)]
    pub diff: Diff,
}
