//! A process that appends and acknowledges is killed at any moment: what it acknowledged is there, and nothing else.
//!
//! ```text
//! this test --starts itself--> writer: 4 tasks, `sent` -> commit -> `acked`  --SIGKILL--> open the same file, compare
//! ```

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

mod ledger;
mod writer;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ledger::Ledger;
use writer::Acknowledges;

/// How often a writer is killed on one database.
const KILLS: u32 = 200;
/// The longest that a writer lives after its first acknowledgement; each is killed at another moment of that.
const LONGEST: Duration = Duration::from_millis(60);

/// Runs a writer on `database` and kills it `after` it acknowledged something; while it opens the database where `early`.
fn run_and_kill(
    database: &Path,
    acknowledges: Acknowledges,
    run: u32,
    early: bool,
    after: Duration,
) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writer_process", "--exact", "--nocapture"])
        .env(writer::DATABASE, database)
        .env(writer::ACKNOWLEDGES, acknowledges.name())
        .env(writer::RUN, run.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = child.stderr.take().unwrap();
    let (acked, first) = std::sync::mpsc::channel();
    // The pipe is emptied while the writer lives, or it would stand still at 64 KiB.
    let reader = std::thread::spawn(move || ledger::read_to_end(pipe, &acked));
    let started = Instant::now();
    if !early {
        first.recv_timeout(Duration::from_secs(60)).expect("the writer acknowledges within a minute");
    }
    // The moment is what this test is about; nothing waits for it.
    let moment = if early { started } else { Instant::now() } + after;
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Kills writers one after another and compares after each; what was wrong first, and after how many kills.
fn killed(acknowledges: Acknowledges, kills: u32) -> (Ledger, Option<(u32, String)>) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("bootcode.sqlite");
    let mut ledger = Ledger::default();
    let mut random = Random::new();
    println!("seed {}", random.0);
    for run in 0..kills {
        let early = run % 8 == 7;
        let after = Duration::from_micros(random.below(LONGEST.as_micros()));
        ledger.note(&run_and_kill(&database, acknowledges, run, early, after));
        if let Err(wrong) = ledger.compare(&database) {
            return (ledger, Some((run + 1, wrong)));
        }
    }
    (ledger, None)
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged_and_leaves_nothing_that_it_never_sent() {
    let (ledger, wrong) = killed(Acknowledges::WhenDurable, KILLS);
    assert_eq!(wrong, None);
    println!("{KILLS} kills: {ledger}");
    assert!(ledger.acknowledged() > u64::from(KILLS), "hardly anything was acknowledged: {ledger}");
    assert!(ledger.unanswered() > 0, "no kill came between a commit and its answer: {ledger}");
}

#[test]
fn a_writer_that_acknowledges_before_it_commits_is_caught() {
    let (_, wrong) = killed(Acknowledges::TooEarly, KILLS);
    let (kills, wrong) = wrong.expect("an acknowledged entry is lost, and this test sees it");
    println!("caught after {kills} kills: {wrong}");
    assert!(wrong.contains("acknowledged"), "{wrong}");
}

/// No test: what the others start, and kill. Does nothing by itself.
#[test]
fn writer_process() {
    if let Some(database) = std::env::var_os(writer::DATABASE) {
        writer::write_until_killed(Path::new(&database));
    }
}

/// Xorshift: the moments need to differ, no more.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Self(u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap() | 1)
    }

    fn below(&mut self, bound: u128) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % u64::try_from(bound).unwrap()
    }
}
