//! An action's log on its way to the server: bounded, by offsets, never in the way of the action.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bootcode_core::{
    limits::LOG_CHUNK_BYTES,
    workflow::{LogChunk, ServiceError, WorkflowService},
};
use bytes::Bytes;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{answered, mask::Mask};
use crate::limits;

/// What a log belongs to.
pub(super) struct LogShipper {
    pub(super) service: Arc<dyn WorkflowService>,
    /// The session's token; it may change on the way.
    pub(super) session: watch::Receiver<String>,
    pub(super) workflow: String,
    pub(super) action: String,
    pub(super) attempt: u32,
    /// Hides the action's secrets.
    pub(super) mask: Mask,
    /// How much of the attempt's log the server has. A hook's log goes on where its action's ended, so the one that is
    /// sending holds it.
    pub(super) offset: Arc<AsyncMutex<u64>>,
}

/// A log that is under way.
pub(super) struct Shipping<F> {
    /// Where the container writes to.
    pub(super) log: mpsc::Sender<Bytes>,
    /// The log's end, once the container has written all.
    pub(super) drained: oneshot::Receiver<String>,
    /// Ends when all is sent, or the end is called.
    pub(super) task: F,
}

impl LogShipper {
    pub(super) fn start(self, end: CancellationToken) -> Shipping<impl Future<Output = ()> + Send + 'static> {
        let (log, chunks) = mpsc::channel(limits::LOG_QUEUE);
        let (drain, drained) = oneshot::channel();
        let task = async move {
            tokio::select! {
                () = self.ship(chunks, drain) => {}
                () = end.cancelled() => {}
            }
        };
        Shipping { log, drained, task }
    }

    async fn ship(self, chunks: mpsc::Receiver<Bytes>, drain: oneshot::Sender<String>) {
        let shared = Shared::default();
        // The container must never wait for the server: what it writes is taken whatever the sending does.
        tokio::join!(self.collect(chunks, drain, &shared), self.send(&shared));
    }

    async fn collect(
        &self,
        mut chunks: mpsc::Receiver<Bytes>,
        drain: oneshot::Sender<String>,
        shared: &Shared,
    ) {
        let mut mask = self.mask.clone();
        while let Some(bytes) = chunks.recv().await {
            let lines = shared.lock().push(&mask.pass(&bytes));
            self.show(lines);
            shared.more.notify_one();
        }
        let (last, tail) = {
            let mut backlog = shared.lock();
            let mut lines = backlog.push(&mask.finish());
            lines.extend(backlog.finish());
            (lines, backlog.tail.clone())
        };
        self.show(last);
        // Nobody waits for it when the worker ends.
        let _ = drain.send(tail);
        shared.more.notify_one();
    }

    async fn send(&self, shared: &Shared) {
        let mut offset = self.offset.lock().await;
        loop {
            let (empty, ended) = shared.state();
            if empty && ended {
                return;
            }
            if empty {
                shared.more.notified().await;
                continue;
            }
            if !ended {
                sleep(limits::LOG_LINGER).await;
            }
            let text = shared.lock().next_chunk();
            let bytes = text.len() as u64;
            let chunk = LogChunk {
                workflow: self.workflow.clone(),
                action: self.action.clone(),
                attempt: self.attempt,
                offset: *offset,
                text,
            };
            if self.deliver(chunk, shared).await.is_err() {
                return;
            }
            *offset += bytes;
        }
    }

    /// The same bytes at the same offset until the server has them: it may have them already.
    async fn deliver(&self, chunk: LogChunk, shared: &Shared) -> Result<(), Unwanted> {
        let mut pause = limits::BACKOFF_FIRST;
        loop {
            let session = self.session.borrow().clone();
            match answered(self.service.log(&session, chunk.clone())).await {
                Ok(_) => return Ok(()),
                Err(ServiceError::Unavailable { .. }) => {}
                // A new session may be on its way as long as the action runs.
                Err(ServiceError::Refused { .. }) if !shared.state().1 => {}
                Err(_) => return Err(Unwanted),
            }
            sleep(pause).await;
            pause = (pause * 2).min(limits::BACKOFF_LONGEST);
        }
    }

    fn show(&self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            tracing::info!(target: "action", "{}: {line}", self.action);
        }
    }
}

/// The server does not take this log.
struct Unwanted;

#[derive(Default)]
struct Shared {
    backlog: Mutex<Backlog>,
    more: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing waits, and whether nothing more will come.
    fn state(&self) -> (bool, bool) {
        let backlog = self.lock();
        (backlog.pending.is_empty(), backlog.ended)
    }
}

