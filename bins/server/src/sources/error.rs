//! Why a directory of documents was not applied.

use std::path::PathBuf;

use bootcode_core::{apply::ApplyError, document::TreeError, yaml::Faults};

use crate::config::SourceDir;

/// A directory of documents was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceDirError {
    /// It cannot be read.
    #[error("sources: {0}")]
    Read(#[source] TreeError),
    /// Its documents have faults.
    #[error("sources: nothing of {} was applied:\n{faults}", path.display())]
    Faults {
        /// The directory.
        path: PathBuf,
        /// All of them.
        faults: Faults,
    },
    /// They were refused.
    #[error("sources: nothing of {} was applied: {source}", path.display())]
    Apply {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: ApplyError,
    },
}

impl SourceDirError {
    /// What reading a directory failed with.
    pub(super) fn of(source: &SourceDir, error: TreeError) -> Self {
        match error {
            TreeError::Faults(faults) => Self::Faults { path: source.dir.clone(), faults },
            error => Self::Read(error),
        }
    }

    /// Whether the same documents may be taken another time: the store failed, not they.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Apply {
                source: ApplyError::Store(_)
                    | ApplyError::Unfinished { .. }
                    | ApplyError::Engine(_)
                    | ApplyError::Contended,
                ..
            }
        )
    }
}
