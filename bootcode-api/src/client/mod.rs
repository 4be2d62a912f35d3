//! The typed clients of workers and operators.

mod http;
mod operator;
mod worker;

pub use http::ClientError;
pub use operator::{OperatorClient, Page};
pub use worker::Client;
