//! Files over HTTP: GET and HEAD, ranges, validators, always with a length, never redirected.

mod body;
mod conditions;
mod lane;
mod multipart;
mod name;
mod range;
mod respond;
mod router;

pub use conditions::{Conditions, Precondition};
pub use lane::{Lane, LaneStream};
pub use name::{NameError, file_name};
pub use range::{ByteRanges, RangeError};
pub use router::files_router;

#[cfg(feature = "registry")]
pub(crate) use respond::respond;
