//! An OCI image layout that is pushed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{error::CliError, show::text};

/// Bytes of an index or a manifest, the bound of the distribution specification.
const MANIFEST_BYTES: u64 = 4 << 20;
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An OCI image layout on this host.
pub(super) struct Layout(pub(super) PathBuf);

impl Layout {
    /// The descriptor of the image with that name; where there is one image only, that one.
    pub(super) fn image(&self, name: &str) -> Result<Value, CliError> {
        let index = self.read(Path::new("index.json"))?;
        let index: Value =
            serde_json::from_slice(&index).map_err(|error| self.fault("index.json", error.to_string()))?;
        let images = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let called = |image: &&Value| image["annotations"][REF_NAME].as_str() == Some(name);
        match (images.iter().rev().find(called), images) {
            (Some(image), _) | (None, [image]) => Ok(image.clone()),
            _ => {
                let names: Vec<_> =
                    images.iter().map(|image| text(&image["annotations"][REF_NAME])).collect();
                let why =
                    format!("it has no image `{name}`, but {} others: {}", names.len(), names.join(" "));
                Err(self.fault("index.json", why))
            }
        }
    }

    pub(super) fn manifest(&self, digest: &str) -> Result<Vec<u8>, CliError> {
        self.read(&self.blob(digest)?)
    }

    pub(super) fn open(&self, digest: &str) -> Result<File, CliError> {
        let path = self.blob(digest)?;
        File::open(self.0.join(&path)).map_err(|error| self.fault(&path.to_string_lossy(), error.to_string()))
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>, CliError> {
        let fault = |why: String| self.fault(&file.to_string_lossy(), why);
        let path = self.0.join(file);
        let len = fs::metadata(&path).map_err(|error| fault(error.to_string()))?.len();
        if len > MANIFEST_BYTES {
            return Err(fault(format!("it is larger than {MANIFEST_BYTES} bytes")));
        }
        fs::read(path).map_err(|error| fault(error.to_string()))
    }

    /// The file of a digest, which leads nowhere else.
    fn blob(&self, digest: &str) -> Result<PathBuf, CliError> {
        let hex =
            digest.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex = hex.filter(|hex| hex.len() == 64);
        hex.map(|hex| Path::new("blobs/sha256").join(hex))
            .ok_or_else(|| self.fault("a manifest", format!("`{digest}` is no SHA-256 digest")))
    }

    pub(super) fn fault(&self, file: &str, why: String) -> CliError {
        CliError::Image { layout: self.0.clone(), file: file.to_owned(), why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_lead_nowhere_else() {
        let layout = Layout("x".into());
        let hex = "0".repeat(64);
        assert_eq!(layout.blob(&format!("sha256:{hex}")).unwrap(), Path::new("blobs/sha256").join(&hex));
        for wrong in ["", "sha256:", "sha256:../../secret", "sha512:00", &hex] {
            assert!(layout.blob(wrong).is_err(), "{wrong}");
        }
    }
}
