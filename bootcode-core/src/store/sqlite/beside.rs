//! What is done with a store's file beside the process that has it open, or without one: checking and copying it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{
    super::StoreError,
    SqliteStore,
    open::{BUSY, cannot, explain, integrity, known_version},
};

impl SqliteStore {
    /// Checks every page and index of the store in this file, and that this version can read it. Blocks; changes nothing, and
    /// a server may have it open meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Open`] where it cannot be read, [`StoreError::Damaged`] with what is wrong.
    pub fn check_file(path: &Path) -> Result<(), StoreError> {
        let connection = read_only(path)?;
        integrity(&connection, path, "integrity_check")?;
        known_version(&connection, path).map(drop)
    }

    /// Copies the store in the file `from`, as it is at one moment, into the file `to`, which must be missing or empty. Blocks;
    /// a server may have `from` open and goes on writing. The copy is one file; syncing it is the caller's.
    ///
    /// # Errors
    /// [`StoreError::Open`] where either cannot be used, [`StoreError::Damaged`] where `from` is.
    pub fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
        let connection = read_only(from)?;
        known_version(&connection, from)?;
        let Some(name) = to.to_str() else {
            return Err(cannot(to, &"SQLite takes UTF-8 names only: give it another"));
        };
        // One reading transaction: what is committed meanwhile is not in it, what was acknowledged before is.
        connection.execute("VACUUM INTO ?1", [name]).map(drop).map_err(|error| match explain(from, &error) {
            damaged @ StoreError::Damaged { .. } => damaged,
            _ => cannot(to, &error),
        })
    }
}

fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let told = |error: rusqlite::Error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(told)?;
    connection.busy_timeout(BUSY).map_err(told)?;
    Ok(connection)
}
