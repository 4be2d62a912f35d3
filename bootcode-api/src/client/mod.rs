//! The typed clients of workers and operators.

mod http;
mod operator;
mod registry;
mod worker;

pub use http::ClientError;
pub use operator::{OperatorClient, Page};
pub use registry::Upload;
pub use worker::Client;
