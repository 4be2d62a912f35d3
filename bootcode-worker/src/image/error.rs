//! Why an image was not written.

use std::{path::PathBuf, time::Duration};

use super::{DigestParseError, HttpError, Sha256Digest, UrlParseError};

/// Why an image did not arrive whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server refused in a way that trying again does not change.
    #[error(
        "{url} answered {status}: check the name under `files:` of the server and `os.image` of the machine"
    )]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes are not those that were declared.
    #[error(
        "{url} has the wrong digest: {found} came, {expected} is declared in `os.sha256`; the target is not installed"
    )]
    Digest {
        /// What was asked for.
        url: String,
        /// What the document declares.
        expected: Sha256Digest,
        /// What came.
        found: Sha256Digest,
    },
    /// The server's size is not the declared one.
    #[error("{url} has {found} bytes on the server, {expected} are declared: was the file replaced?")]
    Size {
        /// What was asked for.
        url: String,
        /// Declared bytes.
        expected: u64,
        /// Bytes that the server announces or sent.
        found: u64,
    },
    /// Another file stands behind the URL than when the fetch began.
    #[error("{url} changed on the server while it was fetched, after {received} bytes: run the action again")]
    Changed {
        /// What was asked for.
        url: String,
        /// Bytes that had come.
        received: u64,
    },
    /// A partial answer for other bytes than were asked for.
    #[error(
        "{url}: asked from byte {received}, the server sent another range ({answer}): it is not a correct HTTP server"
    )]
    Range {
        /// What was asked for.
        url: String,
        /// Where the fetch stood.
        received: u64,
        /// The `Content-Range` that came.
        answer: String,
    },
    /// Larger than anything that is an image.
    #[error("{url} is larger than {bound} bytes, the most that an image may have")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The bound.
        bound: u64,
    },
    /// No new byte for the whole reconnect window.
    #[error("{url}: no new byte in {waited:?} after {received} bytes; the last attempt: {last}")]
    GaveUp {
        /// What was asked for.
        url: String,
        /// Bytes that had come.
        received: u64,
        /// How long it was tried.
        waited: Duration,
        /// Why the last attempt failed.
        #[source]
        last: Box<HttpError>,
    },
    /// The reader went away: unpacking failed, or the caller gave up.
    #[error("fetching {url} was stopped after {received} bytes, because its reader ended")]
    Stopped {
        /// What was asked for.
        url: String,
        /// Bytes that had come.
        received: u64,
    },
}

/// Why a tar was not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The stream is not a tar, or ends in its middle.
    #[error("the tar cannot be read after {entries} entries")]
    Read {
        /// Entries before the fault.
        entries: u64,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An entry that would leave the target directory.
    #[error("the tar has an entry outside of its root: {path}")]
    Outside {
        /// The entry's name.
        path: String,
    },
    /// An entry could not be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The entry's name within the target.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// More entries than any system has.
    #[error("the tar has more than {bound} entries")]
    TooMany {
        /// The bound.
        bound: u64,
    },
    /// A tar without a single entry.
    #[error("the image holds no files: it must be a tar, plain or compressed with zstd or gzip")]
    Empty,
}

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It did not arrive whole.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It could not be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The URL is not one.
    #[error(transparent)]
    Url(#[from] UrlParseError),
    /// The digest is not one.
    #[error(transparent)]
    Digest(#[from] DigestParseError),
    /// The task that did the work ended without an answer: the runtime shuts down, or it panicked.
    #[error("writing the image was cut off")]
    CutOff {
        /// How it ended.
        #[source]
        source: tokio::task::JoinError,
    },
}
