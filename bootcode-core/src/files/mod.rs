//! Files for machines, whatever the protocol that carries them.

mod autoexec;
mod below_mac;
mod blob;
mod chain;
#[cfg(feature = "engine")]
mod dir;
#[cfg(feature = "engine")]
mod hot;
mod memory;
mod name;
mod rendered;

pub use autoexec::Autoexec;
pub use below_mac::BelowMac;
pub use blob::{Blob, Body, ReadAt};
pub use chain::Chain;
#[cfg(feature = "engine")]
pub use dir::Dir;
#[cfg(feature = "engine")]
pub use hot::Hot;
pub use memory::Memory;
pub use name::{FileName, FileNameError};
pub use rendered::{Rendered, RenderedParts};

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;

/// Who asks for which file.
#[derive(Debug, Clone)]
pub struct FileRequest {
    /// The normalised name.
    pub name: FileName,
    /// The address that asks; behind a relay of ours, the machine's.
    pub peer: IpAddr,
}

/// Files by name. Asked by TFTP and HTTP alike.
#[async_trait]
pub trait FileSource: Send + Sync {
    /// The file of that name, or `None` where this source has none.
    ///
    /// # Errors
    /// [`FileError::Refused`] where the asking machine may not have it, [`FileError::Io`] where the source failed.
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError>;
}

#[async_trait]
impl<T: FileSource + ?Sized> FileSource for Arc<T> {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        (**self).open(request).await
    }
}

/// A file could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The machine may not have this file now; the reason is the one in its timeline.
    #[error("`{name}` is refused: {reason}")]
    Refused {
        /// The file's name.
        name: String,
        /// Why.
        reason: crate::timeline::Reason,
    },
    /// Reading failed.
    #[error("reading `{name}` failed")]
    Io {
        /// The file's name.
        name: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
