//! An image that is pushed: of an OCI image layout, which may be in a tar, or of what `docker save` writes.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    archive::Archive,
    docker::{self, Converted},
};
use crate::{error::CliError, show::text};

/// Bytes of an index or a manifest, the bound of the distribution specification.
const MANIFEST_BYTES: u64 = 4 << 20;
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What Docker and containerd write beside it, where the other has the tag alone.
const FULL_NAME: &str = "io.containerd.image.name";

/// The images of a directory or an archive of this host.
pub(super) struct Layout {
    place: PathBuf,
    files: Files,
}

enum Files {
    Directory,
    Archive(Archive),
    Docker(Archive, Box<Converted>),
}

impl Layout {
    /// Opens what `place` is, to push the image `name` of it.
    pub(super) async fn open(place: PathBuf, name: &str) -> Result<Self, CliError> {
        let mut layout = Self { place, files: Files::Directory };
        if !layout.place.is_file() {
            return Ok(layout);
        }
        let archive =
            Archive::open(&layout.place).map_err(|error| layout.fault("the archive", error.to_string()))?;
        // What newer versions of Docker save is both.
        layout.files = match (archive.has("index.json"), archive.file("manifest.json")) {
            (false, Ok(list)) => {
                let fault = |why: String| layout.fault("manifest.json", why);
                let list = small(list).map_err(|error| fault(error.to_string()))?;
                let converted = docker::convert(&archive, &list, name).await.map_err(fault)?;
                Files::Docker(archive, Box::new(converted))
            }
            (true, _) => Files::Archive(archive),
            (false, Err(_)) => {
                let why = "it has neither an index.json, as `skopeo copy` to oci-archive: writes it, nor a manifest.json, as \
                           `docker save` does";
                return Err(layout.fault("the archive", why.to_owned()));
            }
        };
        Ok(layout)
    }

    /// The descriptor of the image with that name; where there is one image only, that one.
    pub(super) fn image(&self, name: &str) -> Result<Value, CliError> {
        if let Files::Docker(_, converted) = &self.files {
            return Ok(converted.descriptor.clone());
        }
        let index = self.read("index.json")?;
        let index: Value =
            serde_json::from_slice(&index).map_err(|error| self.fault("index.json", error.to_string()))?;
        let images = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let called = |image: &&Value| {
            let names = &image["annotations"];
            names[REF_NAME].as_str() == Some(name)
                || names[FULL_NAME].as_str().is_some_and(|full| docker::is_called(full, name))
        };
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
        match &self.files {
            Files::Docker(_, converted) => Ok(converted.manifest.clone()),
            _ => self.read(&self.blob(digest)?),
        }
    }

    /// A blob, to be read.
    pub(super) fn reader(&self, digest: &str) -> Result<Box<dyn Read>, CliError> {
        let name = match &self.files {
            Files::Docker(_, converted) => {
                let known = converted.files.get(digest).cloned();
                known
                    .ok_or_else(|| self.fault(digest, "no file of the archive has this digest".to_owned()))?
            }
            _ => self.blob(digest)?,
        };
        self.file(&name).map_err(|error| self.fault(&name, error.to_string()))
    }

    fn file(&self, name: &str) -> io::Result<Box<dyn Read>> {
        Ok(match &self.files {
            Files::Directory => Box::new(File::open(self.place.join(name))?),
            Files::Archive(archive) | Files::Docker(archive, _) => Box::new(archive.file(name)?),
        })
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, CliError> {
        self.file(name).and_then(small).map_err(|error| self.fault(name, error.to_string()))
    }

    /// The file of a digest, which leads nowhere else.
    fn blob(&self, digest: &str) -> Result<String, CliError> {
        let hex =
            digest.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex = hex.filter(|hex| hex.len() == 64);
        hex.map(|hex| format!("blobs/sha256/{hex}"))
            .ok_or_else(|| self.fault("a manifest", format!("`{digest}` is no SHA-256 digest")))
    }

    pub(super) fn fault(&self, file: &str, why: String) -> CliError {
        CliError::Image { layout: Path::new(&self.place).to_owned(), file: file.to_owned(), why }
    }
}

/// All of a file that is an index or a manifest.
fn small(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MANIFEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MANIFEST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is larger than {MANIFEST_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_lead_nowhere_else() {
        let layout = Layout { place: "x".into(), files: Files::Directory };
        let hex = "0".repeat(64);
        assert_eq!(layout.blob(&format!("sha256:{hex}")).unwrap(), format!("blobs/sha256/{hex}"));
        for wrong in ["", "sha256:", "sha256:../../secret", "sha512:00", &hex] {
            assert!(layout.blob(wrong).is_err(), "{wrong}");
        }
    }
}
