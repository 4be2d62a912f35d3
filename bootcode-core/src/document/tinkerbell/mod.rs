//! `tinkerbell.org/v1alpha1`: Tinkerbell's documents, read as they are and taken for ours.
//!
//! ```text
//!  node --types--> their spec --hardware, storage, claim, workflow--> ours, each field with where it came from
//!       --adopt, once all documents are known--> the Networks that interfaces are in, the machines that Workflows mean
//! ```
//!
//! What has no meaning here is a warning that says what to use instead; it is kept with the machine all the same, for templates.

mod adopt;
mod advice;
mod claim;
mod derive;
mod hardware;
mod netboot;
mod paths;
mod read;
mod reading;
mod storage;
mod types;
mod workflow;

#[cfg(test)]
mod tests;

pub(super) use adopt::adopt;
pub(super) use paths::Paths;
pub(super) use read::{Foreign, items, of_version, passed_over, read, refused};

use claim::Claim;

/// What is still to be settled of a document of Tinkerbell's once all documents are known.
#[derive(Debug, Clone)]
pub(super) enum Theirs {
    /// What its interfaces say of their networks.
    Hardware(Vec<Claim>),
    /// Nothing.
    Template,
    /// Whether it wants the machine's netboot to be switched on for its time.
    Workflow {
        /// `bootOptions.toggleAllowNetboot`.
        toggles: bool,
    },
}
