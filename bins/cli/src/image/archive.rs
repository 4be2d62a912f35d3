//! Files of a tar, read where they stand.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use super::format;

/// Entries of an archive: an image has some files a layer, and a hundred layers.
const ENTRIES: usize = 100_000;
/// Links that lead to links.
const LINKS: usize = 8;

/// A tar of this host. Its files are by their names without `./` before them.
pub(super) struct Archive {
    file: Arc<File>,
    entries: BTreeMap<String, Entry>,
}

enum Entry {
    File { at: u64, len: u64 },
    Link { to: String },
}

/// A file in it.
pub(super) struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Archive {
    /// Reads what the tar holds, but no file of it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut start = [0; 512];
        let read = file.read_at(&mut start, 0)?;
        let what = format::name(format::media_type(&start[..read]));
        if ["zstd", "gzip", "xz", "bzip2"].contains(&what) {
            let why = format!("it is compressed by {what}; decompress it first");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let mut entries = BTreeMap::new();
        let mut archive = tar::Archive::new(&file);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = normal("", &String::from_utf8_lossy(&entry.path_bytes()));
            if entries.len() == ENTRIES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it has too many files for an image"));
            }
            let kind = entry.header().entry_type();
            if kind.is_file() {
                entries.insert(name, Entry::File { at: entry.raw_file_position(), len: entry.size() });
            } else if let Some(to) = entry.link_name_bytes() {
                let to = String::from_utf8_lossy(&to);
                let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                // A hard link names its file from the archive's root.
                let to = normal(if kind.is_symlink() { directory } else { "" }, &to);
                entries.insert(name, Entry::Link { to });
            }
        }
        Ok(Self { file: Arc::new(file), entries })
    }

    /// The file of that name, through links.
    pub(super) fn file(&self, name: &str) -> io::Result<Part> {
        let mut name = name;
        for _ in 0..LINKS {
            match self.entries.get(name) {
                Some(Entry::File { at, len }) => {
                    return Ok(Part { file: Arc::clone(&self.file), at: *at, left: *len });
                }
                Some(Entry::Link { to }) => name = to,
                None => break,
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the archive has no such file"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.file(name).is_ok()
    }
}

impl Part {
    /// Bytes of it that were not read yet.
    pub(super) const fn len(&self) -> u64 {
        self.left
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if read == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive was cut short"));
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// `path` as seen from `directory`, without `.` and `..`.
fn normal(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn names_are_seen_from_their_directory() {
        for (directory, path, name) in [
            ("", "./index.json", "index.json"),
            ("a", "../b/layer.tar", "b/layer.tar"),
            ("a/b", "./c", "a/b/c"),
            ("a", "../../../etc/passwd", "etc/passwd"),
            ("", "", ""),
        ] {
            assert_eq!(normal(directory, path), name);
        }
    }
}
