//! What machines learn about themselves: the JSON document, NoCloud's files, and where an installed system phones home.
//!
//! ```text
//!  request -> request::Asker (token, else source address) -> Hardware -> document / nocloud -> answer
//! ```
//!
//! ```
//! use bootcode_metadata::nocloud;
//! let text = nocloud::meta_data("i-node-1", "node-1", &[]);
//! assert!(text.contains("local-hostname"));
//! ```

mod document;
pub mod limits;
pub mod nocloud;
mod parts;
pub mod phone_home;
mod refusal;
mod request;
mod router;
#[cfg(test)]
mod tests;

pub use document::{Addresses, document};
pub use parts::MetadataParts;
pub use request::{Asker, Identified, identify};
pub use router::router;
