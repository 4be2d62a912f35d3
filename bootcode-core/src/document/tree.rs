//! The document files below a directory, as people keep them in a Git repository.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::included::{normal, paths_named_in};
use crate::{
    limits::{TREE_BYTES, TREE_FILES, USER_DATA_BYTES, YAML_FILE_BYTES},
    yaml::{self, Fault, Faults},
};

/// Files cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The system says no.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A pipe or a device among the files of a directory, or a link that leads out of it.
    #[error("{} is no regular file of the directory: take it out", path.display())]
    NoFile {
        /// It.
        path: PathBuf,
    },
    /// More than one directory should hold.
    #[error("{} has more than {TREE_FILES} documents or {TREE_BYTES} bytes of them: split it", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
    /// Files that hold no text, or too much of it: all of them.
    #[error("{0}")]
    Faults(Faults),
}

/// Reads a file, or every `.yaml` and `.yml` file below a directory: pairs of the path and the text, in the order of the paths.
///
/// Hidden files and directories are left out; symbolic links are followed, each directory is read once.
///
/// # Errors
/// See [`TreeError`].
pub fn read_tree(path: &Path) -> Result<Vec<(String, String)>, TreeError> {
    let mut tree = Tree { root: path, texts: Vec::new(), bytes: 0, faults: Faults::default() };
    let metadata = fs::metadata(path).map_err(failed(path))?;
    if metadata.is_dir() {
        walk(path, &metadata, &mut HashSet::new(), &mut |path, _| tree.file(path))?;
    } else {
        // A file that was named may be a pipe: a shell makes one of `<(..)`.
        tree.file(path)?;
    }
    tree.named_files(&metadata)?;
    tree.texts.sort();
    tree.faults.or_ok(tree.texts).map_err(TreeError::Faults)
}

struct Tree<'a> {
    root: &'a Path,
    texts: Vec<(String, String)>,
    bytes: usize,
    faults: Faults,
}

/// Every document's file below a directory that was not `seen` yet.
pub(super) fn walk(
    directory: &Path,
    metadata: &fs::Metadata,
    seen: &mut HashSet<(u64, u64)>,
    file: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<(), TreeError>,
) -> Result<(), TreeError> {
    if !seen.insert((metadata.dev(), metadata.ino())) {
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let entry = entry.map_err(failed(directory))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let is_document = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A link to nowhere that nobody takes for a document, or a file that was just removed.
            Err(error) if !is_document || error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                continue;
            }
            Err(source) => return Err(TreeError::Read { path, source }),
        };
        if metadata.is_dir() {
            walk(&path, &metadata, seen, file)?;
        } else if is_document && metadata.is_file() {
            file(&path, &metadata)?;
        } else if is_document {
            return Err(TreeError::NoFile { path });
        }
    }
    Ok(())
}

/// So many bytes of a file at most.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, TreeError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed(path))?;
    file.take(most as u64).read_to_end(&mut bytes).map_err(failed(path))?;
    Ok(bytes)
}

