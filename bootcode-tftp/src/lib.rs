//! Files to machines: TFTP, HTTP and an OCI pull registry, all over one [`FileSource`](bootcode_core::files::FileSource).
//!
//! ```text
//!  RRQ ----> tftp::TftpServer --spawns--> transfer (a socket each) <--drives--> Sender (pure)
//!                                             |
//!  GET ----> http::files_router ----------> FileSource::open -> Blob { len, etag, bytes at an offset }
//!                                             |
//!  GET /v2/ -> registry::registry_router -> Layout (an OCI image layout on disk)
//! ```
//!
//! TFTP is always here; the features `http` and `registry` add their parts.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use bootcode_core::{clock::SystemClock, files::Memory, timeline::NoRecorder};
//! let files = Arc::new(Memory::default().with("undionly.kpxe", vec![0; 70_000]));
//! let server = bootcode_tftp::TftpServer::bind("[::1]:0".parse()?, files, Arc::new(NoRecorder), Arc::new(SystemClock)).await?;
//! let cancel = tokio_util::sync::CancellationToken::new();
//! # cancel.cancel();
//! server.run(cancel).await;
//! # Ok(()) }
//! ```

#[cfg(feature = "http")]
pub mod http;
pub mod limits;
#[cfg(feature = "registry")]
pub mod registry;
pub mod tftp;

pub use tftp::{BindError, TftpServer};
