//! The data directory: keys, and the epoch that tells a lost or restored one.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("data_dir: {} cannot be {what}: {source}{}", path.display(), remedy(source))]
pub struct DataError {
    /// What was tried.
    pub what: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: io::Error,
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; give the server's user the right to, or configure another directory"
        }
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "; configure another directory",
        io::ErrorKind::StorageFull => "; make room",
        _ => "",
    }
}

/// The store's file in it.
pub(crate) const DATABASE: &str = "bootcode.sqlite";

/// The server's own directory, readable by its user only.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Makes it where it is missing.
    ///
    /// # Errors
    /// See [`DataError`].
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("made", path))?;
        let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            // Not mended by itself: somebody may have named a directory that others need.
            let (path, mode) = (path.display(), format!("{mode:o}"));
            tracing::warn!(%path, mode, "others than the server's user may look into data_dir: `chmod 700` it");
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The file or directory of this name in it.
    #[must_use]
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The key that seals tokens: read, or made of `fresh` and kept.
    ///
    /// # Errors
    /// See [`DataError`]; a key of another length is damaged.
    pub(crate) fn token_key(&self, fresh: impl FnOnce() -> [u8; 32]) -> Result<[u8; 32], DataError> {
        let path = self.join("token.key");
        match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map_err(|_| {
                failed(
                    "read as a key of 32 bytes (remove it: sessions end, installed systems keep running)",
                    &path,
                )(io::ErrorKind::InvalidData.into())
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = fresh();
                self.replace("token.key", &key)?;
                Ok(key)
            }
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// A file's text; `None` where there is none.
    ///
    /// # Errors
    /// See [`DataError`].
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, DataError> {
        let path = self.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// How often a server was started here; `None` before the first time.
    ///
    /// # Errors
    /// See [`DataError`].
    pub(crate) fn epoch(&self) -> Result<Option<u64>, DataError> {
        self.number("epoch", "read as a number (write 0 into it: open workflows will be held)")
    }

    /// Writes the epoch, durably.
    ///
    /// # Errors
    /// See [`DataError`].
    pub(crate) fn set_epoch(&self, epoch: u64) -> Result<(), DataError> {
        self.replace("epoch", format!("{epoch}\n").as_bytes())
    }

    /// A revision that the store had reached; `None` where nobody wrote one down.
    ///
    /// # Errors
    /// See [`DataError`].
    pub(crate) fn reached(&self) -> Result<Option<u64>, DataError> {
        self.number(
            "reached",
            "read as a number (write 0 into it: a store that was put back may not be told)",
        )
    }

    /// Writes down a revision that the store has reached, durably.
    ///
    /// # Errors
    /// See [`DataError`].
    pub(crate) fn set_reached(&self, revision: u64) -> Result<(), DataError> {
        self.replace("reached", format!("{revision}\n").as_bytes())
    }

    fn number(&self, name: &str, damaged: &'static str) -> Result<Option<u64>, DataError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.trim().parse().map(Some);
        number.map_err(|_| failed(damaged, &self.join(name))(io::ErrorKind::InvalidData.into()))
    }

    /// Replaces a file whole: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// See [`DataError`].
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), DataError> {
        let (path, part) = (self.join(name), self.join(&format!("{name}.part")));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .map_err(failed("written", &part))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("written", &part))?;
        fs::rename(&part, &path).map_err(failed("written", &path))?;
        fs::File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("written", &self.path))
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_damaged_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(&dir.path().join("data")).unwrap();
        assert_eq!(data.token_key(|| [1; 32]).unwrap(), [1; 32]);
        assert_eq!(data.token_key(|| [2; 32]).unwrap(), [1; 32]);
        fs::write(data.join("token.key"), b"short").unwrap();
        assert!(data.token_key(|| [3; 32]).unwrap_err().to_string().contains("token.key"));
    }

    #[test]
    fn the_epoch_counts_from_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        assert_eq!(data.epoch().unwrap(), None);
        data.set_epoch(7).unwrap();
        assert_eq!(data.epoch().unwrap(), Some(7));
    }
}
