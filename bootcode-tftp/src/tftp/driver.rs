//! Runs one [`Sender`] over one channel and one file.

use std::{io, time::Instant};

use bootcode_core::files::{Blob, Body};
use tokio_util::sync::CancellationToken;

use super::{Outcome, Packet, Sender, Transmit, channel::Channel};
use crate::limits;

/// How driving ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The protocol came to an end.
    Outcome(Outcome),
    /// Reading the file failed.
    Read(io::Error),
    /// The socket failed.
    Socket(io::Error),
    /// We were told to stop.
    Cancelled,
}

/// Drives until the end; `on_progress` is called when the client acknowledges for the first time.
pub(super) async fn drive(
    sender: &mut Sender,
    blob: &Blob,
    channel: &mut Channel,
    cancel: &CancellationToken,
    mut on_progress: impl FnMut(),
) -> Ended {
    let mut window = Window::default();
    let mut segmented = true;
    let mut had_progress = false;
    let mut packet = [0; limits::REQUEST_BYTES];
    loop {
        if sender.has_progress() && !had_progress {
            had_progress = true;
            on_progress();
        }
        if let Some(outcome) = sender.outcome() {
            return Ended::Outcome(outcome);
        }
        match send_due(sender, blob, &mut window, channel, &mut segmented).await {
            Ok(()) => {}
            Err(SendError::Read(error)) => return Ended::Read(error),
            Err(SendError::Socket(error)) if is_unreachable(&error) => {
                gone(sender, channel, &mut packet);
                continue;
            }
            // A full queue or a link that is down for a moment: as good as lost, the timer sends again.
            Err(SendError::Socket(error)) if is_transient(&error) => {}
            Err(SendError::Socket(error)) => return Ended::Socket(error),
        }
        let deadline = sender.poll_timeout().map(tokio::time::Instant::from_std);
        let received = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ended::Cancelled,
            received = channel.receive(&mut packet) => received.map(Some),
            // A packet that has come meanwhile goes before the timer: on a busy host both wait for this task, and what was answered is not sent again.
            () = expired(deadline) => channel.receive_now(&mut packet),
        };
        match received {
            Ok(Some(len)) => {
                if let Ok(packet) = Packet::parse(&packet[..len]) {
                    sender.handle(&packet, now());
                }
            }
            Ok(None) => sender.handle_timeout(now()),
            Err(error) if is_unreachable(&error) => gone(sender, channel, &mut packet),
            Err(error) if is_transient(&error) => {}
            Err(error) => return Ended::Socket(error),
        }
    }
}

/// The client's port is closed. What it said before that lies behind the news of it: its last acknowledgement, where a copy of a block came
/// after it had left.
fn gone(sender: &mut Sender, channel: &mut Channel, buffer: &mut [u8]) {
    while let Ok(Some(len)) = channel.receive_now(buffer) {
        if let Ok(packet) = Packet::parse(&buffer[..len]) {
            sender.handle(&packet, now());
        }
    }
    sender.handle_unreachable();
}

async fn expired(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

enum SendError {
    Read(io::Error),
    Socket(io::Error),
}

/// Sends all that is due, neighbouring blocks of full length in one call.
async fn send_due(
    sender: &mut Sender,
    blob: &Blob,
    window: &mut Window,
    channel: &Channel,
    segmented: &mut bool,
) -> Result<(), SendError> {
    let blksize = sender.terms().blksize as usize; // at most 65,464
    let mut datagrams = Vec::new();
    while let Some(transmit) = sender.poll_transmit(now()) {
        match transmit {
            Transmit::Oack => {
                let mut oack = Vec::new();
                Packet::Oack(sender.terms().accepted).encode(&mut oack);
                channel.send(&oack).await.map_err(SendError::Socket)?;
            }
            Transmit::Data { block, offset, len } => {
                let payload = window.bytes(blob, offset, len).await.map_err(SendError::Read)?;
                Packet::Data { block, payload }.encode(&mut datagrams);
            }
        }
    }
    channel.send_blocks(&datagrams, blksize + 4, segmented).await.map_err(SendError::Socket)
}

/// The part of the file that was read last.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    offset: u64,
}

impl Window {
    async fn bytes<'a>(&'a mut self, blob: &'a Blob, offset: u64, len: usize) -> io::Result<&'a [u8]> {
        if let Body::Memory(bytes) = &blob.body {
            return usize::try_from(offset)
                .ok()
                .and_then(|start| bytes.get(start..start + len))
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        let end = offset + len as u64;
        if offset < self.offset || end > self.offset + self.bytes.len() as u64 {
            self.read(blob.clone(), offset, len.max(limits::READ_AHEAD_BYTES)).await?;
        }
        let start = (offset - self.offset) as usize; // within the buffer, by the check above
        self.bytes.get(start..start + len).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn read(&mut self, blob: Blob, offset: u64, len: usize) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let len = usize::try_from(blob.len - offset).unwrap_or(usize::MAX).min(len);
        let read = tokio::task::spawn_blocking(move || {
            bytes.resize(len, 0);
            let read = blob.read_full(&mut bytes, offset)?;
            bytes.truncate(read);
            Ok::<_, io::Error>(bytes)
        });
        self.bytes = read.await.map_err(io::Error::other)??;
        self.offset = offset;
        Ok(())
    }
}

/// The driver's monotonic time; under a paused runtime the runtime's.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn is_unreachable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn is_transient(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ENOBUFS
                | Errno::ENOMEM
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::EHOSTUNREACH
                | Errno::EINTR
        )
    )
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::tftp::{Mode, Options, Request, Terms};

    /// A client may be gone when a copy of its last block arrives; the system tells that before it gives what the client said.
    #[tokio::test]
    async fn who_has_acknowledged_and_gone_has_its_file() {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = client.local_addr().unwrap();
        let mut channel = Channel::own(peer.ip(), peer).await.unwrap();
        let Channel::Own(socket) = &channel else { panic!("it has a port of its own") };
        client.send_to(&[0, 4, 0, 1], socket.local_addr().unwrap()).unwrap();
        drop(client);
        let options = Options { blksize: None, timeout: None, tsize: None, windowsize: None };
        let request = Request { filename: b"f", mode: Some(Mode::Octet), options };
        let blob = Blob::memory("content", "tag");
        let mut sender = Sender::new(Terms::agree(&request, blob.len), 1, now());
        let ended = drive(&mut sender, &blob, &mut channel, &CancellationToken::new(), || {}).await;
        assert!(matches!(ended, Ended::Outcome(Outcome::Finished)), "{ended:?}");
    }
}
