//! Durable appends: many writers share an fsync.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use bootcode_core::store::{Append, Batch, Commit, SqliteStore, Store};
use serde_json::json;

use super::table::{Table, Wanted, block_on};

/// Set for the process whose fsyncs are counted: the directory it writes in.
pub(crate) const CHILD: &str = "BOOTCODE_BENCH_APPENDS_IN";
const WRITERS: u64 = 64;
const EACH: u64 = 50;
/// Rounds of both sides, one after the other; each side's best counts.
const ROUNDS: u32 = 5;

/// A directory on a real file system: `target/`, or what `BOOTCODE_BENCH_DIR` names.
fn directory() -> tempfile::TempDir {
    let place = std::env::var_os("BOOTCODE_BENCH_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let kind = nix::sys::statfs::statfs(&place).expect("a directory for the benchmark").filesystem_type();
    assert_ne!(kind, nix::sys::statfs::TMPFS_MAGIC, "{}: an fsync costs nothing there", place.display());
    tempfile::tempdir_in(place).expect("a directory for the benchmark")
}

fn entry(seq: u64) -> serde_json::Value {
    json!({"seq": seq, "at": "2030-01-01T00:00:00Z", "event": "ActionStarted", "index": 1, "attempt": 1, "worker": "node-1"})
}

/// As many writers as asked for append `EACH` times to a log of their own; seconds.
async fn appends(store: &Arc<SqliteStore>, round: u32, writers: u64) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for after in 0..EACH {
                    let append = Append {
                        log: format!("round-{round}/{writer}"),
                        after,
                        entries: vec![entry(after + 1)],
                    };
                    let done = store.commit(Batch { appends: vec![append], ..Batch::default() }).await;
                    assert!(matches!(done, Ok(Commit::Done(_))), "{done:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a writer");
    }
    start.elapsed().as_secs_f64()
}

/// What there is without our store: one INSERT, one transaction, one fsync each; seconds for `EACH` of them.
fn single_inserts(connection: &rusqlite::Connection) -> f64 {
    let start = Instant::now();
    for seq in 0..EACH {
        connection
            .execute("INSERT INTO entries (value) VALUES (?1)", [entry(seq).to_string()])
            .expect("an insert");
    }
    start.elapsed().as_secs_f64()
}

pub(crate) fn rate(table: &mut Table) {
    let dir = directory();
    let connection = rusqlite::Connection::open(dir.path().join("single.sqlite")).expect("a database");
    connection
        .execute_batch("PRAGMA journal_mode=wal; PRAGMA synchronous=full; CREATE TABLE entries (seq INTEGER PRIMARY KEY, value TEXT);")
        .expect("a table");
    // A log that was long once is written over in place. Without this every fsync of this side would also make the file longer, which
    // costs several times as much, and which the store, after its first thousand pages, does not.
    connection
        .execute_batch(
            "CREATE TABLE filler (value BLOB); INSERT INTO filler VALUES (zeroblob(8388608)); DROP TABLE filler;
             PRAGMA wal_checkpoint(restart);",
        )
        .expect("a log of full length");
    let (mut single, mut alone, mut many) = (f64::MAX, f64::MAX, f64::MAX);
    block_on(async {
        let store = Arc::new(SqliteStore::open(&dir.path().join("store.sqlite")).expect("a store"));
        for round in 0..ROUNDS {
            single = single.min(single_inserts(&connection));
            alone = alone.min(appends(&store, 2 * round, 1).await);
            many = many.min(appends(&store, 2 * round + 1, WRITERS).await);
        }
    });
    #[allow(clippy::cast_precision_loss)]
    let per_second = |count: u64, seconds: f64| count as f64 / seconds;
    let (single, alone, many) =
        (per_second(EACH, single), per_second(EACH, alone), per_second(EACH * WRITERS, many));
    table.note("inserts by SQLite alone, an fsync each", Wanted::Nothing, single, "/s");
    table.note("durable appends, one writer", Wanted::Nothing, alone, "/s");
    table.note(format!("durable appends, {WRITERS} writers"), Wanted::Nothing, many, "/s");
    table.note("the last by the first", Wanted::AtLeast(6.0), many / single, "times");
}

/// Counts what the kernel is asked for: `strace` sees each fsync of a process that appends.
pub(crate) fn syncs(table: &mut Table) {
    let dir = directory();
    let trace = dir.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().expect("this program"))
        .env(CHILD, dir.path())
        .stdout(Stdio::null())
        .status()
        .expect("strace is installed: cargo xtask setup installs it");
    assert!(status.success(), "{status}");
    let calls = std::fs::read_to_string(trace).expect("the trace");
    let count = calls.lines().filter(|line| line.contains("fsync(") || line.contains("fdatasync(")).count();
    assert!(count > 4, "the store was opened without an fsync: {calls}");
    #[allow(clippy::cast_precision_loss)]
    let per_sync = (EACH * WRITERS) as f64 / count as f64;
    table.note(
        format!("appends for each fsync, {WRITERS} writers, those of opening and checkpoints counted too"),
        Wanted::AtLeast(16.0),
        per_sync,
        "",
    );
}

/// The process whose fsyncs are counted.
pub(crate) fn child(dir: &Path) {
    block_on(async {
        let store = Arc::new(SqliteStore::open(&dir.join("traced.sqlite")).expect("a store"));
        appends(&store, 0, WRITERS).await;
    });
}
