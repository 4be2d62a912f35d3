//! From the document's layout to sectors. Pure.

mod plan;
mod size;

pub use plan::{LayoutError, Planned, plan};
pub use size::{Size, SizeParseError};
