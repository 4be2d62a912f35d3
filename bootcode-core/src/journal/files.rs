//! A journal of files in a directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use super::{Journal, JournalError, name};

/// What a stream's file is called besides the stream's last part: a stream and one below it can stand side by side.
const ENDING: &str = ".stream";

/// One file for each stream. Appended text may lose its last second in a crash of the host; a replaced stream is whole, old or new.
#[derive(Debug, Clone)]
pub struct FileJournal {
    root: PathBuf,
}

impl FileJournal {
    /// A journal in this directory, which is made where it is missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned() })
    }

    async fn work<T: Send + 'static>(
        &self,
        stream: &str,
        work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        name::check(stream)?;
        let path = self.root.join(format!("{stream}{ENDING}"));
        let done = tokio::task::spawn_blocking(move || work(path)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| JournalError { stream: stream.to_owned(), source })
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, stream: &str, bytes: &[u8]) -> Result<u64, JournalError> {
        let bytes = bytes.to_vec();
        self.work(stream, move |path| {
            let mut file = below(&path, || OpenOptions::new().create(true).append(true).open(&path))?;
            file.write_all(&bytes)?;
            Ok(file.metadata()?.len())
        })
        .await
    }

    async fn read(&self, stream: &str, from: u64, max: usize) -> Result<Vec<u8>, JournalError> {
        self.work(stream, move |path| {
            let Some(mut file) = existing(File::open(path))? else { return Ok(Vec::new()) };
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.take(max as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await
    }

    async fn len(&self, stream: &str) -> Result<u64, JournalError> {
        self.work(stream, |path| Ok(existing(fs::metadata(path))?.map_or(0, |metadata| metadata.len()))).await
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<String>, JournalError> {
        let (root, start) = (self.root.clone(), prefix.to_owned());
        let done = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            collect(&root, "", &start, &mut found)?;
            found.sort();
            Ok(found)
        });
        done.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| JournalError { stream: prefix.to_owned(), source })
    }

    async fn replace(&self, stream: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let bytes = bytes.to_vec();
        self.work(stream, move |path| {
            let new = path.with_extension("new");
            let mut file = below(&new, || File::create(&new))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        })
        .await
    }

    async fn remove(&self, stream: &str) -> Result<(), JournalError> {
        let root = self.root.clone();
        self.work(stream, move |path| {
            existing(fs::remove_file(&path))?;
            // The directories that were made for it go too; one that holds anything else stays, and so do those above it.
            let mut above = path.ancestors().skip(1).take_while(|directory| **directory != root);
            let _ = above.try_for_each(fs::remove_dir);
            Ok(())
        })
        .await
    }
}

/// Opens a file to write; makes the directories above it where they are missing.
fn below(path: &Path, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            open()
        }
        opened => opened,
    }
}

fn existing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The streams below a directory whose names begin with `prefix`. Directories are as deep as stream names are, which are bounded.
fn collect(directory: &Path, above: &str, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    let Some(entries) = existing(fs::read_dir(directory))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        let name = format!("{above}{own}");
        if entry.file_type()?.is_dir() {
            let inside = format!("{name}/");
            if inside.starts_with(prefix) || prefix.starts_with(&inside) {
                collect(&entry.path(), &inside, prefix, found)?;
            }
        } else if let Some(stream) = name.strip_suffix(ENDING)
            && stream.starts_with(prefix)
        {
            found.push(stream.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::MemoryJournal;

    #[tokio::test]
    async fn both_journals_append_read_replace_and_list_alike() {
        let directory = tempfile::tempdir().unwrap();
        let files = FileJournal::open(directory.path()).unwrap();
        let journals: [&dyn Journal; 2] = [&files, &MemoryJournal::new()];
        for journal in journals {
            assert_eq!(journal.append("log/w/a/1", b"one\n").await.unwrap(), 4);
            assert_eq!(journal.append("log/w/a/1", b"two\n").await.unwrap(), 8);
            journal.append("log/w/a", b"x").await.unwrap();
            journal.append("log/w2/b/1", b"x").await.unwrap();
            assert_eq!(journal.read("log/w/a/1", 4, 2).await.unwrap(), b"tw");
            assert_eq!(journal.read("log/w/a/1", 99, 2).await.unwrap(), b"");
            assert_eq!(journal.read("log/none", 0, 2).await.unwrap(), b"");
            assert_eq!(journal.len("log/none").await.unwrap(), 0);
            journal.replace("log/w/a/1", b"new").await.unwrap();
            assert_eq!(journal.len("log/w/a/1").await.unwrap(), 3);
            assert_eq!(journal.streams("log/w/").await.unwrap(), ["log/w/a", "log/w/a/1"]);
            assert_eq!(journal.streams("log/w").await.unwrap().len(), 3);
            assert!(journal.append("../out", b"x").await.is_err());
            for _ in 0..2 {
                journal.remove("log/w/a/1").await.unwrap();
                assert_eq!(journal.streams("log/w").await.unwrap(), ["log/w/a", "log/w2/b/1"]);
            }
            assert!(journal.remove("../out").await.is_err() || journal.streams("").await.unwrap().len() == 2);
            assert_eq!(journal.append("log/w/a/1", b"again").await.unwrap(), 5);
            for stream in journal.streams("").await.unwrap() {
                journal.remove(&stream).await.unwrap();
            }
        }
        let left = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, 0, "no empty directories are left, and the journal's own stays");
    }
}
