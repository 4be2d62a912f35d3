//! An OCI image layout on disk.

use std::{
    fmt,
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bootcode_core::{
    files::{Blob, Dir, FileName},
    image::{ImageError, ImageIndex, OS_IMAGE},
};
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    Digest, Index, Reference,
    index::{Descriptor, split_name},
    verified::Verified,
};
use crate::limits;

/// A directory in the OCI image layout (image specification, image-layout). Cheap to clone.
///
/// `index.json` is read again whenever it changes. Nothing is given out whose content is not what its digest says; what was found to be so is
/// remembered in `.verified` where the layout may be written.
#[derive(Clone)]
pub struct Layout {
    shared: Arc<Shared>,
}

struct Shared {
    dir: Dir,
    index: Mutex<Option<(String, Arc<Index>)>>,
    verified: Verified,
}

/// A manifest, verified.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The layout cannot be read, or holds what it should not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The directory or one of its files cannot be read.
    #[error("{layout}: {file} cannot be read")]
    Io {
        /// The layout's directory.
        layout: String,
        /// The file in it.
        file: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file that every layout has is missing.
    #[error(
        "{layout} is no OCI image layout: it has no {file}; `skopeo copy docker://IMAGE oci:DIR` makes one"
    )]
    Missing {
        /// The layout's directory.
        layout: String,
        /// The file.
        file: &'static str,
    },
    /// A file that is not what it should be.
    #[error("{layout}: {file} is not valid: {why}")]
    Invalid {
        /// The layout's directory.
        layout: String,
        /// The file in it.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A blob whose content has another digest than its name.
    #[error(
        "{layout}: the content of blob {digest} has the digest {found}; delete the file and copy the image again"
    )]
    Corrupt {
        /// The layout's directory.
        layout: String,
        /// Its name.
        digest: Digest,
        /// Its content's digest.
        found: Digest,
    },
    /// There is no room for another name.
    #[error(
        "{layout}: index.json would grow past {} bytes; remove names of images from it",
        limits::MANIFEST_BYTES
    )]
    IndexFull {
        /// The layout's directory.
        layout: String,
    },
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layout").field(&self.root()).finish()
    }
}

impl Layout {
    /// Opens the layout in `directory`; blocks for a moment.
    ///
    /// # Errors
    /// There is no layout of version 1, or it cannot be read.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, LayoutError> {
        let directory = directory.as_ref();
        let dir = Dir::new(directory).map_err(|source| LayoutError::Io {
            layout: directory.display().to_string(),
            file: "the directory".to_owned(),
            source,
        })?;
        let verified = Verified::read(dir.root());
        let shared = Shared { dir, index: Mutex::default(), verified };
        let marker = shared.small_file("oci-layout")?.ok_or_else(|| shared.missing("oci-layout"))?.1;
        let marker: Marker = serde_json::from_slice(&marker)
            .map_err(|error| shared.invalid("oci-layout", error.to_string()))?;
        if !marker.image_layout_version.starts_with("1.") {
            let why = format!("version {} is not 1.x", marker.image_layout_version);
            return Err(shared.invalid("oci-layout", why));
        }
        shared.index()?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The index as it is now.
    ///
    /// # Errors
    /// See [`LayoutError`].
    pub async fn index(&self) -> Result<Arc<Index>, LayoutError> {
        self.blocking(|shared| shared.index()).await
    }

    /// A manifest of a repository, verified. A digest may also be that of a manifest inside of a multi-platform image.
    ///
    /// # Errors
    /// See [`LayoutError`].
    pub async fn manifest(&self, name: &str, reference: &Reference) -> Result<Option<Manifest>, LayoutError> {
        let (name, reference) = (name.to_owned(), reference.clone());
        self.blocking(move |shared| shared.manifest(&name, &reference)).await
    }

    /// A blob, verified the first time and again whenever its file changed.
    ///
    /// # Errors
    /// See [`LayoutError`].
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Blob>, LayoutError> {
        let digest = digest.clone();
        self.blocking(move |shared| shared.blob(&digest)).await
    }

    /// The image of an operating system with that name (`NAME` or `NAME:TAG`), verified as [`Layout::blob`] is.
    ///
    /// # Errors
    /// See [`LayoutError`].
    pub async fn os_image(&self, name: &str) -> Result<Option<Blob>, LayoutError> {
        let (name, tag) = split_name(name);
        let (name, tag) = (name.to_owned(), Reference::Tag(tag.to_owned()));
        self.blocking(move |shared| shared.os_image(&name, &tag)).await
    }

