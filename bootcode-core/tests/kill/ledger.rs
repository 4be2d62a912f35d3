//! What the killed processes said, compared with what the database holds.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    sync::mpsc::Sender,
};

use bootcode_core::store::{SqliteStore, Store};

use super::writer::{WRITERS, document_of, log_of};

/// A batch: the writer's log, its first and last sequence number, and the run that sent it.
type Sent = (u64, u64, u64, u64);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By writer and first sequence number: every batch that was ever sent for that place.
    sent: BTreeMap<(u64, u64), Vec<Sent>>,
    acked: BTreeMap<(u64, u64), Sent>,
    /// How much of each log was compared already.
    compared: BTreeMap<u64, u64>,
    kept_unanswered: u64,
    lost_unanswered: u64,
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} batches acknowledged, of those without an answer {} were kept and {} not",
            self.acked.len(),
            self.kept_unanswered,
            self.lost_unanswered
        )
    }
}

/// Everything that a writer said; tells of the first acknowledgement as soon as it comes.
pub(super) fn read_to_end(pipe: impl Read, acked: &Sender<()>) -> String {
    let mut said = String::new();
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        if line.starts_with("acked") {
            // The other side listens once.
            let _ = acked.send(());
        }
        said.push_str(&line);
        said.push('\n');
    }
    said
}

impl Ledger {
    pub(super) fn note(&mut self, said: &str) {
        for line in said.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what @ ("sent" | "acked"), numbers @ ..] = &words[..] else {
                panic!("the writer said: {line}")
            };
            let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
            let [run, writer, first, last] = numbers[..] else { panic!("the writer said: {line}") };
            let batch = (writer, first, last, run);
            if *what == "sent" {
                self.sent.entry((writer, first)).or_default().push(batch);
            } else {
                assert_eq!(self.acked.insert((writer, first), batch), None, "acknowledged twice: {line}");
            }
        }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acked.len() as u64
    }

    pub(super) fn unanswered(&self) -> u64 {
        self.kept_unanswered + self.lost_unanswered
    }

    /// Opens the database as the next server would, and compares.
    pub(super) fn compare(&mut self, database: &Path) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(database).map_err(|error| error.to_string())?;
            store.check_integrity().await.map_err(|error| error.to_string())?;
            for writer in 0..WRITERS {
                self.compare_log(&store, writer).await?;
            }
            Ok(())
        })
    }

    async fn compare_log(&mut self, store: &SqliteStore, writer: u64) -> Result<(), String> {
        let from = self.compared.get(&writer).map_or(1, |last| last + 1);
        let entries = store.read(&log_of(writer), from).await.map_err(|error| error.to_string())?;
        let mut next = from;
        let mut entries = entries.into_iter().peekable();
        while let Some(entry) = entries.peek() {
            if entry.seq != next {
                return Err(format!("log {writer} has entry {} where {next} is due", entry.seq));
            }
            let number = |name: &str| entry.value[name].as_u64().unwrap_or(0);
            let batch: Sent = (writer, next, number("batch"), number("run"));
            if !self.sent.get(&(writer, next)).is_some_and(|sent| sent.contains(&batch)) {
                return Err(format!("log {writer} has {batch:?} at {next}, which nobody sent"));
            }
            self.kept_unanswered += u64::from(!self.acked.contains_key(&(writer, next)));
            for seq in next..=batch.2 {
                let kept = entries.next().filter(|entry| {
                    (entry.seq, entry.value["run"].as_u64(), entry.value["seq"].as_u64())
                        == (seq, Some(batch.3), Some(seq))
                });
                if kept.is_none() {
                    return Err(format!("log {writer} has a torn batch: {batch:?} lacks entry {seq}"));
                }
            }
            next = batch.2 + 1;
        }
        let mut acked = self.acked.range((writer, from)..(writer + 1, 0));
        if let Some((_, lost)) = acked.find(|(_, batch)| batch.2 >= next) {
            return Err(format!("log {writer} ends before {next}: {lost:?} was acknowledged and is lost"));
        }
        // What is beyond the log's end and has no answer was not kept; the next run sends another in its place.
        self.lost_unanswered +=
            self.sent.range((writer, next)..(writer + 1, 0)).map(|(_, sent)| sent.len() as u64).sum::<u64>();
        self.sent.retain(|(of, first), _| *of != writer || *first < next);
        let document = store.get(&document_of(writer)).await.map_err(|error| error.to_string())?;
        let length = document.and_then(|stored| stored.value["length"].as_u64()).unwrap_or(0);
        if length != next - 1 {
            return Err(format!(
                "log {writer} has {} entries, its document says {length}: a torn batch",
                next - 1
            ));
        }
        self.compared.insert(writer, next - 1);
        Ok(())
    }
}
