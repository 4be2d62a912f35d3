//! Templates: Tinkerbell's format, rendered as Go's text/template and read strictly.

mod spec;

pub use spec::{ActionSpec, OnInterrupt, TaskSpec, WorkflowSpec};
