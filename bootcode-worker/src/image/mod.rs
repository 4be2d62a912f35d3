//! Writing an operating system onto a file system: fetched, verified and unpacked as one stream.
//!
//! ```text
//!  HTTP (Range, If-Range) --> fetch --> hash --> zstd | gzip | plain --> tar --> directory
//!                              ^ reconnects for 120 s and goes on where it stopped
//! ```
//!
//! Nothing is kept in memory but a few chunks, so an image may be larger than the machine's RAM. The digest is known
//! only at the end, after the files are there: a caller that boots from them looks at the result first.
//!
//! ```no_run
//! # async fn example() -> Result<(), bootcode_worker::image::ImageError> {
//! use bootcode_worker::image::{FetchPolicy, ImageSource, Progress, install};
//! let source = ImageSource {
//!     url: "http://192.168.99.1:7080/files/debian-12.tar.zst".parse()?,
//!     sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".parse()?,
//!     size: None,
//! };
//! let installed = install(&source, &FetchPolicy::default(), "/mnt/root".into(), Progress::new()).await?;
//! println!("{} entries", installed.unpacked.entries);
//! # Ok(())
//! # }
//! ```

mod digest;
mod error;
mod fetch;
pub mod http;
mod install;
pub mod limits;
mod progress;
mod resume;
#[cfg(test)]
mod tests;
mod unpack;
mod url;

#[cfg(feature = "oci")]
pub(crate) use self::{
    install::decompressed,
    unpack::{Directory, inside, write_entry},
};

pub use digest::{DigestParseError, Sha256Digest};
pub use error::{FetchError, ImageError, UnpackError};
pub use fetch::{FetchPolicy, Fetched, ImageSource, fetch};
pub use http::HttpError;
pub use install::{Installed, install};
pub use progress::Progress;
pub use unpack::{Unpacked, unpack_tar};
pub use url::{HttpUrl, UrlParseError};
