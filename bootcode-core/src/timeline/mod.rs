//! What happened to a machine, in order, whatever the protocol that saw it.

mod event;
#[cfg(feature = "engine")]
mod live;
mod reason;
mod recorder;

pub use event::{BootEvent, BootEventKind, Subject};
#[cfg(feature = "engine")]
pub use live::{TimelineDriver, TimelineLine, TimelineRecorder, timeline_stream};
pub use reason::Reason;
pub use recorder::{BootRecorder, NoRecorder};
