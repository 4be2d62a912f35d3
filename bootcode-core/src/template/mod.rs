//! Templates: Tinkerbell's format, rendered as Go's text/template and read strictly.
//!
//! ```text
//!  spec.data --lint, render(TemplateData)--> YAML --read strictly--> WorkflowSpec
//! ```
//!
//! Faults never repeat what the rendering made, as it may hold secrets.

mod compile;
mod data;
mod functions;
mod gotemplate;
mod image_ref;
mod lines;
mod lint;
mod raw;
mod render;
mod scan;
mod spec;
mod variable;

#[cfg(test)]
mod tests;

pub use compile::compile;
pub use data::{Resolve, TemplateData};
pub use gotemplate::GoTemplate;
pub use lint::lint;
pub use render::{RenderError, Renderer};
pub use spec::{ActionSpec, OnInterrupt, TaskSpec, WorkflowSpec};
pub use variable::{SecretVariable, Variable};
