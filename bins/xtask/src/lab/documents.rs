//! The lab's copy of `examples/lab`, completed with what is known only after the build.

use std::fs;
use std::path::{Path, PathBuf};

use super::dir::LabDir;
use super::plan::{Dhcp, LabFlags};
use crate::error::TaskError;
use crate::workspace::Workspace;

/// Stands in `examples/lab` where the digest of the root file system belongs.
const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const MODE: &str = "mode: authoritative";
/// The line of the Hardware that more is written after.
const HOST_NAME: &str = "  hostname: node-1\n";
const WORKFLOW: &str = "install-node-1.yaml";

/// Writes the documents that the server watches to `machines/`, and the Workflow beside that directory.
/// Returns the Workflow's path.
///
/// # Errors
/// When the examples cannot be read, or have no place for the digest.
pub(crate) fn write(
    workspace: &Workspace,
    dir: &LabDir,
    sha256: &str,
    flags: &LabFlags,
) -> Result<PathBuf, TaskError> {
    let examples = workspace.root.join("examples/lab");
    let machines = dir.path("machines");
    fs::create_dir_all(&machines).map_err(TaskError::file("making", &machines))?;
    let mut digests = 0;
    let source = examples.join("machines");
    for entry in fs::read_dir(&source).map_err(TaskError::file("reading", &source))? {
        let path = entry.map_err(TaskError::file("reading", &source))?.path();
        let text = fs::read_to_string(&path).map_err(TaskError::file("reading", &path))?;
        digests += text.matches(DIGEST).count();
        let mut text = text.replace(DIGEST, sha256);
        if flags.dhcp == Dhcp::Proxy {
            text = text.replace(MODE, "mode: proxy");
        }
        if let Some(nbp) = flags.loader.nbp() {
            text = text.replace(HOST_NAME, &format!("{HOST_NAME}{nbp}"));
        }
        let to = machines.join(path.file_name().unwrap_or_default());
        fs::write(&to, text).map_err(TaskError::file("writing", &to))?;
    }
    if digests == 0 {
        return Err(TaskError::Check {
            check: "examples/lab has a place for the digest of the root file system",
            found: format!("no document in {} says sha256: {DIGEST}", source.display()),
        });
    }
    let workflow = dir.path(WORKFLOW);
    let source = examples.join(WORKFLOW);
    fs::copy(&source, &workflow).map_err(TaskError::file("copying", &source))?;
    Ok(workflow)
}

/// Puts the Workflow into the directory that the server watches.
///
/// # Errors
/// When it cannot be copied.
pub(crate) fn watch_workflow(dir: &LabDir) -> Result<(), TaskError> {
    let from = dir.path(WORKFLOW);
    fs::copy(&from, dir.path("machines").join(WORKFLOW)).map_err(TaskError::file("copying", &from)).map(drop)
}

/// Puts the root file system where the server serves files from: a hard link where that goes, else a copy.
///
/// # Errors
/// When neither goes.
pub(crate) fn serve_root(dir: &LabDir, tar: &Path) -> Result<(), TaskError> {
    let files = dir.path("files");
    fs::create_dir_all(&files).map_err(TaskError::file("making", &files))?;
    let to = files.join("debian-12.tar.zst");
    fs::hard_link(tar, &to).or_else(|_| fs::copy(tar, &to).map(drop)).map_err(TaskError::file("copying", tar))
}

#[cfg(test)]
mod tests {
    use super::super::plan::Loader;
    use super::*;

    #[test]
    fn the_examples_take_the_digest_and_the_mode() {
        let target = tempfile::tempdir().unwrap();
        let workspace = Workspace { target: target.path().to_owned(), ..Workspace::locate() };
        let dir = LabDir::of(&workspace, "test");
        let sha256 = "ab".repeat(32);
        let flags = LabFlags { dhcp: Dhcp::Proxy, loader: Loader::Grub, ..LabFlags::unattended() };
        let workflow = write(&workspace, &dir, &sha256, &flags).unwrap();
        assert!(fs::read_to_string(workflow).unwrap().contains("kind: Workflow"));
        let all: String = fs::read_dir(dir.path("machines"))
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        assert!(all.contains(&sha256) && all.contains("mode: proxy") && all.contains("nbp: grub"));
        assert!(!all.contains(DIGEST) && !all.contains("kind: Workflow"));
    }
}
