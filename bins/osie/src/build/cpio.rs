//! A cpio archive of the `newc` form, the one that kernels unpack (`Documentation/driver-api/early-userspace/buffer-format`).

use std::collections::BTreeMap;

const TRAILER: &str = "TRAILER!!!";
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

/// One entry of an archive; all belong to root and have no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory with these permissions.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A file with these permissions and contents.
    File {
        /// Permission bits.
        mode: u32,
        /// Contents, under 4 GiB.
        data: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// What it points to.
        target: String,
    },
    /// A character device.
    Device {
        /// Permission bits.
        mode: u32,
        /// Device number, major.
        major: u32,
        /// Device number, minor.
        minor: u32,
    },
}

/// Entries by path; the same entries always give the same bytes.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Puts an entry at `path` (relative, with `/`), with the directories above it; one that is there already is replaced.
    pub fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/');
        for (at, _) in path.match_indices('/') {
            self.entries.entry(path[..at].to_owned()).or_insert(Entry::Directory { mode: 0o755 });
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Puts a file.
    pub fn file(&mut self, path: &str, mode: u32, data: impl Into<Vec<u8>>) {
        self.add(path, Entry::File { mode, data: data.into() });
    }

    /// Puts a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.add(path, Entry::Link { target: target.to_owned() });
    }

    /// The archive's bytes, sorted by path so that a directory stands before what is in it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, (path, entry)) in (1u32..).zip(&self.entries) {
            let (mode, data, device) = match entry {
                Entry::Directory { mode } => (S_IFDIR | mode, &[][..], (0, 0)),
                Entry::File { mode, data } => (S_IFREG | mode, data.as_slice(), (0, 0)),
                Entry::Link { target } => (S_IFLNK | 0o777, target.as_bytes(), (0, 0)),
                Entry::Device { mode, major, minor } => (S_IFCHR | mode, &[][..], (*major, *minor)),
            };
            write_entry(&mut bytes, number, path, mode, data, device);
        }
        write_entry(&mut bytes, 0, TRAILER, 0, &[], (0, 0));
        bytes
    }
}

fn write_entry(to: &mut Vec<u8>, number: u32, path: &str, mode: u32, data: &[u8], device: (u32, u32)) {
    let links = if mode & S_IFDIR == S_IFDIR && mode & S_IFREG != S_IFREG { 2 } else { 1 };
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let name_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
    to.extend_from_slice(b"070701");
    // inode, mode, uid, gid, links, mtime, size, device of the file (2), device it is (2), name's size, check
    let fields = [number, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
    for field in fields {
        to.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    to.extend_from_slice(path.as_bytes());
    to.push(0);
    pad(to);
    to.extend_from_slice(data);
    pad(to);
}

fn pad(to: &mut Vec<u8>) {
    to.resize(to.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_sorted_padded_and_ends_with_the_trailer() {
        let mut archive = Archive::default();
        archive.file("z", 0o644, "end");
        archive.file("/a/b/f", 0o755, "12345");
        archive.link("l", "a/b");
        archive.add("dev/console", Entry::Device { mode: 0o600, major: 5, minor: 1 });
        let bytes = archive.to_bytes();
        assert_eq!(names(&bytes), ["a", "a/b", "a/b/f", "dev", "dev/console", "l", "z", TRAILER]);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("070701000000030000 81ed".replace(' ', "").as_str()), "mode of a/b/f");
        assert!(text.contains("0000000500000001"), "device 5:1");
    }

    #[test]
    fn the_order_of_adding_changes_nothing() {
        let build = |order: [&str; 3]| {
            let mut archive = Archive::default();
            order.into_iter().for_each(|path| archive.file(path, 0o644, path));
            archive.to_bytes()
        };
        assert_eq!(build(["a/x", "b", "a/y"]), build(["b", "a/y", "a/x"]));
    }

    /// A reader of its own, from the format's description.
    fn names(mut bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(&bytes[..6], b"070701");
            let field = |at: usize| {
                let text = std::str::from_utf8(&bytes[6 + at * 8..14 + at * 8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            let (size, name_size) = (field(6), field(11));
            let name = &bytes[110..110 + name_size - 1];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            let data = (110 + name_size).next_multiple_of(4);
            bytes = &bytes[(data + size).next_multiple_of(4)..];
        }
        names
    }
}
