//! Directories of documents: applied at start and on every change.
//!
//! ```text
//!  look -> read all -> (others than before? look once more: somebody may be writing) -> apply each -> prune those that say so
//! ```

mod error;
mod follow;
mod start;
mod watched;

pub use error::SourceDirError;
pub(crate) use follow::follow;
pub(crate) use start::{apply, check};
pub(crate) use watched::Watched;
