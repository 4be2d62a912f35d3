//! Files over HTTP: GET and HEAD, ranges, validators, always with a length, never redirected.

mod body;
mod conditions;
mod download;
mod downloads;
mod lane;
mod large;
mod metrics;
mod multipart;
mod name;
mod pace;
mod range;
mod respond;
mod router;

pub use conditions::{Conditions, Precondition};
pub use downloads::{Downloads, LargeDownloads};
pub use lane::{Lane, LaneStream};
pub use metrics::HttpMetrics;
pub use name::{NameError, file_name};
pub use range::{ByteRanges, RangeError};
pub use router::files_router;

#[cfg(feature = "registry")]
pub(crate) use {
    metrics::{End, Kind},
    respond::respond,
};
