//! Images of operating systems as files.

use std::io;

use async_trait::async_trait;
use bootcode_core::files::{Blob, FileError, FileRequest, FileSource};

use super::Layout;

/// The images of operating systems in a layout, by the names that they were added under.
///
/// Whoever is given one has the digest as its entity tag, so that a download that broke off goes on with the same bytes or not at all.
#[derive(Debug, Clone)]
pub struct OsImages(Layout);

impl OsImages {
    /// Those of `layout`.
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        Self(layout)
    }
}

#[async_trait]
impl FileSource for OsImages {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        let name = request.name.as_str();
        let failed = |error| FileError::Io { name: name.to_owned(), source: io::Error::other(error) };
        self.0.os_image(name).await.map_err(failed)
    }
}
