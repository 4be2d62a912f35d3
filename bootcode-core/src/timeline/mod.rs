//! What happened to a machine, in order, whatever the protocol that saw it.

mod event;
mod reason;
mod recorder;

pub use event::{BootEvent, BootEventKind, Subject};
pub use reason::Reason;
pub use recorder::{BootRecorder, NoRecorder};
