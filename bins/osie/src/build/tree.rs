//! Packages unpacked with the libraries they depend on, so that their programs can be taken out with all they load.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::command::{output, tool};
use super::control::Package;
use super::error::BuildError;
use super::packages;

const LOADER: &str = "ld-linux-x86-64.so.2";
const LIBRARY_DIRECTORIES: [&str; 4] =
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"];

/// Some of the distribution's packages and the libraries they depend on, unpacked over each other in the cache.
#[derive(Debug, Clone)]
pub struct PackageTree {
    root: PathBuf,
    packages: Vec<Package>,
}

impl PackageTree {
    /// Finds the packages and their libraries with apt, fetches and unpacks them, or takes them from `cache`.
    ///
    /// # Errors
    /// apt knows one of them not, or cannot fetch it, or it cannot be unpacked.
    pub fn fetch(names: &[&str], cache: &Path) -> Result<Self, BuildError> {
        let mut found = BTreeMap::new();
        for name in names {
            let closure = packages::closure(name, |name| name.starts_with("lib"))?;
            found.extend(closure.into_iter().map(|package| (package.name.clone(), package)));
        }
        let packages: Vec<_> = found.into_values().collect();
        Ok(Self { root: packages::unpacked(&packages, cache, |_| Ok(()))?, packages })
    }

    /// The directory that they are unpacked in.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The version of one of the packages.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&str> {
        self.packages.iter().find(|package| package.name == name).map(|package| package.version.as_str())
    }

    /// One digest for what all packages hold, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        packages::digest(&self.packages)
    }

    /// The loader, which belongs to `/lib64/ld-linux-x86-64.so.2`. The plain file: links of packages are absolute and
    /// would lead to the host's.
    ///
    /// # Errors
    /// None of the packages holds it.
    pub fn loader(&self) -> Result<PathBuf, BuildError> {
        let paths = LIBRARY_DIRECTORIES.iter().map(|directory| self.root.join(directory).join(LOADER));
        let plain = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
        let missing = || BuildError::PackageContent { package: "libc6".to_owned(), file: LOADER.to_owned() };
        paths.into_iter().find(plain).ok_or_else(missing)
    }

    /// What the tree's own loader would load for `program` (a path in the tree), by name, from the tree alone: the host's libraries
    /// play no part.
    ///
    /// # Errors
    /// A library that none of the packages holds.
    pub fn libraries(&self, program: &str) -> Result<BTreeMap<String, PathBuf>, BuildError> {
        let search =
            LIBRARY_DIRECTORIES.map(|directory| self.root.join(directory).display().to_string()).join(":");
        let mut command = tool(self.loader()?);
        command.args(["--inhibit-cache", "--library-path", &search, "--list"]).arg(self.root.join(program));
        let text = output(&mut command, "libc6", "")?;
        let listed = parse_list(&String::from_utf8_lossy(&text));
        let inside = |(name, path): (String, Option<PathBuf>)| match path {
            Some(path) if path.starts_with(&self.root) => Ok((name, path)),
            _ => Err(BuildError::LibraryMissing { program: program.to_owned(), library: name }),
        };
        listed.into_iter().map(inside).collect()
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
