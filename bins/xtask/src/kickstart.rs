//! Anaconda's own reader of kickstart files: pykickstart, which Debian has no package of.

use std::path::PathBuf;
use std::process::Command;

use crate::error::TaskError;
use crate::run::run;
use crate::workspace::Workspace;

/// What another version says of a file would be another test.
const VERSION: &str = "3.78";

/// Makes sure that it is below `target/`; Python's path to it. Nothing of the system's own Python is changed.
///
/// # Errors
/// When it is not there yet and PyPI does not answer.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf, TaskError> {
    let dir = workspace.target.join("pykickstart").join(VERSION);
    if !dir.join("bin/ksvalidator").exists() {
        run(Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"])
            .arg(&dir)
            .arg(format!("pykickstart=={VERSION}")))?;
    }
    Ok(dir)
}
