//! The port to whatever keeps boot events.

use super::BootEvent;

/// Takes boot events. Never blocks and never fails the caller; what it must drop it counts.
pub trait BootRecorder: Send + Sync {
    /// Records one event.
    fn record(&self, event: BootEvent);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRecorder;

impl BootRecorder for NoRecorder {
    fn record(&self, _: BootEvent) {}
}
