//! Manifests (OCI image specification 1.1: manifest.md, image-index.md).

use serde::Deserialize;

use super::registry::PullError;
use crate::{image::Sha256Digest, limits};

/// A manifest or an index of manifests, as far as pulling needs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// What a manifest says about a blob.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) media_type: String,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(super) struct Platform {
    pub(super) architecture: String,
    pub(super) os: String,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) config: Blob,
    /// Lowest first.
    pub(super) layers: Vec<Blob>,
}

/// A blob by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Sha256Digest,
    pub(super) size: u64,
}

/// What a document is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Image(Manifest),
    /// Ask for this manifest instead.
    Elsewhere(Blob),
}

impl Document {
    /// Reads JSON; `architecture` is as Go names it (`amd64`).
    pub(super) fn read(bytes: &[u8], architecture: &str) -> Result<Found, PullError> {
        let document: Self =
            serde_json::from_slice(bytes).map_err(|source| PullError::Manifest { source })?;
        if let Some(manifests) = document.manifests {
            let fits = |descriptor: &&Descriptor| {
                let platform = descriptor.platform.as_ref();
                platform
                    .is_some_and(|platform| platform.os == "linux" && platform.architecture == architecture)
            };
            let found = manifests.iter().find(fits).or_else(|| match &manifests[..] {
                [only] if only.platform.is_none() => Some(only),
                _ => None,
            });
            let found = found.ok_or_else(|| PullError::Platform { architecture: architecture.to_owned() })?;
            return Ok(Found::Elsewhere(found.blob()?));
        }
        let (Some(config), Some(layers)) = (document.config, document.layers) else {
            return Err(PullError::Incomplete);
        };
        if layers.is_empty() || layers.len() > limits::LAYERS {
            return Err(PullError::Layers { found: layers.len(), bound: limits::LAYERS });
        }
        if let Some(odd) = layers.iter().find(|layer| !layer.is_layer()) {
            return Err(PullError::LayerType { media_type: odd.media_type.clone() });
        }
        let layers = layers.iter().map(Descriptor::blob).collect::<Result<_, _>>()?;
        Ok(Found::Image(Manifest { config: config.blob()?, layers }))
    }
}

impl Descriptor {
    fn blob(&self) -> Result<Blob, PullError> {
        let digest = self.digest.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
        let digest = digest
            .ok_or_else(|| PullError::DigestForm { digest: self.digest.chars().take(100).collect() })?;
        Ok(Blob { digest, size: self.size })
    }

    /// How it is compressed is told by its first bytes; what is no tar (signatures, charts) is refused here.
    fn is_layer(&self) -> bool {
        self.media_type.is_empty() || self.media_type.contains(".tar")
    }
}
