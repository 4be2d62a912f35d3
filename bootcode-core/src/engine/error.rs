//! Why the engine could not do what it was asked.

use crate::{
    image::ImageError,
    journal::JournalError,
    source::SourceError,
    store::StoreError,
    timeline::Reason,
    workflow::{Rejection, ServiceError},
};

/// The engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The rules refuse it; nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed.
    #[error("the workflow store failed: {0}")]
    Store(#[from] StoreError),
    /// The machines could not be looked up.
    #[error("the machines cannot be looked up: {0}")]
    Source(#[from] SourceError),
    /// The journal failed.
    #[error("the log cannot be kept: {0}")]
    Journal(#[from] JournalError),
    /// The images could not be read.
    #[error("the images cannot be read: {0}")]
    Images(#[from] ImageError),
    /// An entry of a log has no shape that this version knows.
    #[error(
        "entry {seq} of the log of workflow {workflow} cannot be read: {source}; was it written by a newer version?"
    )]
    Entry {
        /// The workflow.
        workflow: String,
        /// The entry.
        seq: u64,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A log begins in its middle.
    #[error("the log of workflow {workflow} lacks entry {seq}")]
    Gap {
        /// The workflow.
        workflow: String,
        /// The first entry that is missing.
        seq: u64,
    },
    /// Others were first each time.
    #[error("{what} changed under every one of {rounds} attempts; try again")]
    Contended {
        /// What.
        what: String,
        /// How many.
        rounds: u32,
    },
    /// The worker's call is refused.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: Reason,
    },
}

impl From<EngineError> for ServiceError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused { reason } => Self::Refused { reason },
            EngineError::Rejected(Rejection::StaleAttempt { workflow, action, attempt }) => {
                Self::StaleAttempt { workflow, action, attempt }
            }
            EngineError::Rejected(_) => Self::Refused { reason: Reason::NotFound },
            other => Self::Unavailable { message: other.to_string() },
        }
    }
}
