//! Workflows: the log that is their truth, the rules that extend it, and the port that workers speak to.

mod apply;
mod assignment;
mod command;
mod decide;
mod disk_match;
mod disks;
mod event;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod guard;
mod hook;
mod instance;
mod machine;
mod outputs;
mod service;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod work;

pub use assignment::Credentials;
pub use command::{Command, Machine, Rejection};
pub use decide::{decide, next_deadline};
pub use disks::{installation, writable};
pub use event::{Armed, Event, FailureReason, Hold, Recorded};
#[cfg(any(test, feature = "testing"))]
pub use guard::{Guard, without};
pub use hook::{HookCause, HookEnd, HookStart, HookState};
pub use instance::Instance;
pub use machine::verify;
pub use outputs::{ActionOutputs, Outputs};
pub use service::{
    Assignment, Claim, DiskReport, Heartbeat, Hello, Inventory, LogChunk, MachineAction, Namespaces, Outcome,
    Report, ReportAck, ServiceError, Session, WorkflowService, WritableDisk,
};
pub use state::{ActionPhase, ActionState, Open, Phase, Plan, Seen, State};
pub use status::{ActionStatus, Status};
#[cfg(feature = "engine")]
pub(crate) use work::age;
pub use work::{waits_because, work_for};
