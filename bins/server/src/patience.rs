//! A machine's connection that nobody uses is ended: what it was to get is held in memory, and its place is another's.
//!
//! ```text
//!  Head --whole--> Answer --all of it handed on--> Idle --a byte--> Head
//! ```
//!
//! The head and the pause before it have their time; work on an answer has not, for a claim of work waits long. Writes have theirs always.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use axum::body::{Body as AxumBody, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use crate::{config::ConnectionLimits, connections::End};

/// What is awaited of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The head of a request.
    #[default]
    Head,
    /// Nothing: it awaits an answer.
    Answer,
    /// Its next request.
    Idle,
}

/// How far a connection is, which its requests say and its stream goes by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    requests: u64,
    cut_off: Option<End>,
    /// Who reads while we work on an answer. hyper does not read again by itself when that is done: a pause would go unseen.
    reader: Option<Waker>,
}

impl Course {
    /// A request came whole; it is answered when what is returned is dropped.
    pub(crate) fn request(&self) -> Answering {
        let mut state = self.state();
        state.phase = Phase::Answer;
        state.requests += 1;
        Answering { number: state.requests, course: self.clone() }
    }

    /// Why the stream was ended from here, where it was.
    pub(crate) fn cut_off(&self) -> Option<End> {
        self.state().cut_off
    }

    fn phase(&self) -> Phase {
        self.state().phase
    }

    /// What is awaited while nothing comes; while we work on an answer, `reader` is told of its end.
    fn awaits(&self, reader: &Waker) -> Phase {
        let mut state = self.state();
        if state.phase == Phase::Answer {
            state.reader = Some(reader.clone());
        }
        state.phase
    }