    /// Makes an empty layout in `directory` where there is none, and opens it; blocks for a moment.
    ///
    /// # Errors
    /// It cannot be made; what is there already is no layout of version 1, or cannot be read.
    pub fn create(directory: impl AsRef<Path>) -> Result<Self, LayoutError> {
        let directory = directory.as_ref();
        let make = || {
            std::fs::create_dir_all(directory)?;
            // The marker last: what has it has all.
            for (file, text) in [
                ("index.json", r#"{"schemaVersion":2,"manifests":[]}"#),
                ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#),
            ] {
                let path = directory.join(file);
                if !path.exists() {
                    let mut file = File::create(path)?;
                    file.write_all(text.as_bytes())?;
                    file.sync_all()?;
                }
            }
            Ok(())
        };
        make().map_err(|source| LayoutError::Io {
            layout: directory.display().to_string(),
            file: "the directory".to_owned(),
            source,
        })?;
        Self::open(directory)
    }

    pub(super) fn root(&self) -> &Path {
        self.shared.dir.root()
    }

    /// Whether there is a blob's file, whatever is in it.
    #[cfg(feature = "upstream")]
    pub(super) async fn has(&self, digest: &Digest) -> Result<bool, LayoutError> {
        let file = blob_path(digest);
        self.blocking(move |shared| Ok(shared.file(&file)?.is_some())).await
    }

    /// As [`Layout::index`]; blocks.
    pub(super) fn index_blocking(&self) -> Result<Arc<Index>, LayoutError> {
        self.shared.index()
    }

    /// As [`Layout::manifest`]; blocks.
    pub(super) fn manifest_blocking(
        &self,
        name: &str,
        reference: &Reference,
    ) -> Result<Option<Manifest>, LayoutError> {
        self.shared.manifest(name, reference)
    }

    /// As [`Layout::blob`]; blocks.
    pub(super) fn blob_blocking(&self, digest: &Digest) -> Result<Option<Blob>, LayoutError> {
        self.shared.blob(digest)
    }

    /// Takes a blob as verified that was hashed while it was written; blocks for a moment.
    pub(super) fn trust(&self, digest: &Digest) -> Result<(), LayoutError> {
        if let Some(blob) = self.shared.file(&blob_path(digest))? {
            self.shared.verified.add(digest, &blob.etag);
        }
        Ok(())
    }

    /// `index.json` as it is on disk; blocks for a moment.
    pub(super) fn index_bytes(&self) -> Result<Vec<u8>, LayoutError> {
        let file = "index.json";
        self.shared.small_file(file)?.map(|(_, bytes)| bytes).ok_or_else(|| self.shared.missing(file))
    }

    pub(super) fn invalid(&self, file: &str, why: String) -> LayoutError {
        self.shared.invalid(file, why)
    }

    pub(super) fn io(&self, file: &str, source: io::Error) -> LayoutError {
        self.shared.io(file, source)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Shared) -> Result<T, LayoutError> + Send + 'static,
    ) -> Result<T, LayoutError> {
        let shared = Arc::clone(&self.shared);
        let joined = tokio::task::spawn_blocking(move || act(&shared)).await;
        joined.unwrap_or_else(|failed| Err(self.shared.io("a file", io::Error::other(failed))))
    }
}

