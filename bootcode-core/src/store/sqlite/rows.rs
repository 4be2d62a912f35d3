//! How a commit's changes are kept for watchers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{Change, Key, Revision, Stored};

/// One change as it is kept; its revision is that of the commit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Row {
    Put(Key, Value),
    Deleted(Key),
    Appended(String, u64, Vec<Value>),
}

impl Row {
    pub(super) fn of(change: &Change) -> Self {
        match change.clone() {
            Change::Put(stored) => Self::Put(stored.key, stored.value),
            Change::Deleted(key) => Self::Deleted(key),
            Change::Appended { log, seq, entries } => Self::Appended(log, seq, entries),
        }
    }

    pub(super) fn into_change(self, revision: Revision) -> Change {
        match self {
            Self::Put(key, value) => Change::Put(Stored { key, revision, value }),
            Self::Deleted(key) => Change::Deleted(key),
            Self::Appended(log, seq, entries) => Change::Appended { log, seq, entries },
        }
    }
}