    fn cut(&self, end: End, quiet: Duration) -> io::Error {
        self.state().cut_off = Some(end);
        io::Error::new(io::ErrorKind::TimedOut, format!("{}: {} s", end.name(), quiet.as_secs()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Answering {
    course: Course,
    number: u64,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.course.state();
        if state.requests != self.number {
            return;
        }
        state.phase = Phase::Idle;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// The body of an answer, which says when all of it was handed on.
pub(crate) struct Answered {
    body: AxumBody,
    _answering: Answering,
}

impl Answered {
    pub(crate) const fn new(body: AxumBody, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connection.
pub(crate) struct Patient<S> {
    stream: S,
    limits: ConnectionLimits,
    course: Course,
    /// What is awaited, and how long.
    reading: Option<(Phase, Instant)>,
    /// Goes off then or earlier; in most pauses it need not be touched.
    timer: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) const fn new(stream: S, limits: ConnectionLimits, course: Course) -> Self {
        Self { stream, limits, course, reading: None, timer: None, writing: None }
    }

    /// A read that has come to nothing so far; an error where that is for too long.
    fn poll_quiet(&mut self, phase: Phase, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (time, end) = match phase {
            Phase::Answer => return Poll::Pending,
            Phase::Head => (self.limits.head(), End::SlowHead),
            Phase::Idle => (self.limits.idle(), End::Idle),
        };
        let until = match self.reading {
            Some((of, until)) if of == phase => until,
            _ => self.reading.insert((phase, Instant::now() + time)).1,
        };
        ready!(self.poll_until(until, context));
        if self.writing.is_none() {
            return Poll::Ready(Err(self.course.cut(end, time)));
        }
        // It has not taken the last answer yet, for which it has another time.
        let until = Instant::now() + time;
        self.reading = Some((phase, until));
        self.poll_until(until, context).map(Ok)
    }

    fn poll_until(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(context));
        if timer.deadline() < until {
            timer.as_mut().reset(until);
            return timer.as_mut().poll(context);
        }
        Poll::Ready(())
    }

    /// What a write came to; an error where it has come to nothing for too long.
    fn poll_taken<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let stall = self.limits.stall();
        ready!(self.writing.get_or_insert_with(|| Box::pin(sleep(stall))).as_mut().poll(context));
        Poll::Ready(Err(self.course.cut(End::Stalled, stall)))
    }

    /// The pause after an answer begins when the last of it was taken.
    fn taken(&mut self) {
        if let Some((Phase::Idle, until)) = &mut self.reading {
            *until = Instant::now() + self.limits.idle();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let phase = self.course.phase();
        if phase == Phase::Answer {
            self.reading = None;
        }
        if read.is_pending() {
            let phase = self.course.awaits(context.waker());
            return self.poll_quiet(phase, context);
        }
        if phase == Phase::Idle && buffer.filled().len() > before {
            self.course.state().phase = Phase::Head;
            self.reading = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!({
            let written = Pin::new(&mut self.stream).poll_write(context, bytes);
            self.poll_taken(context, written)
        });
        self.taken();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!({
            let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
            self.poll_taken(context, written)
        });
        self.taken();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.poll_taken(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.poll_taken(context, ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        total: 1,
        per_address: None,
        head_seconds: 30,
        idle_seconds: 20,
        stall_seconds: 60,
    };
    const SECOND: Duration = Duration::from_secs(1);

    fn pair() -> (Patient<DuplexStream>, DuplexStream, Course) {
        let (ours, theirs) = tokio::io::duplex(1000);
        let course = Course::default();
        (Patient::new(ours, LIMITS, course.clone()), theirs, course)
    }

    /// How long it takes until a read or write fails, in seconds, and why it does.
    async fn cut_off<T>(course: &Course, doing: impl Future<Output = io::Result<T>>) -> (u64, Option<End>) {
        let start = Instant::now();
        let error = doing.await.err().expect("it was let be");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        (start.elapsed().as_secs(), course.cut_off())
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_let_go_and_who_is_slow_is_not() {
        let (mut ours, mut theirs, course) = pair();
        let start = Instant::now();
        ours.write_all(&[0; 1000]).await.unwrap();
        let slow = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(LIMITS.stall() - SECOND).await;
                theirs.read_exact(&mut [0; 100]).await.unwrap();
            }
            theirs
        });
        ours.write_all(&[0; 1000]).await.unwrap();
        let theirs = slow.await.unwrap();
        assert!(start.elapsed() > LIMITS.stall() * 9, "ten small bites took their time");
        assert_eq!(course.cut_off(), None);
        assert_eq!(cut_off(&course, ours.write_all(&[0; 1000])).await, (60, Some(End::Stalled)));
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_however_often_a_byte_of_it_comes() {
        for before in [false, true] {
            let (mut ours, mut theirs, course) = pair();
            if before {
                drop(course.request());
                theirs.write_all(b"G").await.unwrap();
                ours.read_u8().await.unwrap();
            }
            let dripping = tokio::spawn(async move {
                while theirs.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(SECOND).await;
                }
            });
            let mut head = Vec::new();
            let read = ours.read_to_end(&mut head);
            assert_eq!(cut_off(&course, read).await, (30, Some(End::SlowHead)), "{before}");
            drop(ours);
            dripping.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_us_is_never_let_go_and_who_asks_no_more_is() {
        let (mut ours, mut theirs, course) = pair();
        let answering = course.request();
        let read = tokio::time::timeout(LIMITS.idle() * 100, ours.read_u8()).await;
        assert!(read.is_err(), "{read:?}");
        ours.write_all(b"work").await.unwrap();
        theirs.read_exact(&mut [0; 4]).await.unwrap();
        drop(answering);
        assert_eq!(cut_off(&course, ours.read_u8()).await, (20, Some(End::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_already_hears_that_the_pause_begins() {
        let (mut ours, _theirs, course) = pair();
        let answering = course.request();
        let reading = tokio::spawn(async move { ours.read_u8().await });
        tokio::time::sleep(LIMITS.idle() * 3).await;
        assert!(!reading.is_finished());
        drop(answering);
        let ended = tokio::time::timeout(LIMITS.idle() * 100, reading);
        assert_eq!(cut_off(&course, async { ended.await.unwrap().unwrap() }).await, (20, Some(End::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_begins_when_the_last_of_an_answer_was_taken() {
        let (ours, mut theirs, course) = pair();
        drop(course.request());
        let (mut reading, mut writing) = tokio::io::split(ours);
        let start = Instant::now();
        let read = tokio::spawn(async move { reading.read_u8().await });
        // Its last bytes are in our hands for longer than a pause.
        let slow = tokio::spawn(async move {
            tokio::time::sleep(LIMITS.idle() * 2 + SECOND).await;
            theirs.read_exact(&mut [0; 1500]).await.unwrap();
            theirs
        });
        writing.write_all(&[0; 1500]).await.unwrap();
        let _theirs = slow.await.unwrap();
        read.await.unwrap().unwrap_err();
        assert_eq!((start.elapsed().as_secs(), course.cut_off()), (61, Some(End::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_ends_late_says_nothing_of_the_request_after_it() {
        let (mut ours, _theirs, course) = pair();
        let first = course.request();
        let second = course.request();
        drop(first);
        assert!(tokio::time::timeout(LIMITS.idle() * 100, ours.read_u8()).await.is_err());
        drop(second);
        assert_eq!(cut_off(&course, ours.read_u8()).await, (20, Some(End::Idle)));
    }
}
