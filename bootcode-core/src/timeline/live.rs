//! The recorder of a server: a bounded queue that is drained into the journal and to whoever follows.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::{BootEvent, BootEventKind, BootRecorder, Subject};
use crate::{
    clock::Clock,
    journal::Journal,
    limits::{TIMELINE_BYTES, TIMELINE_QUEUE},
    source::{HardwareKey, HardwareSource},
};

/// How often the queue is drained: soon enough to watch a boot, seldom enough to write many events at once.
const DRAIN: Duration = Duration::from_millis(50);
/// Lines that wait for one slow follower before it misses some.
const FOLLOWERS_QUEUE: usize = 4096;
/// Events after which others have a turn: some hundred microseconds.
const TURN: usize = 128;
/// The name under which events of machines that no Hardware names are kept.
const UNKNOWN: &str = "unknown";

/// One event of one machine, as it is kept and followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineLine {
    /// The machine's name, or `unknown`.
    pub machine: String,
    /// One JSON object without a line's end: `{"at", "machine", "event", ..}`.
    pub json: String,
}

/// Takes events without ever blocking. Clones share one queue.
#[derive(Debug, Clone)]
pub struct TimelineRecorder {
    queue: mpsc::Sender<BootEvent>,
    dropped: Arc<AtomicU64>,
    lines: broadcast::Sender<TimelineLine>,
}

/// Drains the queue; its owner runs it.
pub struct TimelineDriver {
    queue: mpsc::Receiver<BootEvent>,
    dropped: Arc<AtomicU64>,
    lines: broadcast::Sender<TimelineLine>,
    journal: Arc<dyn Journal>,
    hardware: Arc<dyn HardwareSource>,
    clock: Arc<dyn Clock>,
}

/// The journal's stream of a machine's timeline.
#[must_use]
pub fn timeline_stream(machine: &str) -> String {
    format!("timeline/{machine}")
}

impl TimelineRecorder {
    /// A recorder, and the driver that must run for anything to be kept. `hardware` finds the names of machines.
    #[must_use]
    pub fn new(
        journal: Arc<dyn Journal>,
        hardware: Arc<dyn HardwareSource>,
        clock: Arc<dyn Clock>,
    ) -> (Self, TimelineDriver) {
        let (sender, queue) = mpsc::channel(TIMELINE_QUEUE);
        let recorder =
            Self { queue: sender, dropped: Arc::default(), lines: broadcast::Sender::new(FOLLOWERS_QUEUE) };
        let (dropped, lines) = (Arc::clone(&recorder.dropped), recorder.lines.clone());
        (recorder, TimelineDriver { queue, dropped, lines, journal, hardware, clock })
    }

    /// Every line from now on, of all machines.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<TimelineLine> {
        self.lines.subscribe()
    }
}

