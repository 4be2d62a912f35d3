//! Files that go from the kernel's memory to a connection by `sendfile`, without coming through this program.
//!
//! ```text
//!  FileBody --Region--> Lane (what the connection owes, in order)
//!     |                   |
//!     '--BLANK, as many bytes--> layers, hyper --writes--> LaneStream --sendfile--> socket
//! ```
//!
//! Through the layers between a body and its connection goes a stretch of [`BLANK`] in place of the bytes, so that these count, pace and cut them as any
//! others. The stream knows it by its address. Its content is never sent: where a layer has copied it and let it go, the stream sees that nobody holds
//! it any more, and fails.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    ops::Range,
    os::fd::AsFd,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
};

use bootcode_core::files::{Blob, Body, ReadAt};
use bytes::Bytes;
use rustix::{
    io::ReadWriteFlags,
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::limits;

/// What stands for a file's bytes on their way. Never read, so it takes addresses and no memory.
static BLANK: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![0; limits::HTTP_CHUNK_BYTES]));

/// What a connection owes of files. Whoever serves gives it to each request of the connection as an extension.
#[derive(Clone, Default)]
pub struct Lane(Arc<Mutex<Owed>>);

#[derive(Default)]
struct Owed {
    regions: VecDeque<Region>,
    sent: u64,
    failed: Option<io::Error>,
}

/// What is still to be sent of one file.
struct Region {
    source: Source,
    offset: u64,
    len: usize,
    standing: Weak<()>,
}

enum Source {
    /// May change while it is sent.
    File(Arc<dyn ReadAt>),
    /// Cannot.
    Sealed(Arc<File>),
}

/// A stretch of [`BLANK`]; alive as long as any part of it is on its way.
struct Stretch {
    blank: Bytes,
    _standing: Arc<()>,
}

impl AsRef<[u8]> for Stretch {
    fn as_ref(&self) -> &[u8] {
        &self.blank
    }
}

impl Lane {
    /// Bytes that went this way.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.owed().sent
    }

    /// Takes the first bytes of what rests of a file, at most a chunk, and gives what stands for them. `None` where reading is the better way: they are
    /// few, or of a file that may change and the last ones, or not all in the kernel's memory, or of no file.
    pub(super) fn take(&self, blob: &Blob, rest: &Range<u64>) -> Option<Bytes> {
        let wanted = rest.end - rest.start;
        let bounded = |len: u64| len.min(BLANK.len() as u64) as usize; // by a length in memory
        let (source, len) = match (&blob.sealed, &blob.body) {
            (Some(file), _) if wanted >= limits::HTTP_SEALED_BYTES => {
                (Source::Sealed(Arc::clone(file)), bounded(wanted))
            }
            (None, Body::Reader(reader)) => {
                let (file, offset) = (reader.as_file()?, rest.start);
                let len = bounded(wanted.saturating_sub(limits::HTTP_TAIL_BYTES as u64));
                if len < limits::HTTP_TAIL_BYTES
                    || !in_memory(file, offset)
                    || !in_memory(file, offset + len as u64 - 1)
                {
                    return None;
                }
                (Source::File(Arc::clone(reader)), len)
            }
            _ => return None,
        };
        let standing = Arc::new(());
        let region = Region { source, offset: rest.start, len, standing: Arc::downgrade(&standing) };
        self.owed().regions.push_back(region);
        Some(Bytes::from_owner(Stretch { blank: BLANK.slice(..len), _standing: standing }))
    }

    /// Why sending failed, once.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.owed().failed.take()
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a byte can be read without waiting for a disk. Some file systems cannot tell, and count as those that wait.
fn in_memory(file: impl AsFd, offset: u64) -> bool {
    let mut byte = [0];
    let read = rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    matches!(read, Ok(1))
}

fn copied() -> io::Error {
    io::Error::other("a layer has copied a body that is the connection's to send; serve it without the lane")
}

fn is_blank(slice: &[u8]) -> bool {
    !slice.is_empty() && BLANK.as_ptr_range().contains(&slice.as_ptr())
}

impl Region {
    /// Sends some of it, at most `room` bytes; the bytes belong to the version that was opened, or nothing follows them.
    fn send(&mut self, socket: impl AsFd, room: usize) -> io::Result<usize> {
        let file = match &self.source {
            Source::File(reader) => reader.as_file().ok_or(io::ErrorKind::Unsupported)?,
            Source::Sealed(file) => file,
        };
        let mut offset = self.offset;
        let sent = rustix::fs::sendfile(socket, file, Some(&mut offset), self.len.min(room))?;
        // Asked afterwards, as whoever reads does. What was sent of another version is the last that this connection sends.
        if let Source::File(reader) = &self.source {
            reader.check()?;
        }
        if sent == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset = offset;
        self.len -= sent;
        Ok(sent)
    }
}

/// A connection that sends files itself. hyper must write to it by vectors, which it does unless told otherwise; what stands between must
/// pass [`AsyncWrite::poll_write_vectored`] on.
pub struct LaneStream {
    stream: TcpStream,
    lane: Lane,
    /// Bytes of files that were sent since others had their turn.
    turn: usize,
}

impl LaneStream {
    /// Over plain TCP: what is encrypted has to be read.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, lane: Lane::default(), turn: 0 }
    }

    /// The socket, for its options.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// What its requests get as an extension.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane.clone()
    }

    fn poll_send(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Self { stream, lane, turn } = self;
        let mut owed = lane.owed();
        let Owed { regions, sent, failed } = &mut *owed;
        let blank = slices.iter().position(|slice| is_blank(slice));
        let (region, blank) = match (regions.front_mut(), blank) {
            (Some(region), _) if region.standing.strong_count() == 0 => return Poll::Ready(Err(copied())),
            (None, Some(_)) => return Poll::Ready(Err(copied())),
            // A head may go before a layer lets the body go on.
            (_, None) => return Pin::new(stream).poll_write_vectored(context, slices),
            (Some(region), Some(blank)) => (region, blank),
        };
        if *turn >= limits::HTTP_TURN_BYTES {
            *turn = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            ready!(stream.poll_write_ready(context))?;
            let tried = stream.try_io(Interest::WRITABLE, || write(stream, slices.split_at(blank), region));
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *turn = 0,
                Err(error) => {
                    *failed = Some(io::Error::new(error.kind(), error.to_string()));
                    return Poll::Ready(Err(error));
                }
                Ok(Written { before, of_file }) => {
                    *turn += of_file;
                    *sent += of_file as u64;
                    if region.len == 0 {
                        regions.pop_front();
                    }
                    return Poll::Ready(Ok(before + of_file));
                }
            }
        }
    }
}

struct Written {
    before: usize,
    of_file: usize,
}

/// Writes what stands before a region, and of the region as much as was let go on and has room.
fn write(
    stream: &TcpStream,
    (before, rest): (&[IoSlice<'_>], &[IoSlice<'_>]),
    region: &mut Region,
) -> io::Result<Written> {
    let room = rest.iter().take_while(|slice| is_blank(slice)).map(|slice| slice.len()).sum();
    let wanted: usize = before.iter().map(|slice| slice.len()).sum();
    if wanted == 0 {
        return Ok(Written { before: 0, of_file: region.send(stream, room)? });
    }
    // In one packet with what follows.
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    let written = sendmsg(stream, before, &mut SendAncillaryBuffer::default(), flags)?;
    // A failure comes again, with the next write.
    let of_file = if written == wanted { region.send(stream, room).unwrap_or(0) } else { 0 };
    Ok(Written { before: written, of_file })
}

impl AsyncRead for LaneStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for LaneStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
