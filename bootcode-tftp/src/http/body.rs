//! A file's bytes as the body of an answer.

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bootcode_core::files::{Blob, Body};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::limits;

/// A range of a file, read in chunks from a blocking thread only when the connection has room for the next one.
pub(super) struct FileBody {
    blob: Blob,
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    done: Option<Done>,
}

/// Told once how the body ended; not told where the client left early.
pub(super) type Done = Box<dyn FnOnce(Result<(), &io::Error>) + Send>;

impl FileBody {
    pub(super) fn new(blob: Blob, range: Range<u64>, done: Option<Done>) -> Self {
        Self { blob, rest: range, reading: None, done }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let wanted = (self.rest.end - self.rest.start).min(limits::HTTP_CHUNK_BYTES as u64) as usize; // bounded by the chunk
        let offset = self.rest.start;
        if let Body::Memory(bytes) = &self.blob.body {
            let chunk = usize::try_from(offset).ok().filter(|start| start + wanted <= bytes.len());
            return Poll::Ready(
                chunk
                    .map(|start| bytes.slice(start..start + wanted))
                    .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
            );
        }
        let blob = &self.blob;
        let reading = self.reading.get_or_insert_with(|| {
            let blob = blob.clone();
            tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; wanted];
                match blob.read_full(&mut chunk, offset)? {
                    read if read == wanted => Ok(Bytes::from(chunk)),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            })
        });
        let chunk =
            ready!(Pin::new(reading).poll(context)).unwrap_or_else(|failed| Err(io::Error::other(failed)));
        self.reading = None;
        Poll::Ready(chunk)
    }

    fn finish(&mut self, result: Result<(), &io::Error>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.rest.is_empty() {
            self.finish(Ok(()));
            return Poll::Ready(None);
        }
        match ready!(self.poll_chunk(context)) {
            Ok(chunk) => {
                self.rest.start += chunk.len() as u64;
                if self.rest.is_empty() {
                    self.finish(Ok(()));
                }
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Err(error) => {
                self.rest.start = self.rest.end;
                self.finish(Err(&error));
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end - self.rest.start)
    }
}
