//! Pulling from the server's registry (OCI distribution specification 1.1), everything verified by digest.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use hyper::header;
use sha2::{Digest as _, Sha256};
use tokio::{
    fs,
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    image_config::ImageConfig,
    layer,
    manifest::{Blob, Document, Found, Manifest},
};
use crate::{
    image::{
        FetchError, FetchPolicy, HttpError, HttpUrl, ImageSource, Progress, Sha256Digest, UnpackError, fetch,
    },
    limits,
};

/// What may be asked for.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// Why an image could not be pulled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry's address cannot be formed.
    #[error("the registry has no usable address: {source}")]
    Url {
        /// The cause.
        #[source]
        source: crate::image::UrlParseError,
    },
    /// A manifest or configuration did not come.
    #[error("{source}")]
    Http {
        /// The cause.
        #[source]
        source: HttpError,
    },
    /// The registry does not have it.
    #[error("the server's registry answered {status} for {url}: is the image in the server's image layout?")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// More bytes than a manifest has.
    #[error("{url} has more than {bound} bytes, which no manifest or configuration has")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The bound.
        bound: usize,
    },
    /// The bytes are not those of the digest.
    #[error("{url} came with the digest {found}: the server's image layout is damaged")]
    Digest {
        /// What was asked for.
        url: String,
        /// What came.
        found: Sha256Digest,
    },
    /// A digest of another kind.
    #[error("`{digest}` is not a digest that is known here: sha256:<64 hexadecimal digits>")]
    DigestForm {
        /// As given.
        digest: String,
    },
    /// The manifest is not one.
    #[error("the manifest cannot be read: {source}")]
    Manifest {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The manifest has no configuration or layers.
    #[error("the manifest has no config and layers: it is not an image's")]
    Incomplete,
    /// An index in an index.
    #[error("the image's index leads to another index")]
    Nested,
    /// No image for this machine.
    #[error("the image has no variant for linux/{architecture}")]
    Platform {
        /// As Go names it.
        architecture: String,
    },
    /// None or too many.
    #[error("the image has {found} layers, 1 to {bound} are possible")]
    Layers {
        /// How many.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// Not a tar.
    #[error("the image has a layer of type {media_type}, which is no tar")]
    LayerType {
        /// As the manifest says.
        media_type: String,
    },
    /// The configuration is not one.
    #[error("the image's configuration cannot be read: {source}")]
    Config {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// A layer did not come whole.
    #[error("layer {layer}: {source}")]
    Fetch {
        /// Its digest.
        layer: Sha256Digest,
        /// The cause.
        #[source]
        source: FetchError,
    },
    /// A layer could not be unpacked.
    #[error("layer {layer}: {source}")]
    Unpack {
        /// Its digest.
        layer: Sha256Digest,
        /// The cause.
        #[source]
        source: UnpackError,
    },
    /// The layers' directory.
    #[error("cannot use {path}: {source}")]
    Directory {
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The task that unpacks was ended.
    #[error("unpacking layer {layer} was cut off")]
    CutOff {
        /// Its digest.
        layer: Sha256Digest,
    },
}

/// The server's registry and the layers of it that are here.
#[derive(Debug)]
pub(super) struct Registry {
    server: HttpUrl,
    layers: PathBuf,
}

/// A manifest with its configuration.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) manifest: Manifest,
    pub(super) config: ImageConfig,
}

impl Registry {
    pub(super) const fn new(server: HttpUrl, layers: PathBuf) -> Self {
        Self { server, layers }
    }

    /// The image's manifest, for this machine where there are several, and its configuration.
    pub(super) async fn manifest(&self, repository: &str, digest: &str) -> Result<Wanted, PullError> {
        let form = || PullError::DigestForm { digest: digest.chars().take(100).collect() };
        let mut digest: Sha256Digest =
            digest.strip_prefix("sha256:").ok_or_else(form)?.parse().map_err(|_| form())?;
        for _ in 0..2 {
            let bytes = self.document(&format!("/v2/{repository}/manifests/sha256:{digest}"), digest).await?;
            match Document::read(&bytes, architecture())? {
                Found::Elsewhere(blob) => digest = blob.digest,
                Found::Image(manifest) => {
                    let path = format!("/v2/{repository}/blobs/sha256:{}", manifest.config.digest);
                    let config = ImageConfig::read(&self.document(&path, manifest.config.digest).await?)?;
                    return Ok(Wanted { manifest, config });
                }
            }
        }
        Err(PullError::Nested)
    }

    /// Removes layers that this image does not have, and halves of layers: their memory is needed.
    pub(super) async fn drop_other_layers(&self, manifest: &Manifest) -> Result<(), PullError> {
        let fault = |source| PullError::Directory { path: self.layers.clone(), source };
        let mut entries = fs::read_dir(&self.layers).await.map_err(fault)?;
        while let Some(entry) = entries.next_entry().await.map_err(fault)? {
            let name = entry.file_name();
            if !manifest.layers.iter().any(|layer| *layer.digest.to_string() == *name) {
                fs::remove_dir_all(entry.path()).await.map_err(fault)?;
            }
        }
        Ok(())
    }

    /// Has all layers here, and says where, the lowest first.
    pub(super) async fn layers(
        &self,
        repository: &str,
        manifest: &Manifest,
    ) -> Result<Vec<PathBuf>, PullError> {
        let mut paths = Vec::new();
        for blob in &manifest.layers {
            let path = self.layers.join(blob.digest.to_string());
            if !fs::try_exists(&path).await.unwrap_or(false) {
                self.layer(repository, blob, &path).await?;
            }
            // The same layer twice changes nothing, and overlayfs refuses it.
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Fetches and unpacks one layer. It gets its name when it is whole and verified.
    async fn layer(&self, repository: &str, blob: &Blob, path: &Path) -> Result<(), PullError> {
        let layer = blob.digest;
        let partial = self.layers.join(format!("partial-{layer}"));
        let directory = |source| PullError::Directory { path: partial.clone(), source };
        if fs::try_exists(&partial).await.map_err(directory)? {
            fs::remove_dir_all(&partial).await.map_err(directory)?;
        }
        fs::create_dir_all(&partial).await.map_err(directory)?;
        let url = self.url(&format!("/v2/{repository}/blobs/sha256:{layer}"))?;
        let source = ImageSource { url, sha256: layer, size: Some(blob.size) };
        let (sink, chunks) = mpsc::channel::<Bytes>(crate::image::limits::CHUNKS_QUEUED);
        let (policy, progress) = (FetchPolicy::default(), Progress::new());
        let fetching = fetch(&source, &policy, sink, &progress);
        let unpacking = layer::unpack(chunks, partial.clone());
        match tokio::join!(fetching, unpacking) {
            (Ok(_), Ok(Ok(_))) => {}
            (Err(FetchError::Stopped { .. }) | Ok(_), Ok(Err(source))) => {
                return Err(PullError::Unpack { layer, source });
            }
            (Ok(_), Err(_)) => return Err(PullError::CutOff { layer }),
            (Err(source), _) => return Err(PullError::Fetch { layer, source }),
        }
        fs::rename(&partial, path).await.map_err(directory)
    }

    /// A manifest or configuration, verified. A server that is starting again is waited for as long as for a layer.
    async fn document(&self, path: &str, digest: Sha256Digest) -> Result<Vec<u8>, PullError> {
        let url = self.url(path)?;
        let policy = FetchPolicy::default();
        let (begin, mut pause) = (Instant::now(), policy.backoff / 16);
        let whole = loop {
            let failure = match document_once(&url, &policy).await {
                Ok(whole) => break whole,
                Err(failure @ PullError::Http { .. }) => failure,
                Err(failure @ PullError::Refused { status: 408 | 425 | 429 | 500..=599, .. }) => failure,
                Err(failure) => return Err(failure),
            };
            if begin.elapsed() + pause > policy.reconnect {
                return Err(failure);
            }
            tracing::warn!(%url, %failure, "asking again");
            sleep(pause).await;
            pause = (pause * 2).min(policy.backoff);
        };
        let found = Sha256Digest::new(Sha256::digest(&whole).into());
        if found != digest {
            return Err(PullError::Digest { url: url.to_string(), found });
        }
        Ok(whole)
    }

    fn url(&self, path: &str) -> Result<HttpUrl, PullError> {
        let base = self.server.path_and_query().trim_end_matches('/');
        format!("http://{}{base}{path}", self.server.authority())
            .parse()
            .map_err(|source| PullError::Url { source })
    }
}

async fn document_once(url: &HttpUrl, policy: &FetchPolicy) -> Result<Vec<u8>, PullError> {
    let accept = [(header::ACCEPT, ACCEPT.to_owned())];
    let http = |source| PullError::Http { source };
    let mut response =
        crate::image::http::get(url, &accept, policy.connect, policy.idle).await.map_err(http)?;
    if response.status() != 200 {
        return Err(PullError::Refused { url: url.to_string(), status: response.status() });
    }
    let mut whole = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(http)? {
        if whole.len() + chunk.len() > limits::MANIFEST_BYTES {
            return Err(PullError::TooLong { url: url.to_string(), bound: limits::MANIFEST_BYTES });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

/// As Go, and so every registry, names it.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        std::env::consts::ARCH
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_server_that_is_killed_under_a_manifest_is_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = Registry::new(
            format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(),
            "/nonexistent".into(),
        );
        let answers = [
            "",
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        ];
        let serving = async {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let digest = Sha256Digest::new(Sha256::digest(b"{}").into());
        let (whole, ()) = tokio::join!(registry.document("/v2/wipe/manifests/x", digest), serving);
        assert_eq!(whole.unwrap(), b"{}");
    }

    #[tokio::test]
    async fn an_image_that_is_not_there_is_not_asked_for_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = Registry::new(
            format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(),
            "/nonexistent".into(),
        );
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        };
        let digest = Sha256Digest::new([0; 32]);
        let (refused, ()) = tokio::join!(registry.document("/v2/wipe/manifests/x", digest), serving);
        assert!(matches!(refused, Err(PullError::Refused { status: 404, .. })), "{refused:?}");
    }
}
