//! Files of a directory, and nothing outside of it.

use std::{
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2},
    sys::stat::Mode,
};

use super::{Blob, Body, FileError, FileName, FileRequest, FileSource, ReadAt};
use crate::clock::Timestamp;

/// The regular files below a directory. A symbolic link is followed only as long as it stays below it.
///
/// The directory itself is looked up again for every file, so it may be replaced while the server runs.
#[derive(Debug, Clone)]
pub struct Dir {
    root: Arc<Path>,
}

impl Dir {
    /// The files below `root`.
    ///
    /// # Errors
    /// `root` is missing, is no directory, or may not be read.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        open_root(&root)?;
        std::fs::read_dir(&root)?;
        Ok(Self { root: root.into() })
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a file of that name; blocks.
    ///
    /// # Errors
    /// The name leads out of the directory, or opening failed for another reason than that there is no such file.
    pub fn open_blocking(&self, name: &FileName) -> io::Result<Option<Blob>> {
        self.open_with(name, ResolveFlag::empty())
    }

    fn open_with(&self, name: &FileName, more: ResolveFlag) -> io::Result<Option<Blob>> {
        let Some(file) = open_beneath(&self.root, name.as_str(), more)? else { return Ok(None) };
        let file = File::from(file);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let version = Version::of(&metadata);
        Ok(Some(Blob {
            len: version.len,
            etag: version.etag(),
            modified: metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()),
            body: Body::Reader(Arc::new(OpenFile { file, version })),
            sealed: None,
        }))
    }
}

#[async_trait]
impl FileSource for Dir {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        // Where the whole path is in the kernel's memory nothing is waited for, and a thread for it would cost more than it does. Whatever else is
        // said of that look-up, kernels before 5.12 among it, the other one says better.
        if let Ok(opened) = self.open_with(&request.name, cached()) {
            return Ok(opened);
        }
        let (dir, name) = (self.clone(), request.name.clone());
        let opened = tokio::task::spawn_blocking(move || dir.open_blocking(&name)).await;
        match opened.unwrap_or_else(|failed| Err(io::Error::other(failed))) {
            // For whoever asks there is nothing of that name; the operator reads why.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                tracing::warn!(directory = %self.root.display(), file = %request.name, %error, "not served");
                Ok(None)
            }
            opened => opened.map_err(|source| FileError::Io { name: request.name.to_string(), source }),
        }
    }
}

/// One version of a file, held by its descriptor.
struct OpenFile {
    file: File,
    version: Version,
}

impl ReadAt for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.file.read_at(buffer, offset)?;
        // Asked after reading: bytes that were there before a change are good, bytes of a later version are not.
        self.check()?;
        Ok(n)
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.file)
    }

    fn check(&self) -> io::Result<()> {
        if Version::of(&self.file.metadata()?) != self.version {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file changed while it was read"));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    inode: u64,
    len: u64,
    modified_s: i64,
    modified_ns: i64,
}

impl Version {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            len: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
        }
    }

    fn etag(&self) -> String {
        format!("{:x}-{:x}-{:x}.{:08x}", self.inode, self.len, self.modified_s, self.modified_ns)
    }
}

/// `RESOLVE_CACHED` of openat2(2), which nix does not name.
const fn cached() -> ResolveFlag {
    ResolveFlag::from_bits_retain(0x20)
}

const ROOT: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

fn open_root(root: &Path) -> io::Result<OwnedFd> {
    Ok(open(root, ROOT, Mode::empty())?)
}

/// Opens without ever leaving `root`; `None` where nothing has that name.
fn open_beneath(root: &Path, name: &str, more: ResolveFlag) -> io::Result<Option<OwnedFd>> {
    let root = if more.is_empty() {
        open_root(root)?
    } else {
        openat2(AT_FDCWD, root, OpenHow::new().flags(ROOT).resolve(more))?
    };
    // Not blocking, so that a FIFO cannot hold a thread.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let how = OpenHow::new()
        .flags(flags)
        .resolve(more | ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let opened = match openat2(&root, name, how) {
        // Kernels before 5.6 lack the call, and some sandboxes forbid it.
        Err(Errno::ENOSYS | Errno::EPERM) if more.is_empty() => open_by_steps(root, name, flags),
        opened => opened,
    };
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ENXIO) => Ok(None),
        Err(Errno::EXDEV | Errno::ELOOP) => Err(io::Error::new(
            io::ErrorKind::CrossesDevices,
            "a symbolic link leads out of the directory; put the file itself there",
        )),
        Err(cause) => Err(cause.into()),
    }
}

