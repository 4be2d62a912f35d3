//! A journal of files in a directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    Journal, JournalError,
    gathered::{Gathered, below, existing, sync},
    name,
};

/// What a stream's file is called besides the stream's last part: a stream and one below it can stand side by side.
pub(super) const ENDING: &str = ".stream";

/// One file for each stream. What is appended to many at once is gathered in a log first, which is one write. Appended text may lose its
/// last second in a crash of the host; a replaced stream is whole, old or new.
#[derive(Debug, Clone)]
pub struct FileJournal {
    root: PathBuf,
    /// Held while files are read and written, never across an await.
    gathered: Arc<Mutex<Gathered>>,
}

impl FileJournal {
    /// A journal in this directory, which is made where it is missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned(), gathered: Arc::new(Mutex::new(Gathered::open(root)?)) })
    }

    async fn work<T: Send + 'static>(
        &self,
        stream: &str,
        work: impl FnOnce(&mut Gathered) -> io::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let gathered = Arc::clone(&self.gathered);
        let done = tokio::task::spawn_blocking(move || work(&mut locked(&gathered))).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| JournalError { stream: stream.to_owned(), source })
    }

    /// On a stream's own file, in which all of the stream is then.
    async fn change<T: Send + 'static>(
        &self,
        stream: &str,
        change: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        name::check(stream)?;
        let name = stream.to_owned();
        self.work(stream, move |gathered| {
            gathered.settle(&name)?;
            change(&gathered.file(&name))
        })
        .await
    }
}

fn locked(gathered: &Mutex<Gathered>) -> MutexGuard<'_, Gathered> {
    gathered.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, stream: &str, bytes: &[u8]) -> Result<u64, JournalError> {
        let bytes = bytes.to_vec();
        self.change(stream, move |path| {
            let mut file = below(path, || OpenOptions::new().create(true).append(true).open(path))?;
            file.write_all(&bytes)?;
            Ok(file.metadata()?.len())
        })
        .await
    }

    async fn append_all(&self, appends: Vec<(String, Vec<u8>)>) -> Result<Vec<u64>, JournalError> {
        for (stream, _) in &appends {
            name::check(stream)?;
        }
        let gathered = Arc::clone(&self.gathered);
        let root = self.root.clone();
        self.work("of many", move |all| {
            let lengths = all.append(&appends)?;
            if let Some(number) = all.owes_sync() {
                // Beside the next rounds: a slow disk takes seconds for it.
                tokio::task::spawn_blocking(move || {
                    let synced = sync(&root);
                    if let Err(error) = locked(&gathered).synced(number, synced) {
                        tracing::warn!(%error, journal = %root.display(), "the journal's earlier log stays; trying again");
                    }
                });
            }
            Ok(lengths)
        })
        .await
    }

    async fn read(&self, stream: &str, from: u64, max: usize) -> Result<Vec<u8>, JournalError> {
        name::check(stream)?;
        let name = stream.to_owned();
        self.work(stream, move |gathered| gathered.read(&name, from, max)).await
    }

    async fn len(&self, stream: &str) -> Result<u64, JournalError> {
        name::check(stream)?;
        let name = stream.to_owned();
        self.work(stream, move |gathered| gathered.len(&name)).await
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<String>, JournalError> {
        let (root, start) = (self.root.clone(), prefix.to_owned());
        self.work(prefix, move |gathered| {
            let mut found = Vec::new();
            collect(&root, "", &start, &mut found)?;
            let mut all = gathered.streams(&start);
            all.extend(found);
            Ok(all.into_iter().collect())
        })
        .await
    }

    async fn replace(&self, stream: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let bytes = bytes.to_vec();
        self.change(stream, move |path| {
            let new = path.with_extension("new");
            let mut file = below(&new, || File::create(&new))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)
        })
        .await
    }

    async fn remove(&self, stream: &str) -> Result<(), JournalError> {
        let root = self.root.clone();
        self.change(stream, move |path| {
            existing(fs::remove_file(path))?;
            // The directories that were made for it go too; one that holds anything else stays, and so do those above it.
            let mut above = path.ancestors().skip(1).take_while(|directory| **directory != root);
            let _ = above.try_for_each(fs::remove_dir);
            Ok(())
        })
        .await
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
            let both = ["log/w/a", "log/w/b/1"].map(|stream| (stream.to_owned(), b"y".to_vec()));
            assert_eq!(journal.append_all(both.to_vec()).await.unwrap(), [2, 1]);
            assert_eq!(journal.append_all(both.to_vec()).await.unwrap(), [3, 2]);
            assert_eq!(journal.read("log/w/a", 1, 9).await.unwrap(), b"yy");
            assert_eq!(journal.streams("log/w").await.unwrap(), ["log/w/a", "log/w/b/1", "log/w2/b/1"]);
            assert_eq!(journal.append("log/w/b/1", b"z").await.unwrap(), 3);
            assert_eq!(journal.append_all(both[1..].to_vec()).await.unwrap(), [4]);
            assert_eq!(journal.read("log/w/b/1", 0, 9).await.unwrap(), b"yyzy");
            journal.replace("log/w/b/1", b"new").await.unwrap();
            assert_eq!(journal.append_all(both[1..].to_vec()).await.unwrap(), [4]);
            assert_eq!(journal.read("log/w/b/1", 0, 9).await.unwrap(), b"newy");
            journal.remove("log/w/b/1").await.unwrap();
            assert!(journal.append_all(vec![("../out".to_owned(), b"x".to_vec())]).await.is_err());
            assert!(journal.remove("../out").await.is_err() || journal.streams("").await.unwrap().len() == 2);
            assert_eq!(journal.append("log/w/a/1", b"again").await.unwrap(), 5);
            for stream in journal.streams("").await.unwrap() {
                journal.remove(&stream).await.unwrap();
            }
        }
        let left =
            fs::read_dir(directory.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
        assert_eq!(left.count(), 0, "no empty directories are left, and the journal's own stays");
    }
}
