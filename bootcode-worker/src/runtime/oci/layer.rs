//! A layer as a directory that overlayfs takes (OCI image specification 1.1: layer.md).

use std::{
    fs, io,
    io::Read,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tar::Archive;
use tokio::{sync::mpsc, task::JoinError};
use tokio_util::io::SyncIoBridge;

use crate::{
    image::{Directory, UnpackError, Unpacked, decompressed, inside, write_entry},
    limits,
};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Unpacks the layer that comes in chunks, whatever compresses it, into an empty directory.
pub(super) async fn unpack(
    chunks: mpsc::Receiver<Bytes>,
    target: PathBuf,
) -> Result<Result<Unpacked, UnpackError>, JoinError> {
    let reader = match decompressed(chunks).await {
        Ok(reader) => reader,
        Err(source) => return Ok(Err(UnpackError::Read { entries: 0, source })),
    };
    tokio::task::spawn_blocking(move || {
        let mut reader = SyncIoBridge::new(reader);
        let unpacked = unpack_layer(&mut reader, &target)?;
        // The padding after a tar's end belongs to the digest too.
        io::copy(&mut reader, &mut io::sink())
            .map_err(|source| UnpackError::Read { entries: unpacked.entries, source })?;
        Ok(unpacked)
    })
    .await
}

/// Unpacks a plain tar; whiteouts become what overlayfs understands.
pub(super) fn unpack_layer(reader: impl Read, target: &Path) -> Result<Unpacked, UnpackError> {
    let mut archive = Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(true);
    archive.set_overwrite(true);
    let mut unpacked = Unpacked::default();
    let mut directories = Vec::new();
    let entries = archive.entries().map_err(|source| UnpackError::Read { entries: 0, source })?;
    for entry in entries {
        let unread = |source| UnpackError::Read { entries: unpacked.entries, source };
        let mut entry = entry.map_err(unread)?;
        let path = inside(&entry.path().map_err(unread)?)?;
        if unpacked.entries == limits::LAYER_ENTRIES {
            return Err(UnpackError::TooMany { bound: limits::LAYER_ENTRIES });
        }
        let written = match Whiteout::of(&path) {
            Some(whiteout) => whiteout.write(target),
            None => {
                let is_dir = entry.header().entry_type().is_dir();
                clear_whiteouts(target, &path, is_dir)
                    .and_then(|()| write_entry(&mut entry, target, &path, &mut directories))
            }
        };
        written.map_err(|source| UnpackError::Write { path, source })?;
        unpacked.entries += 1;
        if entry.header().entry_type().is_file() {
            unpacked.bytes += entry.size();
        }
    }
    for directory in directories.iter().rev() {
        Directory::finish(directory)
            .map_err(|source| UnpackError::Write { path: directory.path.clone(), source })?;
    }
    Ok(unpacked)
}

/// A mark that something of a lower layer is gone.
#[derive(Debug, PartialEq, Eq)]
enum Whiteout {
    /// Everything in this directory.
    Opaque(PathBuf),
    /// This file or directory.
    Gone(PathBuf),
}

impl Whiteout {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        if name == OPAQUE {
            return Some(Self::Opaque(parent));
        }
        let gone = name.strip_prefix(WHITEOUT)?;
        // `.wh.` alone and the rest of AUFS's own `.wh..wh.` names mark nothing.
        (!gone.is_empty() && !gone.starts_with(WHITEOUT)).then(|| Self::Gone(parent.join(gone)))
    }

    fn write(&self, target: &Path) -> io::Result<()> {
        match self {
            Self::Opaque(directory) => {
                let full = directory_inside(target, directory)?;
                xattr::set(full, "trusted.overlay.opaque", b"y")
            }
            Self::Gone(path) => {
                if path.components().any(|part| matches!(part, std::path::Component::ParentDir)) {
                    return Err(outside());
                }
                let full = directory_inside(target, path.parent().unwrap_or(Path::new("")))?
                    .join(path.file_name().ok_or_else(outside)?);
                match fs::symlink_metadata(&full) {
                    // What the same layer brings stands, whichever of both came first.
                    Ok(_) => Ok(()),
                    Err(_) => Ok(mknod(&full, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))?),
                }
            }
        }
    }
}

/// What a layer removes and brings anew: the new one takes the mark's place. A new directory hides the old one whole.
fn clear_whiteouts(target: &Path, path: &Path, is_dir: bool) -> io::Result<()> {
    let mut full = target.to_owned();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        full.push(part);
        let Ok(found) = fs::symlink_metadata(&full) else { return Ok(()) };
        // Links are not followed: what lies behind one is checked when it is written.
        if found.file_type().is_symlink() {
            return Ok(());
        }
        if found.file_type().is_char_device() && found.rdev() == 0 {
            fs::remove_file(&full)?;
            if is_dir || parts.peek().is_some() {
                fs::create_dir(&full)?;
                xattr::set(&full, "trusted.overlay.opaque", b"y")?;
            }
        }
    }
    Ok(())
}

/// Makes a directory below the target; links must not lead out of it.
fn directory_inside(target: &Path, path: &Path) -> io::Result<PathBuf> {
    let root = target.canonicalize()?;
    let mut full = root.clone();
    for part in path.components() {
        full.push(part);
        match fs::symlink_metadata(&full) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                full = full.canonicalize()?;
                if !full.starts_with(&root) {
                    return Err(outside());
                }
            }
            Err(_) => fs::create_dir(&full)?,
        }
    }
    Ok(full)
}

fn outside() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the entry leaves the layer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whiteouts_are_told_by_their_names() {
        for (path, expected) in [
            ("etc/.wh.passwd", Some(Whiteout::Gone("etc/passwd".into()))),
            (".wh.etc", Some(Whiteout::Gone("etc".into()))),
            ("etc/.wh..wh..opq", Some(Whiteout::Opaque("etc".into()))),
            ("etc/.wh.", None),
            ("etc/passwd", None),
            ("etc/.whx", None),
        ] {
            assert_eq!(Whiteout::of(Path::new(path)), expected, "{path}");
        }
    }
}
