//! A copy of the store for bad days, taken while the server runs.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bootcode_core::store::{SqliteStore, StoreError};

use crate::{
    config::{Config, StoreKind},
    data::DATABASE,
    freshness::{self, FreshnessError},
};

/// There is no backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store keeps nothing.
    #[error(
        "store: memory keeps nothing that could be backed up; its documents are in the directories of `sources`"
    )]
    Memory,
    /// The file cannot be made.
    #[error("backup: {} cannot be written: {source}{}", path.display(), remedy(source))]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The store cannot be read, or the copy not be written.
    #[error("backup: {0}")]
    Store(#[from] StoreError),
    /// The copy cannot be marked as one.
    #[error("backup: {0}")]
    Mark(#[from] FreshnessError),
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AlreadyExists => "; a backup replaces nothing, name another file",
        io::ErrorKind::NotFound => "; its directory must exist",
        io::ErrorKind::StorageFull => "; make room",
        _ => "",
    }
}

/// Copies the store of `config` to a new file of mode 0600, which is whole and on the disk when this returns. A server may have the
/// store open: its commits go on, and those that it acknowledged before are in the copy. A server that is started on the copy holds
/// every open workflow.
///
/// # Errors
/// See [`BackupError`]; nothing is left of the copy then.
pub(crate) async fn backup(config: &Config, to: &Path) -> Result<(), BackupError> {
    if config.store == StoreKind::Memory {
        return Err(BackupError::Memory);
    }
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    let from = config.data_dir.join(DATABASE);
    // Taken first: of two backups to one file the second is refused, and an empty file is no backup to anybody.
    let reserve =
        |path: &Path| fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop);
    reserve(to).map_err(failed)?;
    let part = beside(to, ".part");
    let made = async {
        reserve(&part).map_err(failed)?;
        SqliteStore::copy_file(&from, &part)?;
        mark(&part).await?;
        fs::File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(&part, to).map_err(failed)?;
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }
    .await;
    for end in [".lock", "-wal", "-shm"] {
        // Opening the copy made them; most are gone already.
        let _ = fs::remove_file(beside(&part, end));
    }
    if made.is_err() {
        let _ = fs::remove_file(&part);
        let _ = fs::remove_file(to);
    }
    made
}

/// Says in the copy that it is one. Opening it as a store also shows that a server could.
async fn mark(copy: &Path) -> Result<(), BackupError> {
    let store = SqliteStore::open(copy)?;
    store.check_integrity().await?;
    freshness::mark_copy(&store).await?;
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
