//! Which blobs were found to be what their names say.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Digest;
use crate::limits;

const FILE: &str = ".verified";
/// Checks at the same time, each of another part of the digests.
const TURNS: usize = 16;

/// Versions of blobs' files (by inode, length and time of change) whose content was hashed.
///
/// It is also on disk, a line for each, so that a restarted server need not read all of its images again. What is lost of it is
/// found again by hashing; a line that a crash tore names no version that there is.
#[derive(Debug)]
pub(super) struct Verified {
    path: PathBuf,
    known: Mutex<BTreeSet<(Digest, String)>>,
    turns: [Mutex<()>; TURNS],
}

impl Verified {
    /// Reads what is known of the layout in `root`; blocks for a moment.
    pub(super) fn read(root: &Path) -> Self {
        let path = root.join(FILE);
        let known = File::open(&path).and_then(|file| read(file.take(limits::VERIFIED_BYTES)));
        Self { path, known: Mutex::new(known.unwrap_or_default()), turns: Default::default() }
    }

    /// Whether this version of the blob's file is good.
    pub(super) fn has(&self, digest: &Digest, version: &str) -> bool {
        self.known().contains(&(digest.clone(), version.to_owned()))
    }

    /// It is. Where that cannot be written, it is forgotten with the process.
    pub(super) fn add(&self, digest: &Digest, version: &str) {
        let mut known = self.known();
        if known.len() >= limits::VERIFIED_BLOBS {
            known.pop_first();
        }
        known.insert((digest.clone(), version.to_owned()));
        let _ = self.write(&known, digest, version);
    }

    /// The right to hash that blob, which one has at a time.
    pub(super) fn turn(&self, digest: &Digest) -> MutexGuard<'_, ()> {
        let turn = usize::from_str_radix(&digest.hex()[..1], TURNS as u32).unwrap_or_default();
        self.turns[turn].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, known: &BTreeSet<(Digest, String)>, digest: &Digest, version: &str) -> io::Result<()> {
        // Before it is too long to be read, it is written anew.
        let len = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if len > limits::VERIFIED_BYTES / 2 {
            let text: String = known.iter().map(|(digest, version)| line(digest, version)).collect();
            return fs::write(&self.path, text);
        }
        let mut file = File::options().append(true).create(true).open(&self.path)?;
        file.write_all(line(digest, version).as_bytes())
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<(Digest, String)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On a line of its own, also after one that a crash tore.
fn line(digest: &Digest, version: &str) -> String {
    format!("\n{digest} {version}\n")
}

fn read(mut file: impl io::Read) -> io::Result<BTreeSet<(Digest, String)>> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let known = text.lines().filter_map(|line| {
        let (digest, version) = line.split_once(' ')?;
        Some((digest.parse().ok()?, version.to_owned()))
    });
    Ok(known.take(limits::VERIFIED_BLOBS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_verified_is_known_after_a_restart_and_torn_lines_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        Verified::read(directory.path()).add(&a, "1-2-3.4");
        let mut file = File::options().append(true).open(directory.path().join(FILE)).unwrap();
        write!(file, "\n{b} 9-9-").unwrap();
        let verified = Verified::read(directory.path());
        verified.add(&b, "5-6-7.8");
        let verified = Verified::read(directory.path());
        assert!(verified.has(&a, "1-2-3.4") && verified.has(&b, "5-6-7.8"));
        assert!(!verified.has(&a, "1-2-3.5") && !verified.has(&b, "9-9-9.9"));
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let verified = Verified::read(directory.path());
        let long = "x".repeat(64 << 10);
        for n in 0..100_u32 {
            verified.known().clear();
            verified.add(&Digest::of(&n.to_le_bytes()), &long);
            let len = fs::metadata(directory.path().join(FILE)).unwrap().len();
            assert!(len <= limits::VERIFIED_BYTES, "{n}: {len}");
        }
        assert!(Verified::read(directory.path()).has(&Digest::of(&99_u32.to_le_bytes()), &long));
    }
}
