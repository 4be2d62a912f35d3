//! Files over HTTP: GET and HEAD, one range, validators, always with a length, never redirected.

mod body;
mod conditions;
mod name;
mod range;
mod respond;
mod router;

pub use conditions::{Conditions, Precondition};
pub use name::{NameError, file_name};
pub use range::{ByteRange, RangeError};
pub use router::files_router;

#[cfg(feature = "registry")]
pub(crate) use respond::respond;
