//! One request from its arrival to its last word: opening the file, the transfer, what the timeline says about it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bootcode_core::{
    clock::Clock,
    files::{Blob, FileError, FileName, FileRequest, FileSource},
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason, Subject},
};
use tokio_util::sync::CancellationToken;

use super::{
    ErrorCode, Mode, Outcome, Packet, Request, Sender, Terms, TftpMetrics,
    channel::Channel,
    driver::{self, Ended},
    metrics::End,
    to_netascii,
};
use crate::limits;

/// The ports that every session uses.
pub(super) struct Ports {
    pub(super) source: Arc<dyn FileSource>,
    pub(super) recorder: Arc<dyn BootRecorder>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: TftpMetrics,
}

pub(super) struct Session {
    pub(super) ports: Arc<Ports>,
    pub(super) peer: SocketAddr,
    pub(super) ours: IpAddr,
    /// At a shared port the way to the client; otherwise the session takes a port of its own.
    pub(super) shared: Option<Channel>,
    /// Cancelled by the server's end or by another request of the same client.
    pub(super) cancel: CancellationToken,
    /// Cancelled by the server's end only.
    pub(super) shutdown: CancellationToken,
    /// Set once the client has acknowledged something.
    pub(super) has_progress: Arc<AtomicBool>,
}

/// A request that is answered with an error.
struct Refusal {
    code: ErrorCode,
    message: String,
    reason: Reason,
}

impl Session {
    /// Answers the request in `datagram`, which is an RRQ or a WRQ.
    pub(super) async fn run(mut self, datagram: Vec<u8>) {
        let channel = match self.shared.take() {
            Some(shared) => Ok(shared),
            None => Channel::own(self.ours, self.peer).await,
        };
        let mut channel = match channel {
            Ok(channel) => channel,
            Err(error) => {
                tracing::error!(peer = %self.peer, ours = %self.ours, %error, "no socket for a TFTP transfer");
                // Out of descriptors or ports: as if the bound on transfers were lower.
                self.ports.metrics.ended(End::Refused(Reason::TooMany));
                return;
            }
        };
        let request = match Packet::parse(&datagram) {
            Ok(Packet::Rrq(request)) => request,
            Ok(Packet::Wrq(request)) => {
                let message = "this server only gives files, it takes none".to_owned();
                let refusal =
                    Refusal { code: ErrorCode::AccessViolation, message, reason: Reason::Unsupported };
                return self.refuse(&channel, &String::from_utf8_lossy(request.filename), refusal).await;
            }
            // The server starts sessions for requests only.
            _ => return,
        };
        let file = String::from_utf8_lossy(request.filename).into_owned();
        tokio::select! {
            () = self.cancel.cancelled() => self.cancelled(&channel, &file, false).await,
            opened = self.open(&request) => match opened {
                Ok((name, blob)) => self.transfer(&mut channel, &request, name.as_str(), &blob).await,
                Err(refusal) => self.refuse(&channel, &file, refusal).await,
            }
        }
    }

    async fn open(&self, request: &Request<'_>) -> Result<(FileName, Blob), Refusal> {
        let mode = request.mode.ok_or_else(|| Refusal {
            code: ErrorCode::IllegalOperation,
            message: "the mode is neither octet nor netascii".to_owned(),
            reason: Reason::IllegalRequest,
        })?;
        let name = FileName::normalise(request.filename).map_err(|error| Refusal {
            code: ErrorCode::AccessViolation,
            message: error.to_string(),
            reason: Reason::IllegalRequest,
        })?;
        let asked = FileRequest { name: name.clone(), peer: self.peer.ip().to_canonical() };
        let opened = tokio::time::timeout(limits::OPEN, self.ports.source.open(&asked)).await;
        let blob = match opened {
            Ok(Ok(Some(blob))) => blob,
            Ok(Ok(None)) => {
                return Err(Refusal {
                    code: ErrorCode::FileNotFound,
                    message: format!("there is no file {name}"),
                    reason: Reason::NotFound,
                });
            }
            Ok(Err(FileError::Refused { reason, .. })) => {
                return Err(Refusal {
                    code: ErrorCode::AccessViolation,
                    message: reason.to_string(),
                    reason,
                });
            }
            Ok(Err(error)) => return Err(read_failed(&name, &error)),
            Err(late) => return Err(read_failed(&name, &late)),
        };
        match mode {
            Mode::Octet => Ok((name, blob)),
            Mode::Netascii => Ok((name.clone(), as_netascii(&name, blob).await?)),
        }
    }

