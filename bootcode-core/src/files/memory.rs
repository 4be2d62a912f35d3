//! Files held in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Blob, FileError, FileRequest, FileSource};

/// A fixed set of files in memory.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    files: BTreeMap<String, Bytes>,
}

impl Memory {
    /// With one more file, or another content of one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.files.insert(name.into(), bytes.into());
        self
    }
}

#[async_trait]
impl FileSource for Memory {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        Ok(self.files.get(request.name.as_str()).map(|bytes| Blob::memory(bytes.clone(), content_tag(bytes))))
    }
}

/// An entity tag made of the content: the first 128 bits of its SHA-256.
pub(super) fn content_tag(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    sha2::Sha256::digest(bytes)[..16].iter().fold(String::new(), |mut tag, byte| {
        let _ = write!(tag, "{byte:02x}");
        tag
    })
}
