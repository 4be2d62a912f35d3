//! Fetching an image: one stream of verified bytes, however often the connection breaks.

use std::time::Duration;

use bytes::Bytes;
use hyper::header;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    FetchError, HttpError, HttpUrl, Progress, Sha256Digest, http, limits,
    resume::{Head, Known, Verdict, judge},
};

/// Where an image is and what it must be.
#[derive(Debug, Clone)]
pub struct ImageSource {
    /// Where it is.
    pub url: HttpUrl,
    /// What its bytes must hash to, as they are on the server (compressed).
    pub sha256: Sha256Digest,
    /// How many bytes it must have, where that is known.
    pub size: Option<u64>,
}

/// How long a fetch is patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPolicy {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes on an open connection.
    pub idle: Duration,
    /// For the next new byte over all attempts.
    pub reconnect: Duration,
    /// Longest pause between attempts; the first is a sixteenth of it.
    pub backoff: Duration,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes on the wire's side, as they are on the server.
    pub bytes: u64,
    /// Their digest, which is the declared one.
    pub sha256: Sha256Digest,
}

/// Sends the image's bytes to `sink` in their order, each once, and answers when all came and their digest is right.
/// Between attempts the hash stays where it is: nothing is fetched twice from a server that speaks ranges.
///
/// # Errors
/// See [`FetchError`]; bytes may have reached `sink` before.
pub async fn fetch(
    source: &ImageSource,
    policy: &FetchPolicy,
    sink: mpsc::Sender<Bytes>,
    progress: &Progress,
) -> Result<Fetched, FetchError> {
    let mut transfer = Transfer {
        source,
        policy,
        sink,
        progress,
        hasher: Sha256::new(),
        known: Known { total: source.size, ..Known::default() },
        alive: Instant::now(),
    };
    let mut pause = policy.backoff / 16;
    loop {
        let before = transfer.known.received;
        let failure = match transfer.attempt().await? {
            Attempt::Complete => return transfer.verified(),
            Attempt::Broken(failure) => failure,
        };
        if transfer.known.received > before {
            pause = policy.backoff / 16;
        }
        let waited = transfer.alive.elapsed();
        if waited + pause > policy.reconnect {
            return Err(FetchError::GaveUp {
                url: source.url.to_string(),
                received: transfer.known.received,
                waited,
                last: Box::new(failure),
            });
        }
        tracing::warn!(url = %source.url, received = transfer.known.received, %failure, "fetch interrupted, reconnecting");
        sleep(pause).await;
        pause = (pause * 2).min(policy.backoff);
        progress.count_reconnect();
    }
}

impl Default for FetchPolicy {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT,
            idle: limits::IDLE,
            reconnect: limits::RECONNECT,
            backoff: limits::BACKOFF,
        }
    }
}

enum Attempt {
    Complete,
    Broken(HttpError),
}

struct Transfer<'a> {
    source: &'a ImageSource,
    policy: &'a FetchPolicy,
    sink: mpsc::Sender<Bytes>,
    progress: &'a Progress,
    hasher: Sha256,
    known: Known,
    alive: Instant,
}

impl Transfer<'_> {
    async fn attempt(&mut self) -> Result<Attempt, FetchError> {
        let response =
            http::get(&self.source.url, &self.headers(), self.policy.connect, self.policy.idle).await;
        let mut response = match response {
            Ok(response) => response,
            Err(failure) => return Ok(Attempt::Broken(failure)),
        };
        let status = response.status();
        let head = Head {
            status,
            length: response.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            range: response.header(header::CONTENT_RANGE),
            etag: response.header(header::ETAG),
            modified: response.header(header::LAST_MODIFIED),
        };
        let url = || self.source.url.to_string();
        let received = self.known.received;
        let mut skip = match judge(&self.known, &head) {
            Verdict::Take { skip, known } => {
                self.known = known;
                skip
            }
            Verdict::Again => return Ok(Attempt::Broken(HttpError::Status { url: url(), status })),
            Verdict::Refused => return Err(FetchError::Refused { url: url(), status }),
            Verdict::Changed => return Err(FetchError::Changed { url: url(), received }),
            Verdict::WrongRange => {
                let answer = head.range.unwrap_or("no Content-Range").to_owned();
                return Err(FetchError::Range { url: url(), received, answer });
            }
            Verdict::WrongSize { found } => {
                let expected = self.known.total.unwrap_or_default();
                return Err(FetchError::Size { url: url(), expected, found });
            }
        };
        if let Some(total) = self.known.total {
            if total > limits::IMAGE_BYTES {
                return Err(FetchError::TooLarge { url: url(), bound: limits::IMAGE_BYTES });
            }
            self.progress.set_total(total);
        }
        loop {
            match response.chunk().await {
                Err(failure) => return Ok(Attempt::Broken(failure)),
                Ok(None) => return Ok(self.ended()),
                Ok(Some(chunk)) => {
                    let dropped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
                    skip -= dropped as u64;
                    self.take(chunk.slice(dropped..)).await?;
                }
            }
        }
    }

    fn headers(&self) -> Vec<(header::HeaderName, String)> {
        if self.known.received == 0 {
            return Vec::new();
        }
        let range = (header::RANGE, format!("bytes={}-", self.known.received));
        let condition = self.known.validator.clone().map(|validator| (header::IF_RANGE, validator));
        std::iter::once(range).chain(condition).collect()
    }

    async fn take(&mut self, mut chunk: Bytes) -> Result<(), FetchError> {
        let url = || self.source.url.to_string();
        while !chunk.is_empty() {
            let part = chunk.split_to(chunk.len().min(limits::CHUNK_BYTES));
            self.hasher.update(&part);
            self.known.received += part.len() as u64;
            let received = self.known.received;
            match self.known.total {
                Some(expected) if received > expected => {
                    return Err(FetchError::Size { url: url(), expected, found: received });
                }
                None if received > limits::IMAGE_BYTES => {
                    return Err(FetchError::TooLarge { url: url(), bound: limits::IMAGE_BYTES });
                }
                _ => {}
            }
            self.progress.set_received(received);
            self.sink.send(part).await.map_err(|_| FetchError::Stopped { url: url(), received })?;
            self.alive = Instant::now();
        }
        Ok(())
    }

    /// A body without an announced length may end early and look whole.
    fn ended(&self) -> Attempt {
        match self.known.total {
            Some(total) if self.known.received < total => Attempt::Broken(HttpError::Short {
                authority: self.source.url.authority(),
                received: self.known.received,
                total,
            }),
            _ => Attempt::Complete,
        }
    }

    fn verified(self) -> Result<Fetched, FetchError> {
        let found = Sha256Digest::new(self.hasher.finalize().into());
        if found != self.source.sha256 {
            let url = self.source.url.to_string();
            return Err(FetchError::Digest { url, expected: self.source.sha256, found });
        }
        Ok(Fetched { bytes: self.known.received, sha256: found })
    }
}
