//! What stands in each layer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bootcode_osie::build::PackageTree;

use crate::error::{TaskError, with_causes};

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// The files of a layer by their path, without a leading slash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content(pub(crate) BTreeMap<String, Node>);

/// A file of a layer.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A directory with its mode.
    Directory(u32),
    /// A file with its mode.
    File(u32, Vec<u8>),
    /// A symbolic link.
    Link(&'static str),
}

/// Our own program, and the places that it works in.
pub(crate) fn actions(program: Vec<u8>) -> Content {
    let mut content = Content::default();
    content.file("bootcode-actions", 0o755, program);
    for place in ["dev", "etc", "mnt/bootcode", "proc", "run", "sys"] {
        content.directory(place, 0o755);
    }
    content.directory("tmp", 0o1777);
    content
}

/// What makes file systems.
pub(crate) fn mkfs(tree: &PackageTree) -> Result<Content, TaskError> {
    let mut content = Content::default();
    for (name, links) in [("mke2fs", &["mkfs.ext4"][..]), ("mkfs.fat", &["mkfs.vfat"]), ("mkswap", &[])] {
        content.program(tree, name, &Content::default())?;
        for link in links {
            content.parents(link);
            content.0.insert(format!("usr/sbin/{link}"), Node::Link(name));
        }
    }
    content.file("etc/mke2fs.conf", 0o644, read(&tree.root().join("etc/mke2fs.conf"))?);
    Ok(content)
}

/// GRUB's installer, what it asks, and the modules of both firmwares. Libraries in `below` are not put in again.
pub(crate) fn grub(tree: &PackageTree, below: &Content) -> Result<Content, TaskError> {
    let mut content = Content::default();
    for name in ["grub-install", "grub-probe"] {
        content.program(tree, name, below)?;
    }
    for platform in ["i386-pc", "x86_64-efi"] {
        let from = tree.root().join("usr/lib/grub").join(platform);
        let mut modules = 0;
        for entry in fs::read_dir(&from).map_err(TaskError::file("reading", &from))? {
            let path = entry.map_err(TaskError::file("reading", &from))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Whole loaders for signing, and what helps debug GRUB itself, are not needed to install it.
            let wanted = [".mod", ".img", ".lst", ".sh"].iter().any(|end| name.ends_with(end));
            if path.is_file() && wanted {
                modules += usize::from(name.ends_with(".mod"));
                content.file(&format!("usr/lib/grub/{platform}/{name}"), 0o644, read(&path)?);
            }
        }
        if modules < 100 {
            return Err(TaskError::Check {
                check: "GRUB's packages hold its modules",
                found: format!("{modules} in {}", from.display()),
            });
        }
    }
    Ok(content)
}

impl Content {
    /// The bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = |node: &Node| if let Node::File(_, bytes) = node { bytes.len() as u64 } else { 0 };
        self.0.values().map(bytes).sum()
    }

    fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.parents(path);
        self.0.insert(path.to_owned(), Node::File(mode, bytes));
    }

    fn directory(&mut self, path: &str, mode: u32) {
        self.parents(path);
        self.0.insert(path.to_owned(), Node::Directory(mode));
    }

    fn parents(&mut self, path: &str) {
        let directories = path.match_indices('/').map(|(end, _)| path.get(..end).unwrap_or_default());
        for directory in directories {
            self.0.entry(directory.to_owned()).or_insert(Node::Directory(0o755));
        }
    }

    /// A program at `/usr/sbin` with its loader and libraries, apart from those that `below` has.
    fn program(&mut self, tree: &PackageTree, name: &str, below: &Self) -> Result<(), TaskError> {
        let failed = |error| TaskError::Build { what: "the action images", message: with_causes(&error) };
        let places = ["usr/sbin", "sbin", "usr/bin", "bin"].map(|directory| format!("{directory}/{name}"));
        let place = places.iter().find(|place| is_plain(&tree.root().join(place)));
        let place = place.ok_or_else(|| TaskError::Check {
            check: "the packages hold the tools of the actions",
            found: format!("no {name} in {}", tree.root().display()),
        })?;
        self.file(&format!("usr/sbin/{name}"), 0o755, read(&tree.root().join(place))?);
        if !below.0.contains_key(LOADER) {
            self.file(LOADER, 0o755, read(&tree.loader().map_err(failed)?)?);
        }
        for (library, path) in tree.libraries(place).map_err(failed)? {
            let to = format!("{LIBRARIES}/{library}");
            if !below.0.contains_key(&to) {
                self.file(&to, 0o644, read(&path)?);
            }
        }
        Ok(())
    }
}

fn is_plain(path: &PathBuf) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
}

fn read(path: &Path) -> Result<Vec<u8>, TaskError> {
    fs::read(path).map_err(TaskError::file("reading", path))
}
