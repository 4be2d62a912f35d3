//! What the lab runs and serves, built.

use std::path::PathBuf;

use crate::error::TaskError;
use crate::run::{cargo, run};
use crate::workspace::Workspace;

/// The root file system that is installed.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// The zstd-compressed tar.
    pub path: PathBuf,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Builds bootcode-server and the `bootcode` command.
///
/// # Errors
/// When they do not compile.
pub(crate) fn programs(workspace: &Workspace) -> Result<(), TaskError> {
    run(cargo().current_dir(&workspace.root).args([
        "build",
        "--quiet",
        "-p",
        "bootcode-server",
        "-p",
        "bootcode-cli",
    ]))
}

/// Builds the images of the actions into `target/images`.
///
/// # Errors
/// What its builder says.
pub(crate) fn images(_workspace: &Workspace) -> Result<(), TaskError> {
    Err(TaskError::Build { what: "the action images", message: "not there yet".into() })
}

/// Makes the Debian root, or takes it from the cache.
///
/// # Errors
/// What its builder says.
pub(crate) fn debian_root(_workspace: &Workspace) -> Result<Root, TaskError> {
    Err(TaskError::Build { what: "the Debian root", message: "not there yet".into() })
}
