//! Futures on one thread, polled in an order that the seed alone decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

type Ready = Arc<Mutex<BTreeSet<u64>>>;

/// What is under way. Of those that can go on, the oldest does: in which order they were woken has no influence.
pub(super) struct Tasks<T> {
    tasks: BTreeMap<u64, Task<T>>,
    ready: Ready,
    started: u64,
}

struct Task<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    waker: Waker,
}

struct Turn {
    id: u64,
    ready: Ready,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id);
    }
}

impl<T> Tasks<T> {
    pub(super) fn new() -> Self {
        Self { tasks: BTreeMap::new(), ready: Ready::default(), started: 0 }
    }

    /// Starts a future.
    pub(super) fn start(&mut self, future: impl Future<Output = T> + Send + 'static) -> u64 {
        self.started += 1;
        let id = self.started;
        let waker = Waker::from(Arc::new(Turn { id, ready: Arc::clone(&self.ready) }));
        self.tasks.insert(id, Task { future: Box::pin(future), waker });
        self.lock().insert(id);
        id
    }

    /// Drops a future, wherever it is.
    pub(super) fn drop_task(&mut self, id: u64) {
        self.tasks.remove(&id);
    }

    /// Drops them all, as the end of a process does.
    pub(super) fn drop_all(&mut self) {
        self.tasks.clear();
    }

    /// Goes on until one has ended; `None` where all wait for something.
    pub(super) fn next(&mut self) -> Option<(u64, T)> {
        loop {
            let id = self.lock().pop_first()?;
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            if let Poll::Ready(ended) = task.future.as_mut().poll(&mut Context::from_waker(&task.waker)) {
                self.tasks.remove(&id);
                return Some((id, ended));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread: a store may have threads of its own, whose real time must not become virtual time.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
