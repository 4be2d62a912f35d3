//! The HTTP API of operators and workers: one file of routes, a router for servers and a typed client.
//!
//! ```text
//!  worker --Client (WorkflowService)--> /worker/v1/.. --worker::router--> WorkflowService (core's Engine)
//!  bootcode --OperatorClient----------> /api/v1/..    --operator::router--> Store, Engine, Journal
//! ```
//!
//! A worker cannot tell whether its `WorkflowService` is in its own process or behind [`Client`].
//!
//! ```
//! use bootcode_api::Endpoint;
//! let endpoint: Endpoint = "http://192.168.99.1:7080".parse()?;
//! assert_eq!(endpoint.to_string(), "http://192.168.99.1:7080");
//! # Ok::<(), bootcode_api::EndpointError>(())
//! ```

#[cfg(feature = "server")]
mod body;
#[cfg(feature = "client")]
pub mod client;
mod endpoint;
pub mod limits;
#[cfg(feature = "server")]
pub mod operator;
pub mod routes;
#[cfg(feature = "server")]
pub mod worker;

#[cfg(feature = "client")]
pub use client::{Client, ClientError, OperatorClient};
pub use endpoint::{Endpoint, EndpointError};
