//! `target/lab/<firmware>`: everything that one lab reads and writes.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::TaskError;
use crate::workspace::Workspace;

/// A lab's directory.
#[derive(Clone, Debug)]
pub(crate) struct LabDir(PathBuf);

/// Held for as long as a lab uses its directory; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct LabLock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// The longest path of a Unix socket that the system takes (108 bytes with its final zero, less some air).
const SOCKET_PATH_BYTES: usize = 100;

impl LabDir {
    /// The directory of this name; it need not exist.
    pub(crate) fn of(workspace: &Workspace, name: &str) -> Self {
        Self(workspace.target.join("lab").join(name))
    }

    /// Takes the lock, and empties the directory of what an earlier lab left.
    ///
    /// # Errors
    /// [`TaskError::Busy`] when another lab runs there.
    pub(crate) fn take(&self) -> Result<LabLock, TaskError> {
        fs::create_dir_all(&self.0).map_err(TaskError::file("making", &self.0))?;
        let path = self.path("lock");
        let file = File::create(&path).map_err(TaskError::file("writing", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(TaskError::Busy { path }),
            Err(TryLockError::Error(source)) => {
                return Err(TaskError::File { doing: "locking", path, source });
            }
        }
        let entries = fs::read_dir(&self.0).map_err(TaskError::file("reading", &self.0))?;
        for entry in entries {
            let entry = entry.map_err(TaskError::file("reading", &self.0))?;
            if entry.file_name() == "lock" {
                continue;
            }
            let path = entry.path();
            let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(TaskError::file("removing", &path))?;
        }
        Ok(LabLock(file))
    }

    /// A file or directory in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// A Unix socket: in the directory, so that an operator can reach it from outside, or, where that path is too
    /// long for a socket, in the lab's own /run.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        if path.as_os_str().len() <= SOCKET_PATH_BYTES { path } else { Path::new("/run").join(name) }
    }

    /// A file's text; what cannot be read is empty, what is not UTF-8 is replaced.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read(self.path(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), TaskError> {
        let path = self.path(name);
        fs::write(&path, text).map_err(TaskError::file("writing", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_whose_path_is_too_long_goes_to_run() {
        let short = LabDir(PathBuf::from("/w/target/lab/bios"));
        assert_eq!(short.socket("api.sock"), Path::new("/w/target/lab/bios/api.sock"));
        let long = LabDir(PathBuf::from(format!("/{}", "d".repeat(120))));
        assert_eq!(long.socket("api.sock"), Path::new("/run/api.sock"));
    }
}
