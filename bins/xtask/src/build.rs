//! What the lab runs and serves, built.

use std::path::PathBuf;

use crate::error::TaskError;
use crate::run::{cargo, run};
use crate::workspace::Workspace;
use crate::{debian_root, images};

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
pub(crate) fn images(workspace: &Workspace) -> Result<(), TaskError> {
    images::build(workspace)
}

/// Makes the Debian root, or takes it from the cache.
///
/// # Errors
/// What its builder says.
pub(crate) fn debian_root(workspace: &Workspace) -> Result<Root, TaskError> {
    debian_root::build(&workspace.cache)
}
