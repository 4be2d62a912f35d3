//! What a manifest refers to, read before it is kept.

use serde::Deserialize;

use super::Digest;

/// A manifest or index that may be kept (OCI image specification, manifest and image-index; Docker's schema 2 of both).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its media type, which stands in it or in the request.
    pub media_type: String,
    /// What has to be there before it: configuration and layers, or the manifests of an index.
    pub refers_to: Vec<Referred>,
}

/// Content that a manifest needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referred {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// A manifest that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is no JSON of the shape.
    #[error("it is no manifest: {why}")]
    Shape {
        /// Where, and what is wrong.
        why: String,
    },
    /// Another version than 2.
    #[error("schemaVersion is {version}, only 2 is kept")]
    Version {
        /// What it says.
        version: u64,
    },
    /// A type that is neither a manifest nor an index.
    #[error("`{media_type}` is no media type of a manifest or an index of OCI or Docker")]
    MediaType {
        /// What it says.
        media_type: String,
    },
    /// It says one type, the request another.
    #[error("mediaType is `{own}`, Content-Type is `{asked}`")]
    Differ {
        /// What stands in it.
        own: String,
        /// What the request says.
        asked: String,
    },
    /// A reference by something else than SHA-256.
    #[error("{digest} cannot be referred to: a digest is `sha256:` and 64 lower-case hexadecimal digits")]
    Digest {
        /// What it says.
        digest: String,
    },
}

const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Reference>,
    layers: Option<Vec<Reference>>,
    manifests: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
}

impl Content {
    /// Reads `bytes`, which came with this Content-Type.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let text: Text =
            serde_json::from_slice(bytes).map_err(|error| ManifestError::Shape { why: error.to_string() })?;
        if text.schema_version != 2 {
            return Err(ManifestError::Version { version: text.schema_version });
        }
        let asked = content_type.map(|value| value.split(';').next().unwrap_or(value).trim());
        let media_type = match (text.media_type, asked) {
            (Some(own), Some(asked)) if own != asked => {
                return Err(ManifestError::Differ { own, asked: asked.to_owned() });
            }
            (Some(own), _) => own,
            (None, asked) => asked.unwrap_or_default().to_owned(),
        };
        let missing = |key: &str| ManifestError::Shape { why: format!("`{key}` is missing") };
        let references = if INDEXES.contains(&&*media_type) {
            text.manifests.ok_or_else(|| missing("manifests"))?
        } else if MANIFESTS.contains(&&*media_type) {
            let mut references = text.layers.ok_or_else(|| missing("layers"))?;
            references.push(text.config.ok_or_else(|| missing("config"))?);
            references
        } else {
            return Err(ManifestError::MediaType { media_type });
        };
        let refers_to =
            references.into_iter().filter(|reference| !reference.is_elsewhere()).map(|reference| {
                let digest = reference
                    .digest
                    .parse()
                    .map_err(|_| ManifestError::Digest { digest: reference.digest })?;
                Ok(Referred { digest, size: reference.size })
            });
        Ok(Self { media_type, refers_to: refers_to.collect::<Result<_, _>>()? })
    }
}

impl Reference {
    /// Layers that may not be passed on; they are fetched from their `urls`.
    fn is_elsewhere(&self) -> bool {
        self.media_type.contains(".nondistributable.") || self.media_type.contains(".foreign.")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reference(bytes: &[u8]) -> Value {
        json!({"mediaType": "m", "digest": Digest::of(bytes).as_str(), "size": bytes.len()})
    }

    #[test]
    fn manifests_and_indexes_say_what_they_need() {
        let needs = |bytes: &[u8]| Referred { digest: Digest::of(bytes), size: bytes.len() as u64 };
        let foreign = json!({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": "x", "size": 1});
        for media_type in MANIFESTS {
            let manifest =
                json!({"schemaVersion": 2, "config": reference(b"c"), "layers": [reference(b"l"), foreign]});
            let content = Content::parse(manifest.to_string().as_bytes(), Some(media_type)).unwrap();
            assert_eq!(content.refers_to, [needs(b"l"), needs(b"c")]);
            assert_eq!(content.media_type, media_type);
        }
        for media_type in INDEXES {
            let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [reference(b"m")]});
            let asked = format!("{media_type}; charset=utf-8");
            for asked in [None, Some(&*asked)] {
                let content = Content::parse(index.to_string().as_bytes(), asked).unwrap();
                assert_eq!((content.refers_to, &*content.media_type), (vec![needs(b"m")], media_type));
            }
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_fault() {
        let manifest = |change: Value| {
            let mut manifest = json!({"schemaVersion": 2, "mediaType": MANIFESTS[0], "config": reference(b"c"), "layers": []});
            manifest.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            manifest.to_string()
        };
        let sha512 = json!({"digest": "sha512:00", "size": 1});
        for (text, content_type, said) in [
            ("{".to_owned(), None, "line 1"),
            ("[]".to_owned(), None, "no manifest"),
            (manifest(json!({"schemaVersion": 1})), None, "schemaVersion is 1"),
            (manifest(json!({"mediaType": null})), None, "no media type"),
            (manifest(json!({"mediaType": "text/plain"})), None, "`text/plain`"),
            (manifest(json!({})), Some(INDEXES[0]), "Content-Type is"),
            (manifest(json!({"layers": null})), None, "`layers`"),
            (manifest(json!({"config": null})), None, "`config`"),
            (manifest(json!({"mediaType": INDEXES[1]})), None, "`manifests`"),
            (manifest(json!({"layers": [sha512]})), None, "sha512:00"),
            (manifest(json!({"layers": [{"digest": "x", "size": -1}]})), None, "-1"),
        ] {
            let error = Content::parse(text.as_bytes(), content_type).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
