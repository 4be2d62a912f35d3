//! A tar's entries as files: owners, modes, times, hard links, device nodes and extended attributes kept.

use std::{
    fs, io,
    io::Read,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use nix::{
    fcntl::AT_FDCWD,
    sys::{
        stat::{Mode, SFlag, UtimensatFlags, makedev, mknod, utimensat},
        time::TimeSpec,
    },
    unistd::{Gid, Uid, fchownat},
};
use tar::{Archive, Entry, EntryType};

use super::{UnpackError, limits};

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, directories, links and nodes.
    pub entries: u64,
    /// Bytes of regular files.
    pub bytes: u64,
}

/// Unpacks a plain tar into `target`, an existing directory that should be empty. Needs the rights of root for owners,
/// device nodes and capabilities.
///
/// # Errors
/// The first entry that cannot be read, leaves `target`, or cannot be written.
pub fn unpack_tar(reader: impl Read, target: &Path) -> Result<Unpacked, UnpackError> {
    let mut archive = Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(true);
    archive.set_overwrite(true);
    let mut unpacked = Unpacked::default();
    // A directory's time changes with every file in it, and its mode may forbid writing: both are set last.
    let mut directories = Vec::new();
    let entries = archive.entries().map_err(|source| UnpackError::Read { entries: 0, source })?;
    for entry in entries {
        let unread = |source| UnpackError::Read { entries: unpacked.entries, source };
        let mut entry = entry.map_err(unread)?;
        let path = inside(&entry.path().map_err(unread)?)?;
        if unpacked.entries == limits::TAR_ENTRIES {
            return Err(UnpackError::TooMany { bound: limits::TAR_ENTRIES });
        }
        write_entry(&mut entry, target, &path, &mut directories)
            .map_err(|source| UnpackError::Write { path, source })?;
        unpacked.entries += 1;
        if entry.header().entry_type().is_file() {
            unpacked.bytes += entry.size();
        }
    }
    if unpacked.entries == 0 {
        return Err(UnpackError::Empty);
    }
    for directory in directories.iter().rev() {
        directory.finish().map_err(|source| UnpackError::Write { path: directory.path.clone(), source })?;
    }
    Ok(unpacked)
}

/// The entry's name below the target; the root itself is the empty path.
pub(crate) fn inside(path: &Path) -> Result<PathBuf, UnpackError> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(UnpackError::Outside { path: path.display().to_string() });
            }
        }
    }
    Ok(clean)
}

/// Writes one entry.
pub(crate) fn write_entry<R: Read>(
    entry: &mut Entry<'_, R>,
    target: &Path,
    path: &Path,
    directories: &mut Vec<Directory>,
) -> io::Result<()> {
    match entry.header().entry_type() {
        EntryType::Directory => {
            entry.unpack_in(target)?;
            directories.push(Directory::of(entry, &target.join(path))?);
        }
        kind @ (EntryType::Char | EntryType::Block | EntryType::Fifo) => {
            write_node(entry, target, path, kind)?;
        }
        EntryType::Regular
        | EntryType::Continuous
        | EntryType::GNUSparse
        | EntryType::Link
        | EntryType::Symlink
        | EntryType::XGlobalHeader => {
            if !entry.unpack_in(target)? {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the entry leaves the target"));
            }
        }
        other => {
            let text = format!("entries of type {:?} are not known", char::from(other.as_byte()));
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
    }
    Ok(())
}

/// The tar crate would write a node as an empty file.
fn write_node<R: Read>(
    entry: &mut Entry<'_, R>,
    target: &Path,
    path: &Path,
    kind: EntryType,
) -> io::Result<()> {
    let parent = target.join(path.parent().unwrap_or(Path::new("")));
    if !parent.canonicalize()?.starts_with(target.canonicalize()?) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its directory lies outside of the target"));
    }
    let full = target.join(path);
    match fs::symlink_metadata(&full) {
        Ok(found) if !found.is_dir() => fs::remove_file(&full)?,
        _ => {}
    }
    let header = entry.header();
    // A FIFO's numbers may be blank.
    let device = || -> io::Result<u64> {
        let (major, minor) = (header.device_major()?, header.device_minor()?);
        Ok(makedev(major.unwrap_or_default().into(), minor.unwrap_or_default().into()))
    };
    let (flag, device) = match kind {
        EntryType::Char => (SFlag::S_IFCHR, device()?),
        EntryType::Block => (SFlag::S_IFBLK, device()?),
        _ => (SFlag::S_IFIFO, 0),
    };
    let mode = Mode::from_bits_truncate(header.mode()?);
    mknod(&full, flag, Mode::S_IRUSR, device)?;
    chown(&full, header)?;
    fs::set_permissions(&full, std::os::unix::fs::PermissionsExt::from_mode(mode.bits()))?;
    set_mtime(&full, header.mtime()?)
}

/// What is set on a directory once everything in it is there.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    mode: u32,
    mtime: u64,
    uid: Uid,
    gid: Gid,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Directory {
    fn of<R: Read>(entry: &mut Entry<'_, R>, path: &Path) -> io::Result<Self> {
        let mut xattrs = Vec::new();
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                if let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") {
                    xattrs.push((name.to_vec(), extension.value_bytes().to_vec()));
                }
            }
        }
        let header = entry.header();
        let (uid, gid) = owner(header)?;
        Ok(Self { path: path.to_owned(), mode: header.mode()?, mtime: header.mtime()?, uid, gid, xattrs })
    }

    pub(crate) fn finish(&self) -> io::Result<()> {
        fchownat(
            AT_FDCWD,
            &self.path,
            Some(self.uid),
            Some(self.gid),
            nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
        )?;
        fs::set_permissions(&self.path, std::os::unix::fs::PermissionsExt::from_mode(self.mode & 0o7777))?;
        for (name, value) in &self.xattrs {
            xattr::set(&self.path, std::ffi::OsStr::from_bytes(name), value)?;
        }
        set_mtime(&self.path, self.mtime)
    }
}

fn owner(header: &tar::Header) -> io::Result<(Uid, Gid)> {
    let id = |value: u64| {
        u32::try_from(value)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "an owner's number is too large"))
    };
    Ok((Uid::from_raw(id(header.uid()?)?), Gid::from_raw(id(header.gid()?)?)))
}

fn chown(path: &Path, header: &tar::Header) -> io::Result<()> {
    let (uid, gid) = owner(header)?;
    Ok(fchownat(AT_FDCWD, path, Some(uid), Some(gid), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

fn set_mtime(path: &Path, seconds: u64) -> io::Result<()> {
    let time = TimeSpec::new(i64::try_from(seconds).unwrap_or(i64::MAX), 0);
    Ok(utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)?)
}