/// The same for old kernels, stricter: no symbolic link at all.
fn open_by_steps(root: OwnedFd, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    let (folders, file) = name.rsplit_once('/').unwrap_or(("", name));
    let mut at = root;
    for folder in folders.split('/').filter(|part| !part.is_empty()) {
        if folder == ".." {
            return Err(Errno::EXDEV);
        }
        let step = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        at = openat(&at, folder, step, Mode::empty())?;
    }
    if file == ".." {
        return Err(Errno::EXDEV);
    }
    openat(&at, file, flags | OFlag::O_NOFOLLOW, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Dir) {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret"), "secret").unwrap();
        let root = outer.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "content").unwrap();
        symlink("a/b/file", root.join("inside")).unwrap();
        symlink("../secret", root.join("relative")).unwrap();
        symlink(outer.path().join("secret"), root.join("absolute")).unwrap();
        symlink(outer.path(), root.join("a/out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let dir = Dir::new(&root).unwrap();
        (outer, dir)
    }

    fn name(text: &str) -> FileName {
        FileName::normalise(text.as_bytes()).unwrap()
    }

    fn content(blob: &Blob) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(blob.len).unwrap()];
        blob.read_full(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn files_below_the_root_are_read_and_nothing_else() {
        let (_outer, dir) = tree();
        for inside in ["a/b/file", "/a//b/./file", "inside"] {
            let blob = dir.open_blocking(&name(inside)).unwrap().unwrap();
            assert_eq!(content(&blob), b"content", "{inside}");
        }
        for missing in ["nothing", "a/b/file/deeper", "a", "a/b", &"x".repeat(400)] {
            assert!(dir.open_blocking(&name(missing)).unwrap().is_none(), "{missing}");
        }
        for outside in ["relative", "absolute", "a/out/secret", "loop"] {
            let Err(error) = dir.open_blocking(&name(outside)) else { panic!("{outside} was opened") };
            assert_eq!(error.kind(), io::ErrorKind::CrossesDevices, "{outside}");
        }
    }

    #[tokio::test]
    async fn a_path_that_the_kernel_knows_is_looked_up_at_once_by_the_same_rules() {
        let (_outer, dir) = tree();
        let at_once = |text: &str| dir.open_with(&name(text), cached());
        assert_eq!(content(&dir.open_blocking(&name("a/b/file")).unwrap().unwrap()), b"content");
        assert_eq!(content(&at_once("a/b/file").unwrap().unwrap()), b"content");
        // What it does not answer is asked again by the way that may wait.
        std::fs::rename(dir.root().join("a"), dir.root().join("c")).unwrap();
        for (text, there) in [("a/b/file", false), ("c/b/file", true), ("relative", false), ("loop", false)] {
            let request = FileRequest { name: name(text), peer: [127, 0, 0, 1].into() };
            assert_eq!(dir.open(&request).await.unwrap().is_some(), there, "{text}");
            assert!(!matches!(at_once(text), Ok(Some(_))) || there, "{text}");
        }
    }

    #[test]
    fn the_way_for_old_kernels_leaves_the_root_no_more() {
        let (_outer, dir) = tree();
        let open = |name: &str| open_by_steps(open_root(dir.root()).unwrap(), name, OFlag::O_RDONLY);
        assert!(open("a/b/file").is_ok());
        for (outside, errno) in [
            ("relative", Errno::ELOOP),
            ("absolute", Errno::ELOOP),
            ("a/out/secret", Errno::ENOTDIR),
            ("../secret", Errno::EXDEV),
            ("a/..", Errno::EXDEV),
        ] {
            assert_eq!(open(outside).unwrap_err(), errno, "{outside}");
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_fails_and_has_another_etag_afterwards() {
        let (_outer, dir) = tree();
        let blob = dir.open_blocking(&name("a/b/file")).unwrap().unwrap();
        assert_eq!(content(&blob), b"content");
        std::fs::write(dir.root().join("a/b/file"), "something longer").unwrap();
        assert!(blob.read_full(&mut [0; 7], 0).is_err());
        let again = dir.open_blocking(&name("a/b/file")).unwrap().unwrap();
        assert_ne!(again.etag, blob.etag);
        assert_eq!(content(&again), b"something longer");
    }

    #[test]
    fn a_replaced_file_is_still_read_as_the_version_that_was_opened() {
        let (outer, dir) = tree();
        let blob = dir.open_blocking(&name("a/b/file")).unwrap().unwrap();
        std::fs::write(outer.path().join("new"), "replaced").unwrap();
        std::fs::rename(outer.path().join("new"), dir.root().join("a/b/file")).unwrap();
        assert_eq!(content(&blob), b"content");
        assert_eq!(content(&dir.open_blocking(&name("a/b/file")).unwrap().unwrap()), b"replaced");
    }

    #[test]
    fn a_missing_directory_is_found_at_construction() {
        let (outer, _dir) = tree();
        assert_eq!(Dir::new(outer.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(Dir::new(outer.path().join("secret")).is_err());
    }

    #[tokio::test]
    async fn it_is_a_source() {
        let (_outer, dir) = tree();
        let ask = |text: &str| FileRequest { name: name(text), peer: [127, 0, 0, 1].into() };
        assert!(dir.open(&ask("a/b/file")).await.unwrap().is_some());
        assert!(dir.open(&ask("a/b/none")).await.unwrap().is_none());
        assert!(matches!(dir.open(&ask("absolute")).await, Ok(None)), "what leads out is not there");
    }
}
