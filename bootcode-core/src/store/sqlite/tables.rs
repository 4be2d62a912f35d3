//! Every statement: reading, and one batch inside the writer's transaction.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, Transaction, params, types::Type};
use serde::{Serialize, de::DeserializeOwned};

use super::rows::Row;
use crate::{
    limits::{STORE_CHANGES, WATCH_PAGE},
    store::{Batch, Change, Entry, Expect, Key, Revision, Stored, Watched},
};

pub(super) fn get(connection: &Connection, key: Key) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached("SELECT revision, value FROM documents WHERE kind = ?1 AND name = ?2")?
        .query_row([&key.kind, &key.name], |row| Ok((number(row, 0)?, json(row, 1)?)))
        .optional()
        .map(|found| found.map(|(revision, value)| Stored { key, revision: Revision(revision), value }))
}

pub(super) fn list(connection: &mut Connection, kind: &str) -> rusqlite::Result<(Vec<Stored>, Revision)> {
    let transaction = connection.transaction()?;
    let found = transaction
        .prepare_cached("SELECT name, revision, value FROM documents WHERE kind = ?1 ORDER BY name")?
        .query_map([kind], |row| {
            let key = Key::new(kind, row.get::<_, String>(0)?);
            Ok(Stored { key, revision: Revision(number(row, 1)?), value: json(row, 2)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let at = revision(&transaction)?;
    Ok((found, at))
}

pub(super) fn read(connection: &Connection, log: &str, from: u64) -> rusqlite::Result<Vec<Entry>> {
    connection
        .prepare_cached("SELECT seq, value FROM entries WHERE log = ?1 AND seq >= ?2 ORDER BY seq")?
        .query_map(params![log, signed(from)], |row| {
            Ok(Entry { seq: number(row, 0)?, value: json(row, 1)? })
        })?
        .collect()
}

pub(super) fn logs(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut statement = connection.prepare_cached("SELECT log FROM heads WHERE log >= ?1 ORDER BY log")?;
    let mut rows = statement.query([prefix])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if !name.starts_with(prefix) {
            break;
        }
        names.push(name);
    }
    Ok(names)
}

/// The next commits after `from`, or `None` where they are no longer all kept.
pub(super) fn after(
    connection: &mut Connection,
    from: Revision,
) -> rusqlite::Result<Option<VecDeque<Watched>>> {
    let transaction = connection.transaction()?;
    let last = revision(&transaction)?;
    let oldest = transaction
        .query_row("SELECT min(revision) FROM commits", [], |row| row.get::<_, Option<i64>>(0))?
        .map_or(last.0 + 1, i64::unsigned_abs);
    if from > last || from.0 + 1 < oldest {
        return Ok(None);
    }
    let some = transaction
        .prepare_cached(
            "SELECT revision, changes FROM commits WHERE revision > ?1 ORDER BY revision LIMIT ?2",
        )?
        .query_map([signed(from.0), signed(WATCH_PAGE as u64)], |row| {
            let revision = Revision(number(row, 0)?);
            let rows: Vec<Row> = json(row, 1)?;
            Ok(Watched::Commit {
                revision,
                changes: rows.into_iter().map(|r| r.into_change(revision)).collect(),
            })
        })?
        .collect::<rusqlite::Result<VecDeque<_>>>()?;
    Ok(Some(some))
}

/// The revision of the last commit: its row is never removed.
pub(super) fn revision(connection: &Connection) -> rusqlite::Result<Revision> {
    connection
        .prepare_cached("SELECT max(revision) FROM commits")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))
        .map(|last| Revision(last.unwrap_or(0).unsigned_abs()))
}

/// The first thing in a batch that does not hold.
pub(super) fn conflict(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<Option<String>> {
    for expect in &batch.expects {
        let (key, holds) = match expect {
            Expect::Absent(key) => (key, document_revision(transaction, key)?.is_none()),
            Expect::At(key, at) => (key, document_revision(transaction, key)? == Some(at.0)),
        };
        if !holds {
            return Ok(Some(format!("{}/{}", key.kind, key.name)));
        }
    }
    let mut heads: Vec<(&str, u64)> = Vec::new();
    for append in &batch.appends {
        let known = heads.iter().position(|(log, _)| *log == append.log);
        let at = if let Some(at) = known {
            at
        } else {
            heads.push((&append.log, head(transaction, &append.log)?));
            heads.len() - 1
        };
        if heads[at].1 != append.after {
            return Ok(Some(append.log.clone()));
        }
        heads[at].1 += append.entries.len() as u64;
    }
    Ok(None)
}

/// Writes a batch whose conditions hold, as the commit `revision`.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    batch: Batch,
    revision: Revision,
) -> rusqlite::Result<Watched> {
    let mut changes = Vec::new();
    for (key, value) in batch.puts {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO documents (kind, name, revision, value) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![key.kind, key.name, signed(revision.0), text(&value)?])?;
        changes.push(Change::Put(Stored { key, revision, value }));
    }
    for key in batch.deletes {
        let deleted = transaction
            .prepare_cached("DELETE FROM documents WHERE kind = ?1 AND name = ?2")?
            .execute([&key.kind, &key.name])?;
        if deleted > 0 {
            changes.push(Change::Deleted(key));
        }
    }
    for append in batch.appends {
        for (seq, value) in (append.after + 1..).zip(&append.entries) {
            transaction
                .prepare_cached("INSERT INTO entries (log, seq, value) VALUES (?1, ?2, ?3)")?
                .execute(params![append.log, signed(seq), text(value)?])?;
        }
        let head = append.after + append.entries.len() as u64;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO heads (log, seq) VALUES (?1, ?2)")?
            .execute(params![append.log, signed(head)])?;
        changes.push(Change::Appended { log: append.log, seq: append.after + 1, entries: append.entries });
    }
    let rows: Vec<Row> = changes.iter().map(Row::of).collect();
    transaction
        .prepare_cached("INSERT INTO commits (revision, changes) VALUES (?1, ?2)")?
        .execute(params![signed(revision.0), text(&rows)?])?;
    transaction
        .prepare_cached("DELETE FROM commits WHERE revision <= ?1")?
        .execute([signed(revision.0.saturating_sub(STORE_CHANGES))])?;
    Ok(Watched::Commit { revision, changes })
}

pub(super) fn trim(transaction: &Transaction<'_>, log: &str, before: u64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM entries WHERE log = ?1 AND seq < ?2")?
        .execute(params![log, signed(before)])
        .map(|_| ())
}

fn document_revision(transaction: &Transaction<'_>, key: &Key) -> rusqlite::Result<Option<u64>> {
    transaction
        .prepare_cached("SELECT revision FROM documents WHERE kind = ?1 AND name = ?2")?
        .query_row([&key.kind, &key.name], |row| number(row, 0))
        .optional()
}

fn head(transaction: &Transaction<'_>, log: &str) -> rusqlite::Result<u64> {
    transaction
        .prepare_cached("SELECT seq FROM heads WHERE log = ?1")?
        .query_row([log], |row| number(row, 0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// SQLite's integers are signed; revisions and sequence numbers never come near the sign.
const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn number(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn json<T: DeserializeOwned>(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn text<T: Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
