//! A file's bytes as the body of an answer.

use std::{
    collections::VecDeque,
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bootcode_core::files::{Blob, Body};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::lane::Lane;
use crate::limits;

/// What a body is made of.
#[derive(Debug)]
pub(super) enum Piece {
    /// What stands between ranges.
    Text(Bytes),
    /// A range of the file, within it.
    File(Range<u64>),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File(range) => range.end - range.start,
        }
    }
}

/// A range of a file, sent by the connection itself where it can, else read in chunks from a blocking thread; either only when the connection has room
/// for the next one.
pub(super) struct FileBody {
    blob: Blob,
    lane: Option<Lane>,
    pieces: VecDeque<Piece>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    at_most: u64,
    done: Option<Done>,
}

/// Told once how the body ended; not told where the client left early.
pub(super) type Done = Box<dyn FnOnce(Result<(), &io::Error>) + Send>;

impl FileBody {
    pub(super) fn new(blob: Blob, lane: Option<Lane>, pieces: Vec<Piece>, done: Option<Done>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| piece.len() > 0).collect();
        Self { blob, lane, pieces, reading: None, at_most: u64::MAX, done }
    }

    /// Bounds the bytes of the file that come at once.
    pub(super) const fn at_most(&mut self, bytes: u64) {
        self.at_most = bytes;
    }

    /// Bytes that are still to come.
    pub(super) fn len(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum()
    }

    /// The next bytes, taken off the pieces; `None` at the end.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(piece) = self.pieces.front_mut() else { return Poll::Ready(None) };
        let bytes = match piece {
            Piece::Text(text) => std::mem::take(text),
            Piece::File(rest) => {
                let next = rest.start..rest.end.min(rest.start.saturating_add(self.at_most));
                let lane = self.lane.as_ref().filter(|_| self.reading.is_none());
                let bytes = match lane.and_then(|lane| lane.take(&self.blob, &next)) {
                    Some(bytes) => bytes,
                    None => match ready!(poll_chunk(&self.blob, &next, &mut self.reading, context)) {
                        Ok(bytes) => bytes,
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    },
                };
                rest.start += bytes.len() as u64;
                bytes
            }
        };
        if piece.len() == 0 {
            self.pieces.pop_front();
        }
        Poll::Ready(Some(Ok(bytes)))
    }

    /// Whether the connection could not send itself what it was to, of which nobody else hears; said once.
    pub(super) fn failed_in_lane(&mut self) -> bool {
        let failure = self.lane.as_ref().and_then(Lane::failure);
        if let Some(error) = &failure {
            self.finish(Err(error));
        }
        failure.is_some()
    }

    fn finish(&mut self, result: Result<(), &io::Error>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

impl Drop for FileBody {
    fn drop(&mut self) {
        self.failed_in_lane();
    }
}

/// The first bytes of what rests of a range, at most a chunk.
fn poll_chunk(
    blob: &Blob,
    rest: &Range<u64>,
    reading: &mut Option<JoinHandle<io::Result<Bytes>>>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    let wanted = (rest.end - rest.start).min(limits::HTTP_CHUNK_BYTES as u64) as usize; // bounded by the chunk
    let offset = rest.start;
    if let Body::Memory(bytes) = &blob.body {
        let chunk = usize::try_from(offset).ok().filter(|start| start + wanted <= bytes.len());
        return Poll::Ready(
            chunk
                .map(|start| bytes.slice(start..start + wanted))
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
        );
    }
    let job = reading.get_or_insert_with(|| {
        let blob = blob.clone();
        tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; wanted];
            match blob.read_full(&mut chunk, offset)? {
                read if read == wanted => Ok(Bytes::from(chunk)),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        })
    });
    let chunk = ready!(Pin::new(job).poll(context)).unwrap_or_else(|failed| Err(io::Error::other(failed)));
    *reading = None;
    Poll::Ready(chunk)
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = ready!(self.poll_next(context));
        match &next {
            // hyper may not ask again after the last byte.
            Some(Ok(_)) if !self.pieces.is_empty() => {}
            None | Some(Ok(_)) => self.finish(Ok(())),
            Some(Err(error)) => {
                self.pieces.clear();
                self.finish(Err(error));
            }
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