/// Text that the server does not have yet, and the log's end.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pending: String,
    /// Bytes of a character whose rest has not come.
    partial: Vec<u8>,
    dropped: u64,
    ended: bool,
    tail: String,
    /// The line that has no end yet, for the console.
    line: String,
}

impl Backlog {
    /// Takes output; returns the lines that became whole.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.partial.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.len(),
            // Only what may still become a character waits; what is wrong is replaced at once.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.partial.len() - incomplete_end(&self.partial),
        };
        let taken: Vec<u8> = self.partial.drain(..whole).collect();
        self.text(&String::from_utf8_lossy(&taken))
    }

    fn text(&mut self, text: &str) -> Vec<String> {
        self.pending.push_str(text);
        self.tail.push_str(text);
        trim_front(&mut self.tail, limits::TAIL_BYTES);
        self.dropped += trim_front(&mut self.pending, limits::LOG_BACKLOG_BYTES) as u64;
        self.line.push_str(text);
        let mut lines = Vec::new();
        while let Some(end) = self.line.find('\n') {
            lines.push(self.line.drain(..=end).collect::<String>().trim_end().to_owned());
        }
        if self.line.len() > limits::TAIL_BYTES {
            lines.push(std::mem::take(&mut self.line));
        }
        lines
    }

    /// The output has ended.
    fn finish(&mut self) -> Option<String> {
        self.ended = true;
        let rest = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned();
        self.text(&rest);
        (!self.line.trim().is_empty()).then(|| std::mem::take(&mut self.line))
    }

    fn next_chunk(&mut self) -> String {
        let mut text = String::new();
        if self.dropped > 0 {
            text = format!(
                "\n[{} bytes of this log were dropped: the server did not take them in time]\n",
                self.dropped
            );
            self.dropped = 0;
        }
        let end = self.pending.floor_char_boundary((LOG_CHUNK_BYTES - text.len()).min(self.pending.len()));
        text.push_str(&self.pending[..end]);
        self.pending.drain(..end);
        text
    }
}

/// How many bytes at the end may be the beginning of a character.
fn incomplete_end(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|back| {
            let lead = bytes[bytes.len() - back];
            let length = match lead {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 0,
            };
            length > *back
        })
        .unwrap_or(0)
}

/// Shortens from the front; returns how many bytes went.
fn trim_front(text: &mut String, bound: usize) -> usize {
    let Some(excess) = text.len().checked_sub(bound).filter(|excess| *excess > 0) else { return 0 };
    let cut = text.ceil_char_boundary(excess);
    text.drain(..cut);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(parts: &[&[u8]]) -> (String, Vec<String>) {
        let mut backlog = Backlog::default();
        let mut lines: Vec<String> = parts.iter().flat_map(|part| backlog.push(part)).collect();
        lines.extend(backlog.finish());
        (backlog.pending, lines)
    }

    #[test]
    fn characters_that_come_in_pieces_stay_whole() {
        let text = "grün ✓ 🦀\n".as_bytes();
        for cut in 0..text.len() {
            let (pending, lines) = whole(&[&text[..cut], &text[cut..]]);
            assert_eq!(pending.as_bytes(), text, "cut at {cut}");
            assert_eq!(lines, ["grün ✓ 🦀"]);
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_and_holds_nothing_up() {
        let mut backlog = Backlog::default();
        backlog.push(b"a\xff\xfeb");
        assert_eq!(backlog.pending, "a\u{fffd}\u{fffd}b");
        let (pending, _) = whole(&[b"\xf0\x9f"]);
        assert_eq!(pending, "\u{fffd}");
    }

    #[test]
    fn a_log_that_nobody_takes_is_bounded_and_says_what_is_missing() {
        let mut backlog = Backlog::default();
        let line = [b'x'; 1023].iter().copied().chain(*b"\n").collect::<Vec<u8>>();
        for _ in 0..2 * limits::LOG_BACKLOG_BYTES / line.len() {
            backlog.push(&line);
        }
        assert!(backlog.pending.len() <= limits::LOG_BACKLOG_BYTES);
        assert!(backlog.tail.len() <= limits::TAIL_BYTES);
        let chunk = backlog.next_chunk();
        assert!(
            chunk.starts_with(&format!("\n[{} bytes of this log", limits::LOG_BACKLOG_BYTES)),
            "{}",
            &chunk[..60]
        );
        assert!(chunk.len() <= LOG_CHUNK_BYTES);
    }

    #[test]
    fn the_tail_is_the_end() {
        let mut backlog = Backlog::default();
        for number in 0..2000 {
            backlog.push(format!("line {number}\n").as_bytes());
        }
        assert!(backlog.tail.ends_with("line 1999\n"));
    }
}
