//! What an apply would do, before anybody does it.

use serde::{Deserialize, Serialize};

use super::{Diff, Faults, Write};

/// What `bootcode diff` shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The documents that it would create, change and delete.
    #[serde(flatten)]
    pub diff: Diff,
    /// The disks that its new Workflows would write.
    #[serde(default)]
    pub writes: Vec<Write>,
    /// What has no effect here.
    #[serde(default)]
    pub warnings: Faults,
}
