//! Ctrl-C, a termination signal and a parent that went away, as one flag that waiting loops look at.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::TaskError;

/// Set once somebody wants the task to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM for as long as the program runs.
    pub(crate) fn listen() -> Self {
        let this = Self::default();
        let flag = this.clone();
        thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut interrupt), Ok(mut terminate)) =
                    (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
                else {
                    return;
                };
                loop {
                    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                    // Who asks twice does not want to wait.
                    if flag.is_set() {
                        std::process::exit(130);
                    }
                    flag.set();
                }
            });
        });
        this
    }

    /// Also ends the task when standard input closes: the parent holds the other end of the pipe.
    pub(crate) fn when_stdin_closes(&self) {
        let flag = self.clone();
        thread::spawn(move || {
            let mut byte = [0_u8; 1];
            while matches!(std::io::stdin().read(&mut byte), Ok(1)) {}
            flag.set();
        });
    }

    fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the task shall end.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits for a moment.
    ///
    /// # Errors
    /// [`TaskError::Interrupted`] as soon as the task shall end.
    pub(crate) fn pause(&self, time: Duration) -> Result<(), TaskError> {
        let end = Instant::now() + time;
        loop {
            if self.is_set() {
                return Err(TaskError::Interrupted);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