#[async_trait]
impl ImageIndex for Layout {
    async fn resolve(&self, name: &str) -> Result<Option<String>, ImageError> {
        let index = self
            .index()
            .await
            .map_err(|error| ImageError { layout: self.shared.layout(), source: io::Error::other(error) })?;
        let (repository, tag) = split_name(name);
        Ok(index.tagged(repository, tag).map(|descriptor| descriptor.digest.clone()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

/// A manifest of an artifact, as far as it says what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    artifact_type: Option<String>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// What an index or a manifest says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

impl Shared {
    fn index(&self) -> Result<Arc<Index>, LayoutError> {
        let blob = self.file("index.json")?.ok_or_else(|| self.missing("index.json"))?;
        let known = |held: &Option<(String, Arc<Index>)>| match held {
            Some((etag, index)) if *etag == blob.etag => Some(Arc::clone(index)),
            _ => None,
        };
        if let Some(index) = known(&self.index.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(index);
        }
        let bytes = self.read("index.json", &blob)?;
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|error| self.invalid("index.json", error.to_string()))?;
        let index = Arc::new(index);
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Some((blob.etag, Arc::clone(&index)));
        Ok(index)
    }

    fn manifest(&self, name: &str, reference: &Reference) -> Result<Option<Manifest>, LayoutError> {
        let index = self.index()?;
        let (digest, media_type) = match reference {
            Reference::Tag(tag) => {
                let Some(descriptor) = index.tagged(name, tag) else { return Ok(None) };
                let digest = descriptor
                    .digest
                    .parse()
                    .map_err(|error| self.invalid("index.json", format!("{}: {error}", descriptor.digest)))?;
                (digest, descriptor.media_type.clone())
            }
            Reference::Digest(digest) => {
                let listed = index.by_digest(digest).map(|descriptor| descriptor.media_type.clone());
                (digest.clone(), listed.unwrap_or_default())
            }
        };
        let file = blob_path(&digest);
        let Some((_, bytes)) = self.small_file(&file)? else { return Ok(None) };
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(LayoutError::Corrupt { layout: self.layout(), digest, found });
        }
        let kind: Kind = match serde_json::from_slice(&bytes) {
            Ok(kind) => kind,
            // A blob that is no manifest, asked for as one.
            Err(_) if matches!(reference, Reference::Digest(_)) => return Ok(None),
            Err(error) => return Err(self.invalid(&file, error.to_string())),
        };
        let media_type = Some(media_type).filter(|listed| !listed.is_empty()).or(kind.media_type);
        let media_type = media_type.unwrap_or_else(|| match kind.manifests {
            Some(_) => "application/vnd.oci.image.index.v1+json".to_owned(),
            None => "application/vnd.oci.image.manifest.v1+json".to_owned(),
        });
        Ok(Some(Manifest { digest, media_type, bytes: bytes.into() }))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Blob>, LayoutError> {
        let file = blob_path(digest);
        let Some(blob) = self.file(&file)? else { return Ok(None) };
        if !self.verified.has(digest, &blob.etag) {
            // However many ask for it, one reads it all; the others wait and find it verified.
            let _turn = self.verified.turn(digest);
            if !self.verified.has(digest, &blob.etag) {
                let found = self.hash(&file, &blob)?;
                if found != *digest {
                    return Err(LayoutError::Corrupt {
                        layout: self.layout(),
                        digest: digest.clone(),
                        found,
                    });
                }
                // Another program may have left it in memory only; what is remembered as good has to outlast a loss of power.
                let durable = File::open(self.dir.root().join(&file)).and_then(|file| file.sync_data());
                durable.map_err(|source| self.io(&file, source))?;
                self.verified.add(digest, &blob.etag);
            }
        }
        // The digest is the stronger tag: it survives a copy of the layout.
        Ok(Some(Blob { etag: digest.to_string(), ..blob }))
    }

    fn os_image(&self, name: &str, tag: &Reference) -> Result<Option<Blob>, LayoutError> {
        let Some(manifest) = self.manifest(name, tag)? else { return Ok(None) };
        let Ok(artifact) = serde_json::from_slice::<Artifact>(&manifest.bytes) else { return Ok(None) };
        let (Some(OS_IMAGE), [image]) = (artifact.artifact_type.as_deref(), &*artifact.layers) else {
            return Ok(None);
        };
        let digest = image.digest.parse();
        let invalid = |error: super::DigestError| self.invalid(manifest.digest.as_str(), error.to_string());
        self.blob(&digest.map_err(invalid)?)
    }

    fn hash(&self, file: &str, blob: &Blob) -> Result<Digest, LayoutError> {
        let mut hash = Sha256::new();
        let mut chunk = vec![0; limits::HTTP_CHUNK_BYTES];
        let mut offset = 0;
        while offset < blob.len {
            let read = blob.read_full(&mut chunk, offset).map_err(|source| self.io(file, source))?;
            hash.update(&chunk[..read]);
            offset += read as u64;
        }
        Ok(Digest::finished(hash))
    }

    fn small_file(&self, file: &str) -> Result<Option<(Blob, Vec<u8>)>, LayoutError> {
        let Some(blob) = self.file(file)? else { return Ok(None) };
        let bytes = self.read(file, &blob)?;
        Ok(Some((blob, bytes)))
    }

    fn file(&self, file: &str) -> Result<Option<Blob>, LayoutError> {
        let name =
            FileName::normalise(file.as_bytes()).map_err(|error| self.invalid(file, error.to_string()))?;
        self.dir.open_blocking(&name).map_err(|source| self.io(file, source))
    }

    fn read(&self, file: &str, blob: &Blob) -> Result<Vec<u8>, LayoutError> {
        if blob.len > limits::MANIFEST_BYTES {
            return Err(self.invalid(file, format!("it is larger than {} bytes", limits::MANIFEST_BYTES)));
        }
        let mut bytes = vec![0; blob.len as usize]; // at most MANIFEST_BYTES
        blob.read_full(&mut bytes, 0).map_err(|source| self.io(file, source))?;
        Ok(bytes)
    }

    fn layout(&self) -> String {
        self.dir.root().display().to_string()
    }

    fn missing(&self, file: &'static str) -> LayoutError {
        LayoutError::Missing { layout: self.layout(), file }
    }

    fn invalid(&self, file: &str, why: String) -> LayoutError {
        LayoutError::Invalid { layout: self.layout(), file: file.to_owned(), why }
    }

    fn io(&self, file: &str, source: io::Error) -> LayoutError {
        LayoutError::Io { layout: self.layout(), file: file.to_owned(), source }
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
