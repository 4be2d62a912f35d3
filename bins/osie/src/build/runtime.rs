//! The OCI runtime: the distribution's crun with the shared libraries that it loads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::command::{output, tool};
use super::cpio::Archive;
use super::error::BuildError;
use super::packages;

const PACKAGE: &str = "crun";
const PROGRAM: &str = "usr/bin/crun";
const LOADER: &str = "ld-linux-x86-64.so.2";
const LIBRARY_DIRECTORIES: [&str; 4] =
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"];

/// crun, unpacked in the cache with its libraries.
pub(super) struct Runtime {
    tree: PathBuf,
    pub(super) version: String,
    pub(super) digest: String,
}

impl Runtime {
    /// Finds crun and its libraries with apt, fetches and unpacks them.
    pub(super) fn fetch(cache: &Path) -> Result<Self, BuildError> {
        let packages = packages::closure(PACKAGE, |name| name.starts_with("lib"))?;
        let version =
            packages.iter().find(|package| package.name == PACKAGE).map(|package| package.version.clone());
        Ok(Self {
            tree: packages::unpacked(&packages, cache, |_| Ok(()))?,
            version: version.unwrap_or_default(),
            digest: packages::digest(&packages),
        })
    }

    /// Puts crun, its loader and its libraries into the initramfs, at the paths that the loader looks at.
    pub(super) fn add_to(&self, archive: &mut Archive) -> Result<(), BuildError> {
        let read = |path: &Path| fs::read(path).map_err(BuildError::file("read", path));
        let program = self.tree.join(PROGRAM);
        let loader = self.find(LOADER)?;
        archive.file(PROGRAM, 0o755, read(&program)?);
        archive.file(&format!("usr/lib64/{LOADER}"), 0o755, read(&loader)?);
        for (name, path) in self.libraries(&loader, &program)? {
            archive.file(&format!("usr/lib/x86_64-linux-gnu/{name}"), 0o755, read(&path)?);
        }
        Ok(())
    }

    /// What the tree's own loader would load, from the tree alone: the host's libraries play no part.
    fn libraries(&self, loader: &Path, program: &Path) -> Result<BTreeMap<String, PathBuf>, BuildError> {
        let search =
            LIBRARY_DIRECTORIES.map(|directory| self.tree.join(directory).display().to_string()).join(":");
        let mut command = tool(loader);
        command.args(["--inhibit-cache", "--library-path", &search, "--list"]).arg(program);
        let text = output(&mut command, "libc6", "")?;
        let listed = parse_list(&String::from_utf8_lossy(&text));
        let inside = |(name, path): (String, Option<PathBuf>)| match path {
            Some(path) if path.starts_with(&self.tree) => Ok((name, path)),
            _ => Err(BuildError::LibraryMissing { program: PROGRAM.to_owned(), library: name }),
        };
        listed.into_iter().map(inside).collect()
    }

    /// The plain file of this name: links of packages are absolute and would lead to the host's.
    fn find(&self, name: &str) -> Result<PathBuf, BuildError> {
        let paths = LIBRARY_DIRECTORIES.iter().map(|directory| self.tree.join(directory).join(name));
        let plain = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
        let missing = || BuildError::PackageContent { package: PACKAGE.to_owned(), file: name.to_owned() };
        paths.into_iter().find(plain).ok_or_else(missing)
    }
}

/// Reads `NAME => PATH (ADDRESS)` and `NAME => not found`; the kernel's own object and the loader have no `=>`.
fn parse_list(text: &str) -> BTreeMap<String, Option<PathBuf>> {
    let lines = text.lines().filter_map(|line| line.trim().split_once(" => "));
    lines
        .map(|(name, found)| {
            let path = found.split(" (").next().filter(|path| path.starts_with('/')).map(PathBuf::from);
            (name.to_owned(), path)
        })
        // The loader names itself so when it was called by another path; it has its own place.
        .filter(|(name, _)| !name.ends_with(LOADER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loaders_list_gives_paths_and_what_is_not_found() {
        let text = "\tlinux-vdso.so.1 (0x00007f)\n\tlibcap.so.2 => /t/lib/libcap.so.2 (0x00007f)\n\
            \tlibyajl.so.2 => not found\n\t/lib64/ld-linux-x86-64.so.2 => /t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let list = parse_list(text);
        let expected = [
            ("libcap.so.2".to_owned(), Some("/t/lib/libcap.so.2".into())),
            ("libyajl.so.2".to_owned(), None),
        ];
        assert_eq!(list, BTreeMap::from(expected));
    }
}