impl BootRecorder for TimelineRecorder {
    fn record(&self, event: BootEvent) {
        if self.queue.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl TimelineDriver {
    /// Drains until cancelled, then once more.
    pub async fn run(mut self, cancel: CancellationToken) {
        while cancel.run_until_cancelled(tokio::time::sleep(DRAIN)).await.is_some() {
            self.drain().await;
        }
        self.drain().await;
    }

    async fn drain(&mut self) {
        let mut kept = Kept::default();
        let lost = self.dropped.swap(0, Ordering::Relaxed);
        let said = (lost > 0).then(|| BootEvent {
            at: self.clock.now(),
            subject: Subject::Hardware(UNKNOWN.to_owned()),
            kind: BootEventKind::Dropped { count: lost },
        });
        // No more than the queue holds: events that arrive meanwhile are the next round's.
        for n in 1..=TIMELINE_QUEUE {
            let Ok(event) = self.queue.try_recv() else { break };
            self.take(event, &mut kept).await;
            if n % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        if let Some(event) = said {
            self.take(event, &mut kept).await;
        }
        if kept.lines.is_empty() {
            return;
        }
        let (machines, appends): (Vec<String>, Vec<_>) = kept
            .lines
            .into_iter()
            .map(|(machine, lines)| {
                let stream = timeline_stream(&machine);
                (machine, (stream, lines))
            })
            .unzip();
        match self.journal.append_all(appends).await {
            Ok(lengths) => {
                for (machine, length) in
                    machines.iter().zip(lengths).filter(|(_, length)| *length > TIMELINE_BYTES)
                {
                    if let Err(error) = self.trim(machine, length).await {
                        tracing::error!(%machine, error = &error as &dyn std::error::Error, "the timeline cannot be shortened");
                    }
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(machines = machines.len(), error, "the timeline cannot be kept");
            }
        }
    }

    async fn take(&self, event: BootEvent, kept: &mut Kept) {
        let at = match kept.subjects.get(&event.subject) {
            Some(at) => *at,
            None => {
                let machine = self.machine(&event.subject).await;
                kept.of(event.subject.clone(), machine)
            }
        };
        let Some((machine, lines)) = kept.lines.get_mut(at) else { return };
        let start = lines.len();
        if let Err(error) = write_line(&mut *lines, machine, &event) {
            tracing::error!(%machine, %error, "an event cannot be written");
            lines.truncate(start);
            return;
        }
        if self.lines.receiver_count() > 0 {
            let json = String::from_utf8_lossy(&lines[start..]).into_owned();
            // Whoever followed may be gone by now.
            let _ = self.lines.send(TimelineLine { machine: machine.clone(), json });
        }
        lines.push(b'\n');
    }

    async fn machine(&self, subject: &Subject) -> String {
        let key = match subject {
            Subject::Hardware(name) => return name.clone(),
            Subject::Mac(mac) => HardwareKey::Mac(*mac),
            Subject::Ip(ip) => HardwareKey::Ip(*ip),
        };
        // A source that does not answer loses the name, not the event.
        let found = self.hardware.find(&key).await.ok().flatten();
        found.map_or_else(|| UNKNOWN.to_owned(), |hardware| hardware.name.clone())
    }

    /// The newer half of a timeline stays, from its first whole line on.
    async fn trim(&self, machine: &str, length: u64) -> Result<(), crate::journal::JournalError> {
        let stream = timeline_stream(machine);
        let half = usize::try_from(TIMELINE_BYTES / 2).unwrap_or(usize::MAX);
        let newer = self.journal.read(&stream, length.saturating_sub(half as u64), half).await?;
        let start = newer.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.journal.replace(&stream, &newer[start..]).await
    }
}

/// What one round keeps: the lines of each machine, which is looked up once.
#[derive(Default)]
struct Kept {
    lines: Vec<(String, Vec<u8>)>,
    subjects: HashMap<Subject, usize>,
    machines: HashMap<String, usize>,
}

impl Kept {
    fn of(&mut self, subject: Subject, machine: String) -> usize {
        let at = match self.machines.get(&machine) {
            Some(at) => *at,
            None => {
                self.machines.insert(machine.clone(), self.lines.len());
                self.lines.push((machine, Vec::new()));
                self.lines.len() - 1
            }
        };
        self.subjects.insert(subject, at);
        at
    }
}

/// One line, without its end.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    machine: &'a str,
    /// With the tag `event` first.
    #[serde(flatten)]
    kind: &'a BootEventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
}

/// `{"at", "machine", "event", ..}`; machines that no document names are told apart by their address.
fn write_line(bytes: &mut Vec<u8>, machine: &str, event: &BootEvent) -> io::Result<()> {
    let (mac, ip) = match &event.subject {
        Subject::Mac(mac) if machine == UNKNOWN => (Some(mac.to_string()), None),
        Subject::Ip(ip) if machine == UNKNOWN => (None, Some(ip.to_string())),
        _ => (None, None),
    };
    let line = Line { at: event.at.to_string(), machine, kind: &event.kind, mac, ip };
    Ok(serde_json::to_writer(bytes, &line)?)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use std::collections::BTreeMap;

    use crate::{
        clock::{ManualClock, Timestamp},
        document::{Hardware, HardwareSpec},
        journal::MemoryJournal,
        mac::MacAddr,
        source::SourceError,
        timeline::Reason,
    };

    struct One(MacAddr);

    #[async_trait]
    impl HardwareSource for One {
        async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
            let hardware =
                Hardware { name: "node-1".into(), labels: BTreeMap::new(), spec: HardwareSpec::default() };
            Ok((*key == HardwareKey::Mac(self.0)).then(|| Arc::new(hardware)))
        }
    }

    fn recorder() -> (TimelineRecorder, TimelineDriver, Arc<MemoryJournal>) {
        let journal = Arc::new(MemoryJournal::new());
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let known = Arc::new(One(MacAddr([2, 0, 0, 0, 0, 1])));
        let (recorder, driver) = TimelineRecorder::new(Arc::<MemoryJournal>::clone(&journal), known, clock);
        (recorder, driver, journal)
    }

    fn ignored(last: u8) -> BootEvent {
        BootEvent {
            at: Timestamp::UNIX_EPOCH,
            subject: Subject::Mac(MacAddr([2, 0, 0, 0, 0, last])),
            kind: BootEventKind::Ignored { reason: Reason::DhcpOff },
        }
    }

    #[tokio::test]
    async fn an_event_becomes_a_line_of_its_machine() {
        let (recorder, mut driver, journal) = recorder();
        let mut follower = recorder.follow();
        recorder.record(ignored(1));
        recorder.record(ignored(2));
        driver.drain().await;
        let read = |stream: &'static str| {
            let journal = Arc::clone(&journal);
            async move { String::from_utf8(journal.read(stream, 0, 1000).await.unwrap()).unwrap() }
        };
        let expected =
            r#"{"at":"1970-01-01T00:00:00Z","machine":"node-1","event":"Ignored","reason":"dhcp-off"}"#;
        assert_eq!(read("timeline/node-1").await, format!("{expected}\n"));
        assert_eq!(follower.try_recv().unwrap().json, expected);
        assert!(read("timeline/unknown").await.contains(r#""mac":"02:00:00:00:00:02""#));
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_says_how_many() {
        let (recorder, mut driver, journal) = recorder();
        for _ in 0..TIMELINE_QUEUE + 7 {
            recorder.record(ignored(1));
        }
        driver.drain().await;
        let unknown = journal.read("timeline/unknown", 0, 1000).await.unwrap();
        assert!(String::from_utf8(unknown).unwrap().contains(r#""event":"Dropped","count":7"#));
        assert!(journal.len("timeline/node-1").await.unwrap() <= TIMELINE_BYTES, "the timeline is bounded");
        let first = journal.read("timeline/node-1", 0, 2).await.unwrap();
        assert_eq!(first, b"{\"", "it begins with a whole line");
    }
}
