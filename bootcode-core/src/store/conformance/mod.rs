//! What every store owes its users, as named checks. Whoever writes a backend runs [`check`] against it.
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use bootcode_core::store::{MemoryStore, Store, conformance};
//!
//! struct Memory;
//! #[async_trait::async_trait]
//! impl conformance::Harness for Memory {
//!     async fn fresh(&self) -> Arc<dyn Store> { Arc::new(MemoryStore::new()) }
//!     async fn crash_and_reopen(&self, _: Arc<dyn Store>) -> Option<Arc<dyn Store>> { None }
//! }
//! let report = conformance::check(&Memory).await;
//! assert!(report.failed.is_empty(), "{report}");
//! # });
//! ```

mod checks;
mod watching;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::{Append, Batch, Commit, Key, Revision, Store, Watch, Watched};

/// How long a watcher may take to show a commit before the check fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the stores that are checked.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new, empty store.
    async fn fresh(&self) -> Arc<dyn Store>;
    /// Ends this store as a crash would and opens what it kept; `None` where it keeps nothing by design.
    async fn crash_and_reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>>;
}

/// What came of the checks.
#[derive(Debug, Default)]
pub struct Report {
    /// Those that held.
    pub passed: Vec<&'static str>,
    /// Those that did not, each with what was wrong.
    pub failed: Vec<(&'static str, String)>,
    /// Those that make no sense for a store that keeps nothing.
    pub skipped: Vec<&'static str>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} skipped, {} failed",
            self.passed.len(),
            self.skipped.len(),
            self.failed.len()
        )?;
        self.failed.iter().try_for_each(|(name, wrong)| write!(f, "\n  {name}: {wrong}"))
    }
}

enum Verdict {
    Holds,
    Skipped,
    Fails(String),
}

/// Runs every check, each on its own fresh store.
pub async fn check(harness: &dyn Harness) -> Report {
    let mut report = Report::default();
    let mut note = |name: &'static str, verdict: Verdict| match verdict {
        Verdict::Holds => report.passed.push(name),
        Verdict::Skipped => report.skipped.push(name),
        Verdict::Fails(wrong) => report.failed.push((name, wrong)),
    };
    macro_rules! run {
        ($($module:ident :: $name:ident),+ $(,)?) => {
            $(note(stringify!($name), verdict($module::$name(harness.fresh().await).await));)+
        };
    }
    run!(
        checks::a_commit_is_read_back,
        checks::every_commit_makes_the_next_revision,
        checks::a_read_after_a_commit_sees_it,
        checks::an_expectation_that_fails_changes_nothing,
        checks::a_document_that_is_made_again_is_another,
        checks::an_append_after_another_sequence_number_conflicts,
        checks::one_of_many_writers_wins_each_sequence_number,
        checks::no_two_commits_share_a_revision,
        checks::an_acknowledged_entry_is_never_lost,
        checks::a_batch_is_carried_out_whole_or_not_at_all,
        checks::deleting_an_absent_document_is_no_error,
        checks::logs_are_listed_by_prefix_in_order,
        checks::a_trimmed_log_keeps_its_sequence_numbers,
        checks::a_batch_over_the_bounds_is_refused,
        watching::a_watch_shows_every_commit_whole_and_in_order,
        watching::a_watch_goes_on_where_its_reader_stopped,
        watching::a_watch_from_the_future_says_compacted,
        watching::a_watcher_that_falls_behind_sees_everything_or_is_told,
        watching::what_list_saw_and_the_watch_after_it_make_the_present,
    );
    note(
        "a_reopened_store_has_all_that_was_acknowledged",
        checks::reopened(harness).await.unwrap_or_else(Verdict::Fails),
    );
    report
}

fn verdict(result: Result<(), String>) -> Verdict {
    result.map_or_else(Verdict::Fails, |()| Verdict::Holds)
}

/// Fails a check with what was wrong.
macro_rules! hold {
    ($condition:expr, $($wrong:tt)+) => {
        if !$condition {
            return Err(format!($($wrong)+));
        }
    };
}
use hold;

async fn done(store: &Arc<dyn Store>, batch: Batch) -> Result<Revision, String> {
    match store.commit(batch).await.map_err(|error| error.to_string())? {
        Commit::Done(revision) => Ok(revision),
        Commit::Conflict { what } => Err(format!("a commit that should be carried out conflicted at {what}")),
    }
}

async fn refused(store: &Arc<dyn Store>, batch: Batch) -> Result<(), String> {
    match store.commit(batch).await.map_err(|error| error.to_string())? {
        Commit::Done(_) => Err("a commit whose conditions do not hold was carried out".to_owned()),
        Commit::Conflict { .. } => Ok(()),
    }
}

fn put(name: &str, value: u64) -> Batch {
    Batch { puts: vec![(Key::new("Thing", name), value.into())], ..Batch::default() }
}

fn append(log: &str, after: u64, entries: &[u64]) -> Batch {
    let entries = entries.iter().map(|entry| (*entry).into()).collect();
    Batch { appends: vec![Append { log: log.to_owned(), after, entries }], ..Batch::default() }
}

async fn entries(store: &Arc<dyn Store>, log: &str, from: u64) -> Result<Vec<(u64, u64)>, String> {
    let read = store.read(log, from).await.map_err(|error| error.to_string())?;
    Ok(read.into_iter().map(|entry| (entry.seq, entry.value.as_u64().unwrap_or(u64::MAX))).collect())
}

async fn value(store: &Arc<dyn Store>, name: &str) -> Result<Option<u64>, String> {
    let found = store.get(&Key::new("Thing", name)).await.map_err(|error| error.to_string())?;
    Ok(found.map(|stored| stored.value.as_u64().unwrap_or(u64::MAX)))
}

async fn next(watch: &mut Watch) -> Result<Watched, String> {
    tokio::time::timeout(PATIENCE, watch.next())
        .await
        .map_err(|_| "the watch does not show a commit that is done".to_owned())?
        .ok_or_else(|| "the watch ended".to_owned())
}
