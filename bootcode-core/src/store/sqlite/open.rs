//! Opening the file: its lock, its pragmas, its schema's version.

use std::{
    ffi::OsString,
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::super::StoreError;

/// How long a connection waits for another one of this process.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// Each brings the schema one version further; `user_version` counts those that were carried out.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE documents (kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,
                            PRIMARY KEY (kind, name)) WITHOUT ROWID;
    CREATE TABLE heads (log TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE entries (log TEXT NOT NULL, seq INTEGER NOT NULL, value TEXT NOT NULL,
                          PRIMARY KEY (log, seq)) WITHOUT ROWID;
    CREATE TABLE commits (revision INTEGER NOT NULL PRIMARY KEY, changes TEXT NOT NULL);
"];

/// Takes the lock of the store at `path`.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(|error| {
            match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => read_only(path, &error),
                _ => cannot(path, &format_args!("{error}; the directory must exist and be writable")),
            }
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(cannot(
            path,
            &"another server has it open; stop that one first, or give this one its own data_dir",
        )),
        Err(TryLockError::Error(error)) => Err(cannot(path, &error)),
    }
}

/// The writing connection, with the schema of this version.
pub(super) fn writing(path: &Path) -> Result<Connection, StoreError> {
    let told = |error: rusqlite::Error| explain(path, &error);
    let mut connection = Connection::open(path).map_err(told)?;
    connection.busy_timeout(BUSY).map_err(told)?;
    // SQLite opens what it may not write for reading, and would say so with the first write.
    if connection.is_readonly(MAIN_DB).map_err(told)? {
        return Err(read_only(path, &"the file is read-only"));
    }
    integrity(&connection, path, "quick_check")?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(told)?;
    // FULL: an acknowledged commit survives a loss of power, not only of the process (I4).
    connection.pragma_update(None, "synchronous", "full").map_err(told)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// A reading connection.
pub(super) fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Runs `quick_check` or `integrity_check`.
pub(super) fn integrity(connection: &Connection, path: &Path, check: &str) -> Result<(), StoreError> {
    let first: String = connection
        .query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if first == "ok" { Ok(()) } else { Err(damaged(path, &first)) }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let told = |error: rusqlite::Error| explain(path, &error);
    let version = known_version(connection, path)?;
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction().map_err(told)?;
        transaction.execute_batch(migration).map_err(told)?;
        transaction
            .pragma_update(None, "user_version", i64::try_from(done + 1).unwrap_or(i64::MAX))
            .map_err(told)?;
        transaction.commit().map_err(told)?;
    }
    Ok(())
}

/// The version of the schema, which is one that this program knows.
pub(super) fn known_version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let version: usize = connection
        .query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
        .map(|version| usize::try_from(version).unwrap_or(usize::MAX))
        .map_err(|error| explain(path, &error))?;
    let known = MIGRATIONS.len();
    if version > known {
        return Err(cannot(
            path,
            &format_args!(
                "its schema is version {version}, this program knows {known}; use the newer program, or restore a backup of \
                 before it ran"
            ),
        ));
    }
    Ok(version)
}

pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => damaged(path, error),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => read_only(path, error),
        _ => cannot(path, error),
    }
}

fn damaged(path: &Path, message: &dyn fmt::Display) -> StoreError {
    StoreError::Damaged { place: path.display().to_string(), message: message.to_string().replace('\n', " ") }
}

fn read_only(path: &Path, message: &dyn fmt::Display) -> StoreError {
    StoreError::ReadOnly { place: path.display().to_string(), message: message.to_string() }
}

pub(super) fn cannot(path: &Path, message: &dyn fmt::Display) -> StoreError {
    StoreError::Open { place: path.display().to_string(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root may write every file; that SQLite was told to open it for reading does not change with the user.
    #[test]
    fn a_store_that_cannot_be_written_is_named_with_its_remedy_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bootcode.sqlite");
        drop(writing(&file).unwrap());
        let before = std::fs::read(&file).unwrap();
        let uri = PathBuf::from(format!("file:{}?mode=ro", file.display()));
        let denied = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY_DIRECTORY);
        for (what, error) in [
            ("a file", writing(&uri).unwrap_err()),
            ("a directory", explain(&file, &rusqlite::Error::SqliteFailure(denied, None))),
        ] {
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{what}: {error:?}");
            let text = error.to_string();
            for part in ["bootcode.sqlite", "cannot be written", "chown", "data_dir"] {
                assert!(text.contains(part), "{what}: {text}");
            }
        }
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }

    #[test]
    fn a_place_where_nothing_can_be_made_is_told() {
        // Nobody can make a file there, not even root.
        let error = lock(Path::new("/proc/self/bootcode.sqlite")).unwrap_err().to_string();
        assert!(error.contains("/proc/self/bootcode.sqlite") && error.contains("writ"), "{error}");
    }
}
