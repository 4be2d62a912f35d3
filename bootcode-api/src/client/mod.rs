//! The typed clients of workers and operators.

mod access;
mod http;
mod operator;
mod registry;
#[cfg(feature = "tls")]
mod tls;
mod worker;

pub use http::ClientError;
pub use operator::{OperatorClient, Page};
pub use registry::{Freed, Upload};
#[cfg(feature = "tls")]
pub use tls::{Trust, TrustError};
pub use worker::Client;
