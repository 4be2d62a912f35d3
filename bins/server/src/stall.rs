//! A connection whose peer takes nothing is ended: what it was to get is held in memory, and its place is another's.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a machine may take nothing of what it asked for. A disk that it writes to may stand still for some seconds, a switch that
/// learns anew for 50 (spanning tree, IEEE 802.1D: twice a forward delay of 15 s after a max age of 20 s).
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// The connection. Waiting for the server, as a claim of work does, is not its fault: only writes are timed.
pub(crate) struct Stall<S> {
    stream: S,
    since: Option<Pin<Box<Sleep>>>,
}

impl<S> Stall<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, since: None }
    }

    /// What a write came to; an error where it has come to nothing for too long.
    fn timed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.since = None;
            return written;
        }
        let since = self.since.get_or_insert_with(|| Box::pin(sleep(STALL)));
        ready!(since.as_mut().poll(context));
        let message = format!("the peer has taken nothing for {} s", STALL.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.timed(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.timed(context, ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_let_go_and_who_is_slow_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut ours = Stall::new(ours);
        let start = Instant::now();
        ours.write_all(&[0; 1000]).await.unwrap();
        let slow = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(STALL - Duration::from_secs(1)).await;
                theirs.read_exact(&mut [0; 100]).await.unwrap();
            }
            theirs
        });
        ours.write_all(&[0; 1000]).await.unwrap();
        let theirs = slow.await.unwrap();
        assert!(start.elapsed() > STALL * 9, "ten small bites took their time");
        let stopped = Instant::now();
        let error = ours.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!((error.kind(), stopped.elapsed().as_secs()), (io::ErrorKind::TimedOut, STALL.as_secs()));
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_us_is_never_let_go() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut ours = Stall::new(ours);
        tokio::time::sleep(STALL * 10).await;
        ours.write_all(b"work").await.unwrap();
        let mut got = [0; 4];
        theirs.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"work");
    }
}
