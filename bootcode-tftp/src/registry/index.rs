//! `index.json` of an OCI image layout.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Digest;

/// The layout's index (OCI image specification, image-index).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Index {
    /// The manifests, in order.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

/// A reference to content.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    #[serde(default)]
    pub media_type: String,
    /// The digest as it was written.
    pub digest: String,
    /// Length in bytes.
    pub size: u64,
    /// Annotations; the image's name is in `org.opencontainers.image.ref.name`.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The annotation that has the registry which an image came from without an operator.
pub(super) const UPSTREAM: &str = "vnd.bootcode.upstream";

/// The annotation that has an image's name.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Index {
    /// The manifest of repository and tag. Where a name appears twice, the last one counts: tools append.
    #[must_use]
    pub fn tagged(&self, repository: &str, tag: &str) -> Option<&Descriptor> {
        self.manifests.iter().rev().find(|descriptor| descriptor.name() == Some((repository, tag)))
    }

    /// The manifest of that digest.
    #[must_use]
    pub fn by_digest(&self, digest: &Digest) -> Option<&Descriptor> {
        self.manifests.iter().find(|descriptor| descriptor.digest == digest.as_str())
    }

    /// The tags of a repository in lexical order; empty where there is no such repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> BTreeSet<&str> {
        let names = self.manifests.iter().filter_map(Descriptor::name);
        names.filter(|(name, _)| *name == repository).map(|(_, tag)| tag).collect()
    }

    /// The repositories in lexical order.
    #[must_use]
    pub fn repositories(&self) -> BTreeSet<&str> {
        self.manifests.iter().filter_map(Descriptor::name).map(|(name, _)| name).collect()
    }
}

impl Descriptor {
    /// Repository and tag: `disk-wipe:v3` is `disk-wipe` and `v3`, a name without tag means `latest`.
    #[must_use]
    pub fn name(&self) -> Option<(&str, &str)> {
        let name = self.annotations.get(REF_NAME)?;
        Some(split_name(name))
    }
}

/// Splits an image's name into repository and tag.
pub(super) fn split_name(name: &str) -> (&str, &str) {
    // A colon before a slash belongs to a host's port.
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_come_from_annotations_and_the_last_one_counts() {
        let descriptor = |name: &str, digit: char| {
            serde_json::json!({"mediaType": "m", "size": 1, "digest": format!("sha256:{}", digit.to_string().repeat(64)),
                "annotations": {REF_NAME: name}})
        };
        let index: Index = serde_json::from_value(serde_json::json!({"schemaVersion": 2, "manifests": [
            descriptor("disk-wipe:v3", '1'),
            descriptor("disk-wipe:v2", '2'),
            descriptor("tool", '3'),
            descriptor("disk-wipe:v3", '4'),
            {"digest": "sha256:nameless", "size": 1},
        ]}))
        .unwrap();
        assert!(index.tagged("disk-wipe", "v3").unwrap().digest.contains("444"));
        assert!(index.tagged("tool", "latest").is_some());
        assert!(index.tagged("tool", "v3").is_none());
        assert_eq!(index.tags("disk-wipe").into_iter().collect::<Vec<_>>(), ["v2", "v3"]);
        assert_eq!(index.repositories().into_iter().collect::<Vec<_>>(), ["disk-wipe", "tool"]);
        assert_eq!(split_name("host:5000/a/b"), ("host:5000/a/b", "latest"));
    }
}
