//! Files that are asked for in a directory named after a machine.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Blob, FileError, FileRequest, FileSource};
use crate::mac::MacAddr;

/// The files of another source below any hardware address, as `52:54:00:00:00:01/snponly.efi`: Boots and Smee of Tinkerbell tell
/// firmware such names, and DHCP servers beside us that were made for them still do. The address chooses nothing, so whoever asks may
/// have what the source gives to all.
#[derive(Clone)]
pub struct BelowMac {
    source: Arc<dyn FileSource>,
}

impl BelowMac {
    /// The files of `source`.
    #[must_use]
    pub fn new(source: Arc<dyn FileSource>) -> Self {
        Self { source }
    }
}

#[async_trait]
impl FileSource for BelowMac {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        let first = request.name.as_str().split('/').next().unwrap_or_default();
        if first.parse::<MacAddr>().is_err() {
            return Ok(None);
        }
        match request.name.below(first) {
            Some(name) => self.source.open(&FileRequest { name, peer: request.peer }).await,
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{FileName, Memory};

    #[tokio::test]
    async fn a_leading_hardware_address_goes_and_nothing_else_does() {
        let files = BelowMac::new(Arc::new(Memory::default().with("snponly.efi", "x").with("a/b", "y")));
        for (name, len) in [
            ("52:54:00:00:00:01/snponly.efi", Some(1)),
            ("/52:54:00:AB:00:01/a/b", Some(1)),
            ("52-54-00-00-00-01/snponly.efi", Some(1)),
            ("snponly.efi", None),
            ("a/b", None),
            ("52:54:00:00:00:01", None),
            ("52:54:00:00:00/snponly.efi", None),
            ("52:54:00:00:00:01/52:54:00:00:00:01/snponly.efi", None),
        ] {
            let request = FileRequest {
                name: FileName::normalise(name.as_bytes()).unwrap(),
                peer: [127, 0, 0, 1].into(),
            };
            let found = files.open(&request).await.unwrap().map(|blob| blob.len);
            assert_eq!(found, len, "{name}");
        }
    }
}
