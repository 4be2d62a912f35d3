//! YAML, read and written in one place.
//!
//! ```text
//!  text --parse_documents--> Node (position of everything, scalars as text) --read::<T>--> T, or every Fault at once
//! ```
//!
//! What a scalar means is decided by the type that it is read into: `52:54:00:00:00:01` into text stays text, `0.10` into text stays
//! `0.10`, `yes` into a boolean is a fault.

pub mod duration;

mod de;
mod error;
mod fault;
mod load;
mod node;
mod read;
mod reveal;
mod scalar;
mod suggest;
mod write;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

pub(crate) use de::TEXT_OR_MAPPING;
pub use fault::{Fault, Faults};
pub use load::{parse_documents, utf8};
pub(crate) use load::{parse_partly, parse_revealing};
pub use node::{Content, Located, Node, Position};
pub(crate) use read::read_revealing;
pub use read::{from_str, read};
pub(crate) use reveal::Reveal;
pub(crate) use suggest::nearest;
pub use write::{WriteError, to_string};
