//! Templates: Tinkerbell's format and ours, rendered as Go's text/template and read strictly.
//!
//! ```text
//!  spec.data            --lint, render(TemplateData)--> YAML --read strictly--> Draft --judge--> WorkflowSpec
//!  spec.actions, .tasks --lint, render each text--------------------------------> Draft
//! ```
//!
//! Faults never repeat what the rendering made, as it may hold secrets.

mod compile;
mod data;
mod draft;
mod exec;
mod functions;
mod gotemplate;
mod image_ref;
mod layout;
mod legacy;
mod lint;
mod native;
mod output;
mod parsed;
mod printf;
mod raw;
mod render;
mod scan;
mod show;
mod spec;
mod value;
mod variable;
mod work;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod compile_tests;
#[cfg(test)]
mod tests;

pub use compile::compile;
pub(crate) use data::TAKEN_NAMES;
pub use data::{Resolve, TemplateData};
pub use gotemplate::GoTemplate;
pub(crate) use gotemplate::{Prepared, Renderings};
pub use lint::lint;
pub use native::{compile_native, lint_native};
pub use render::{RenderError, Renderer};
pub use spec::{ActionSpec, OnInterrupt, TaskSpec, WorkflowSpec};
pub use variable::{SecretVariable, Variable};
