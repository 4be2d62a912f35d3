//! The OCI runtime: the distribution's crun with the shared libraries that it loads.

use std::fs;
use std::path::Path;

use super::cpio::Archive;
use super::error::BuildError;
use super::tree::PackageTree;

const PACKAGE: &str = "crun";
const PROGRAM: &str = "usr/bin/crun";

/// crun, unpacked in the cache with its libraries.
pub(super) struct Runtime {
    tree: PackageTree,
    pub(super) version: String,
    pub(super) digest: String,
}

impl Runtime {
    /// Finds crun and its libraries with apt, fetches and unpacks them.
    pub(super) fn fetch(cache: &Path) -> Result<Self, BuildError> {
        let tree = PackageTree::fetch(&[PACKAGE], cache)?;
        let version = tree.version(PACKAGE).unwrap_or_default().to_owned();
        Ok(Self { version, digest: tree.digest(), tree })
    }

    /// Puts crun, its loader and its libraries into the initramfs, at the paths that the loader looks at.
    pub(super) fn add_to(&self, archive: &mut Archive) -> Result<(), BuildError> {
        let read = |path: &Path| fs::read(path).map_err(BuildError::file("read", path));
        archive.file(PROGRAM, 0o755, read(&self.tree.root().join(PROGRAM))?);
        archive.file("usr/lib64/ld-linux-x86-64.so.2", 0o755, read(&self.tree.loader()?)?);
        for (name, path) in self.tree.libraries(PROGRAM)? {
            archive.file(&format!("usr/lib/x86_64-linux-gnu/{name}"), 0o755, read(&path)?);
        }
        Ok(())
    }
}