impl Tree<'_> {
    /// Reads the files that documents name for their texts, unless they are read already. A link may not lead out of the directory.
    fn named_files(&mut self, metadata: &fs::Metadata) -> Result<(), TreeError> {
        let mut named: HashSet<String> =
            self.texts.iter().flat_map(|(name, text)| paths_named_in(name, text)).collect();
        if !named.is_empty() {
            for (name, _) in &self.texts {
                named.remove(&normal(name));
            }
        }
        let root = if metadata.is_dir() { self.root } else { self.root.parent().unwrap_or(Path::new("")) };
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        for name in named {
            let path = Path::new(&name);
            // What is missing is a fault of the document that names it.
            let Ok(real) = fs::canonicalize(path) else { continue };
            let inside = fs::canonicalize(root).map_err(failed(root))?;
            if !real.starts_with(&inside) || !fs::metadata(&real).is_ok_and(|metadata| metadata.is_file()) {
                return Err(TreeError::NoFile { path: path.to_owned() });
            }
            self.text(path)?;
        }
        Ok(())
    }

    /// A text that a document names. Of one that is too long so much is read that the document that names it is at fault.
    fn text(&mut self, path: &Path) -> Result<(), TreeError> {
        let mut bytes = read(path, USER_DATA_BYTES + 4)?;
        if let Err(error) = std::str::from_utf8(&bytes)
            && error.error_len().is_none()
            && error.valid_up_to() > USER_DATA_BYTES
        {
            // The last character is cut off, not wrong.
            bytes.truncate(error.valid_up_to());
        }
        self.add(path, &bytes)
    }

    fn file(&mut self, path: &Path) -> Result<(), TreeError> {
        let bytes = read(path, YAML_FILE_BYTES + 1)?;
        let name = path.display().to_string();
        if bytes.len() > YAML_FILE_BYTES {
            let message = format!("the file has more than {YAML_FILE_BYTES} bytes: split it into several");
            let (file, path, suggestion) = (name, String::new(), None);
            self.faults.push(Fault { file, line: 0, column: 0, path, message, suggestion });
            return Ok(());
        }
        self.add(path, &bytes)
    }

    fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<(), TreeError> {
        let name = path.display().to_string();
        self.bytes += bytes.len();
        if self.texts.len() == TREE_FILES || self.bytes > TREE_BYTES {
            return Err(TreeError::TooMany { path: self.root.to_owned() });
        }
        match yaml::utf8(&name, bytes) {
            Ok(text) => {
                let text = text.to_owned();
                self.texts.push((name, text));
            }
            Err(faults) => self.faults.extend(faults),
        }
        Ok(())
    }
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |source| TreeError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn texts(path: &Path) -> Vec<String> {
        read_tree(path).unwrap().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn documents_are_read_from_all_depths_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("rack/.git")).unwrap();
        for name in ["b.yaml", "rack/a.yml", "rack/notes.txt", "rack/.git/x.yaml", ".hidden.yaml"] {
            fs::write(root.join(name), name).unwrap();
        }
        symlink(root, root.join("rack/loop")).unwrap();
        symlink("nowhere", root.join("link")).unwrap();
        assert_eq!(texts(root), ["b.yaml", "rack/a.yml"]);
        assert_eq!(texts(&root.join("rack/notes.txt")), ["rack/notes.txt"], "a file that is named is read");
    }

    #[test]
    fn every_file_that_is_no_text_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), b"a\n\xff").unwrap();
        fs::write(dir.path().join("b.yaml"), vec![b' '; YAML_FILE_BYTES + 1]).unwrap();
        fs::write(dir.path().join("c.yaml"), b"good: 1").unwrap();
        let Err(TreeError::Faults(faults)) = read_tree(dir.path()) else { panic!("faults") };
        assert_eq!(faults.len(), 2, "{faults}");
        assert!(faults.to_string().contains("a.yaml:2:1"), "{faults}");
    }

    #[test]
    fn texts_that_documents_name_are_read_with_them_from_inside_only() {
        use crate::document::{Catalog, Origin, validate};
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("site");
        fs::create_dir_all(root.join("rack/files")).unwrap();
        let machine = |name: &str, mac: u8, file: &str| {
            let text = format!(
                "apiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: {name}}}\nspec: {{interfaces: [{{id: a, mac: 02:00:00:00:00:0{mac}}}], userData: {{file: {file}}}}}\n"
            );
            fs::write(root.join(format!("rack/{name}.yaml")), text).unwrap();
        };
        machine("a", 1, "files/init.sh");
        machine("b", 2, "user-data.yaml");
        fs::write(root.join("rack/files/init.sh"), "#!/bin/sh\n").unwrap();
        fs::write(root.join("rack/user-data.yaml"), "#cloud-config\nusers: []\n").unwrap();
        for path in [root.clone(), root.join("rack/a.yaml")] {
            let set = validate(
                &read_tree(&path).unwrap(),
                &[],
                Origin::Directory,
                crate::clock::Timestamp::UNIX_EPOCH,
            )
            .unwrap();
            let machine = Catalog::new(set.documents()).hardware("a").unwrap();
            assert_eq!(machine.spec.user_data.unwrap().as_text(), Some("#!/bin/sh\n"));
        }
        let set =
            validate(&read_tree(&root).unwrap(), &[], Origin::Directory, crate::clock::Timestamp::UNIX_EPOCH)
                .unwrap();
        assert_eq!(set.len(), 2, "user data is no document, whatever its name");
        fs::write(outer.path().join("secret"), "x").unwrap();
        fs::remove_file(root.join("rack/files/init.sh")).unwrap();
        let faults =
            validate(&read_tree(&root).unwrap(), &[], Origin::Directory, crate::clock::Timestamp::UNIX_EPOCH)
                .unwrap_err();
        assert!(faults.to_string().contains("a.yaml:4:"), "{faults}");
        symlink(outer.path().join("secret"), root.join("rack/files/init.sh")).unwrap();
        assert!(matches!(read_tree(&root), Err(TreeError::NoFile { .. })));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe.yaml");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read_tree(dir.path()), Err(TreeError::NoFile { path }) if path == pipe));
        fs::remove_file(&pipe).unwrap();
        symlink("nowhere", &pipe).unwrap();
        assert!(matches!(read_tree(dir.path()), Err(TreeError::Read { path, .. }) if path == pipe));
        let none = dir.path().join("none");
        assert!(matches!(read_tree(&none), Err(TreeError::Read { path, .. }) if path == none));
    }
}
