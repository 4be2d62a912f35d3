//! Why nothing came from an upstream registry.

use crate::{limits, registry::LayoutError};

/// Nothing came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// It has no such thing.
    #[error("the upstream registry has it not")]
    Missing,
    /// It does not answer, or breaks off.
    #[error("the upstream registry cannot be asked: {why}")]
    Away {
        /// The cause.
        why: String,
    },
    /// It answers that it will not.
    #[error("the upstream registry refuses with status {status}")]
    Refused {
        /// Its status.
        status: u16,
    },
    /// What it gave is not what was asked for; nothing of it is kept.
    #[error("the upstream registry gave something wrong: {what}: {why}")]
    Wrong {
        /// What.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no room.
    #[error(
        "the images have {bytes} bytes, and with this more than registry.maxGiB allows; remove some by `bootcode image rm`"
    )]
    Full {
        /// Bytes of all blobs.
        bytes: u64,
    },
    /// Too much is fetched already.
    #[error("{} things are fetched from the upstream registry already; ask again", limits::UPSTREAM_FETCHES)]
    Busy,
    /// It cannot be kept.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}
