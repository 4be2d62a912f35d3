//! Why documents are not applied or deleted.

use crate::{
    document::{CompileError, Id, Kind},
    engine::EngineError,
    limits::BATCH_BYTES,
    store::StoreError,
    yaml::Faults,
};

/// Nothing was applied, or nothing deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The documents have faults.
    #[error("{0}")]
    Faults(Faults),
    /// A Workflow's template does not become what a worker can run.
    #[error("Workflow `{workflow}`: {source}")]
    Compile {
        /// The Workflow.
        workflow: String,
        /// What is wrong.
        #[source]
        source: CompileError,
    },
    /// The engine refuses a Workflow, or cannot answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Another document needs it.
    #[error("{what} is needed by {by}: delete or change that first")]
    Needed {
        /// What should be deleted.
        what: String,
        /// What names it.
        by: String,
    },
    /// A Workflow of this name ran before.
    #[error(
        "Workflow `{workflow}` ran before and is {state}; its log is kept, so its name is taken: give the new one another"
    )]
    NameTaken {
        /// The Workflow.
        workflow: String,
        /// How it ended.
        state: &'static str,
    },
    /// There is no such document.
    #[error("there is no {kind} `{name}`")]
    Missing {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// More than a store takes at once.
    #[error("{what} has {bytes} bytes, with all that belongs to it; a document may have {BATCH_BYTES}")]
    TooLarge {
        /// The document.
        what: String,
        /// Its size.
        bytes: usize,
    },
    /// A Workflow with its log is kept.
    #[error(
        "Workflow `{workflow}` is {state}: its log is kept; `bootcode cancel {workflow}` ends an open one"
    )]
    Kept {
        /// The Workflow.
        workflow: String,
        /// Its state.
        state: &'static str,
    },
    /// More documents are gone from a directory than may go at once.
    #[error(
        "{} documents are gone from {directory}, more than `maxDelete: {max}` takes for intended: nothing was deleted. Put \
         them back, raise maxDelete, or delete by hand: {}",
        gone.len(), listed(gone)
    )]
    TooMany {
        /// The directory.
        directory: String,
        /// What is gone.
        gone: Vec<Id>,
        /// What may go at once.
        max: u32,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store went away after the documents were applied and before all of them were written.
    #[error(
        "the documents are applied, and will be written as soon as the store answers; applying them again waits for that: {source}"
    )]
    Unfinished {
        /// The store.
        #[source]
        source: StoreError,
    },
    /// Somebody else wrote the same documents again and again.
    #[error("the documents were changed by somebody else meanwhile: apply again")]
    Contended,
}

fn listed(ids: &[Id]) -> String {
    const SOME: usize = 10;
    let some: Vec<String> = ids.iter().take(SOME).map(|id| format!("{}/{}", id.kind, id.name)).collect();
    let more = if ids.len() > SOME { " .." } else { "" };
    format!("{}{more}", some.join(", "))
}
