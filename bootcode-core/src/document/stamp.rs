//! Whether the files below a directory are what they were, without reading them.

use std::{
    collections::HashSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::tree::{TreeError, failed, walk};

/// A file may be written twice within one tick of its file system's clock, which has whole seconds on some: what changed so lately may
/// change again and look the same.
const RACY: Duration = Duration::from_secs(3);

/// What the system says of all documents below a directory and the files that they name: names, inodes, sizes and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeStamp {
    files: u64,
    changed: SystemTime,
}

impl TreeStamp {
    /// Looks at every document's file below `path`, and at those of `texts`, as [`read_tree`](super::read_tree) gave them, that are none.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn of(path: &Path, texts: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, TreeError> {
        let mut all = Vec::new();
        let mut changed = UNIX_EPOCH;
        let mut note = |path: &Path, metadata: &fs::Metadata| {
            let mut hasher = DefaultHasher::new();
            let times = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
            (path, metadata.dev(), metadata.ino(), metadata.size(), times).hash(&mut hasher);
            all.push(hasher.finish());
            let at = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
            changed = changed.max(UNIX_EPOCH + at);
        };
        let metadata = fs::metadata(path).map_err(failed(path))?;
        let mut seen = HashSet::new();
        if metadata.is_dir() {
            walk(path, &metadata, &mut HashSet::new(), &mut |path, metadata| {
                seen.insert(path.to_owned());
                note(path, metadata);
                Ok(())
            })?;
        }
        for path in texts {
            let path = path.as_ref();
            if seen.contains(path) {
                continue;
            }
            match fs::metadata(path) {
                Ok(metadata) => note(path, &metadata),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(path)(error)),
            }
        }
        // Directories give their entries in any order.
        all.sort_unstable();
        let mut hasher = DefaultHasher::new();
        all.hash(&mut hasher);
        Ok(Self { files: hasher.finish(), changed })
    }

    /// Whether all of it was as it is for long enough before `begun`: who began to read it then has read what this stamp tells.
    #[must_use]
    pub fn is_settled(self, begun: SystemTime) -> bool {
        // A file server's clock may be ahead: then it is read again until ours has caught up.
        begun.duration_since(self.changed).is_ok_and(|since| since > RACY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_each_change_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::create_dir(file("rack")).unwrap();
        fs::write(file("a.yaml"), "a").unwrap();
        fs::write(file("rack/b.yaml"), "b").unwrap();
        fs::write(file("text"), "t").unwrap();
        let look = || TreeStamp::of(dir.path(), [file("a.yaml"), file("text")]).unwrap();
        let mut last = look();
        assert_eq!(last, look());
        fs::write(file("notes.txt"), "none of ours").unwrap();
        assert_eq!(last, look());
        let changes: [&dyn Fn(); 6] = [
            &|| fs::write(file("a.yaml"), "aa").unwrap(),
            &|| fs::write(file("text"), "tt").unwrap(),
            &|| fs::write(file("c.yaml"), "").unwrap(),
            &|| fs::rename(file("c.yaml"), file("rack/c.yaml")).unwrap(),
            &|| fs::remove_file(file("rack/b.yaml")).unwrap(),
            // Of the same size, by another file in its place, as editors write.
            &|| {
                fs::write(file("new"), "xx").unwrap();
                fs::rename(file("new"), file("a.yaml")).unwrap();
            },
        ];
        for (n, change) in changes.iter().enumerate() {
            change();
            let now = look();
            assert_ne!(last, now, "change {n}");
            last = now;
        }
        let now = SystemTime::now();
        assert!(!last.is_settled(now) && last.is_settled(now + 2 * RACY));
        assert!(!last.is_settled(UNIX_EPOCH), "a clock that is behind settles nothing");
    }
}
