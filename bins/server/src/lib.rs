//! The Bootcode server as a library: every part composed, storage and policy replaceable.
//!
//! ```text
//!  bootcode.yaml -> Config -> Server::builder -> build -> run
//!                              .store(..)  .hardware(..)  .policy(..)
//! ```
//!
//! ```no_run
//! # async fn example() -> Result<(), bootcode_server::ServerError> {
//! use bootcode_server::{Config, Server};
//! let config = Config::load("bootcode.yaml".as_ref(), &[])?;
//! let cancel = tokio_util::sync::CancellationToken::new();
//! Server::builder(config).build()?.run(cancel).await
//! # }
//! ```

mod backup;
pub mod config;
mod connections;
mod control;
mod data;
mod error;
mod files;
mod freshness;
mod hops;
mod http;
mod images;
mod interfaces;
mod metrics;
mod operators;
mod patience;
mod secrets;
mod server;
mod sources;
mod tls;

pub use backup::BackupError;
pub use config::{Config, ConfigError, Override, OverrideError};
pub use data::DataError;
pub use error::ServerError;
pub use freshness::FreshnessError;
pub use operators::{Issued, TokenError, Tokens};
pub use server::{Server, ServerBuilder};
pub use sources::SourceDirError;
pub use tls::{AuthorityError, Certified};
