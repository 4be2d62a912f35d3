//! Workflows: the log that is their truth, the rules that extend it, and the port that workers speak to.

mod event;
mod service;

pub use event::{Armed, Event, FailureReason, Hold, Recorded};
pub use service::{
    Assignment, Claim, DiskReport, Heartbeat, Hello, Inventory, LogChunk, MachineAction, Namespaces, Outcome,
    Report, ReportAck, ServiceError, Session, WorkflowService, WritableDisk,
};