    async fn transfer(&self, channel: &mut Channel, request: &Request<'_>, file: &str, blob: &Blob) {
        let started = || self.record(BootEventKind::TftpStarted { file: file.to_owned() });
        let terms = Terms::agree(request, blob.len);
        let begun = driver::now();
        let mut sender = Sender::new(terms, seed(self.peer), begun);
        let ended = driver::drive(&mut sender, blob, channel, &self.cancel, || {
            self.has_progress.store(true, Ordering::Relaxed);
            started();
        })
        .await;
        self.ports.metrics.sent(&sender);
        let reason = match &ended {
            Ended::Outcome(Outcome::Finished) => None,
            Ended::Outcome(Outcome::Probed) => {
                // EDK2 asks for the size, ends with error 8 and asks again: the first half of one healthy transfer.
                tracing::debug!(peer = %self.peer, file, "asked for the size");
                self.ports.metrics.ended(End::Probed);
                return;
            }
            Ended::Cancelled => return self.cancelled(channel, file, sender.has_progress()).await,
            Ended::Outcome(Outcome::Aborted { .. }) => Some(Reason::ClientAborted),
            Ended::Outcome(Outcome::TimedOut) => Some(Reason::TimedOut),
            Ended::Socket(error) => {
                tracing::error!(peer = %self.peer, file, %error, "the socket of a TFTP transfer failed");
                Some(Reason::TimedOut)
            }
            Ended::Read(error) => {
                tracing::error!(peer = %self.peer, file, %error, "reading a file for TFTP failed");
                channel.tell(&Packet::error(ErrorCode::Undefined, "reading the file failed")).await;
                Some(Reason::ReadFailed)
            }
        };
        if !sender.has_progress() {
            started();
        }
        let millis = driver::now().saturating_duration_since(begun).as_millis();
        match reason {
            None => {
                let resent = sender.resent();
                tracing::info!(peer = %self.peer, file, bytes = blob.len, millis, resent, "TFTP transfer finished");
                self.ports.metrics.ended(End::Finished);
                self.record(BootEventKind::TftpFinished { file: file.to_owned(), bytes: blob.len });
            }
            Some(reason) => {
                tracing::warn!(peer = %self.peer, file, millis, %reason, "TFTP transfer ended early");
                self.aborted(file, reason);
            }
        }
    }

    /// After a new request from the same port an error would end that one; at the server's end the client is told.
    async fn cancelled(&self, channel: &Channel, file: &str, had_progress: bool) {
        if !self.shutdown.is_cancelled() {
            tracing::info!(peer = %self.peer, file, "the client asks for another file");
            return self.ports.metrics.ended(End::Replaced);
        }
        channel.tell(&Packet::error(ErrorCode::Undefined, "the server stops")).await;
        tracing::info!(peer = %self.peer, file, reason = %Reason::ShuttingDown, "TFTP transfer ended early");
        if !had_progress {
            self.record(BootEventKind::TftpStarted { file: file.to_owned() });
        }
        self.aborted(file, Reason::ShuttingDown);
    }

    fn aborted(&self, file: &str, reason: Reason) {
        self.ports.metrics.ended(End::Aborted(reason));
        self.record(BootEventKind::TftpAborted { file: file.to_owned(), reason });
    }

    async fn refuse(&self, channel: &Channel, file: &str, refusal: Refusal) {
        tracing::info!(peer = %self.peer, file, reason = %refusal.reason, "TFTP request refused");
        self.record(BootEventKind::Refused { file: file.to_owned(), reason: refusal.reason });
        self.ports.metrics.ended(End::Refused(refusal.reason));
        channel.tell(&Packet::error(refusal.code, &refusal.message)).await;
    }

    fn record(&self, kind: BootEventKind) {
        let subject = Subject::Ip(self.peer.ip().to_canonical());
        self.ports.recorder.record(BootEvent { at: self.ports.clock.now(), subject, kind });
    }
}

fn read_failed(name: &FileName, error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    tracing::error!(file = %name, %error, cause, "a file for TFTP cannot be opened");
    let message = "the server cannot read this file; its log says why".to_owned();
    Refusal { code: ErrorCode::Undefined, message, reason: Reason::ReadFailed }
}

async fn as_netascii(name: &FileName, blob: Blob) -> Result<Blob, Refusal> {
    if blob.len > limits::NETASCII_BYTES {
        return Err(Refusal {
            code: ErrorCode::Undefined,
            message: format!(
                "only files of up to {} bytes are sent as netascii; ask for octet",
                limits::NETASCII_BYTES
            ),
            reason: Reason::Unsupported,
        });
    }
    let (len, etag) = (blob.len as usize, blob.etag.clone()); // below NETASCII_BYTES
    let read = tokio::task::spawn_blocking(move || {
        let mut text = vec![0; len];
        blob.read_full(&mut text, 0).map(|_| to_netascii(&text))
    });
    match read.await.unwrap_or_else(|failed| Err(std::io::Error::other(failed))) {
        Ok(text) => Ok(Blob::memory(text, etag)),
        Err(error) => Err(read_failed(name, &error)),
    }
}

/// Spreads the retransmissions of many clients; needs to differ, not to be secret.
fn seed(peer: SocketAddr) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    peer.hash(&mut hasher);
    hasher.finish()
}
