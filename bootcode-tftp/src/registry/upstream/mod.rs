//! A pull-through cache of another registry.
//!
//! ```text
//!  machine -> route -> PullThrough::provide -> layout has it? -> the same answer as without upstream
//!                            | no, once for all who ask
//!                            v
//!                    Upstream (HTTP, anonymous token) -> hash -> Writer, if the digest is right
//! ```

mod challenge;
mod client;
mod error;
mod pull_through;
mod standing;
mod store;

pub use client::Upstream;
pub use error::UpstreamError;
pub use pull_through::{PullThrough, UpstreamIndex};
