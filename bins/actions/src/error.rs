//! Why an action failed.

use std::{fmt::Write as _, path::PathBuf};

use bootcode_worker::image::{DigestParseError, ImageError, UrlParseError};

use crate::{
    EnvironmentError,
    disk::{BlockError, InventoryError, SelectError},
    format::FormatError,
    layout::LayoutError,
    metadata::MetadataError,
    mount::MountError,
    programs::{GrubError, SeedError},
    run::ToolError,
    target::TargetError,
};

/// Why an action failed; each variant is one family of causes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The worker's variables.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The machine's document.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The disks that the kernel shows.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// The disks that the document names.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A disk.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// What stands on the disk instead of the layout.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Making a file system.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Mounting.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A program that was called.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image's URL.
    #[error("`os.url`: {0}")]
    Url(#[from] UrlParseError),
    /// The image's digest.
    #[error("`os.sha256`: {0}")]
    Digest(#[from] DigestParseError),
    /// The boot loader.
    #[error(transparent)]
    Grub(#[from] GrubError),
    /// cloud-init's seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// A file of the installed system.
    #[error("{}: {doing} failed: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file that is not what was written.
    #[error("{} does not hold what was just written: the disk is faulty", path.display())]
    FileReadBack {
        /// The file.
        path: PathBuf,
    },
    /// The work's thread ended without an answer.
    #[error("the work was cut off: {source}")]
    CutOff {
        /// How it ended.
        #[from]
        source: tokio::task::JoinError,
    },
}

impl ActionError {
    /// The reason with its causes, in one line: what the workflow's log keeps.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            let text = source.to_string();
            // Many of our texts already name their cause.
            if !line.contains(&text) {
                let _ = write!(line, ": {text}");
            }
            cause = source.source();
        }
        line.replace(['\n', '\r'], " ")
    }
}
