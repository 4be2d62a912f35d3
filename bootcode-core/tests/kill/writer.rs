//! The process that is killed: some tasks that append batches, each to a log of its own, and say so.

use std::{io::Write as _, path::Path, sync::Arc};

use bootcode_core::store::{Append, Batch, Commit, Key, SqliteStore, Store};
use serde_json::json;

pub(super) const DATABASE: &str = "KILL_TEST_DATABASE";
pub(super) const ACKNOWLEDGES: &str = "KILL_TEST_ACKNOWLEDGES";
pub(super) const RUN: &str = "KILL_TEST_RUN";

/// Tasks that write at once.
pub(super) const WRITERS: u64 = 4;

/// When a writer says that a batch is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Acknowledges {
    /// After `commit` has returned.
    WhenDurable,
    /// Before: the fault that must be caught.
    TooEarly,
}

impl Acknowledges {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::WhenDurable => "when-durable",
            Self::TooEarly => "too-early",
        }
    }
}

pub(super) fn log_of(writer: u64) -> String {
    format!("log/{writer}")
}

/// The document that says how long the writer's log is, written with each batch.
pub(super) fn document_of(writer: u64) -> Key {
    Key::new("Written", writer.to_string())
}

/// Appends until it is killed.
pub(super) fn write_until_killed(database: &Path) {
    let too_early = std::env::var(ACKNOWLEDGES).unwrap() == Acknowledges::TooEarly.name();
    let run: u64 = std::env::var(RUN).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(database).unwrap());
        let tasks = (0..WRITERS).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { append_for_ever(&*store, writer, run, too_early).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

async fn append_for_ever(store: &dyn Store, writer: u64, run: u64, too_early: bool) {
    let log = log_of(writer);
    let mut head = store.read(&log, 1).await.unwrap().last().map_or(0, |entry| entry.seq);
    loop {
        let count = head % 3 + 1;
        let last = head + count;
        let entries = (head + 1..=last).map(|seq| json!({"run": run, "seq": seq, "batch": last})).collect();
        let batch = Batch {
            puts: vec![(document_of(writer), json!({"length": last, "run": run}))],
            appends: vec![Append { log: log.clone(), after: head, entries }],
            ..Batch::default()
        };
        say("sent", run, writer, head + 1, last);
        if too_early {
            say("acked", run, writer, head + 1, last);
        }
        let done = store.commit(batch).await.unwrap();
        assert!(matches!(done, Commit::Done(_)), "nobody else writes this log");
        if !too_early {
            say("acked", run, writer, head + 1, last);
        }
        head = last;
    }
}

/// One line, one write: a killed process leaves whole lines in the pipe.
fn say(what: &str, run: u64, writer: u64, first: u64, last: u64) {
    std::io::stderr().write_all(format!("{what} {run} {writer} {first} {last}\n").as_bytes()).unwrap();
}
