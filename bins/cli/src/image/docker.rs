//! What `docker save` writes: `manifest.json` beside a configuration and layers, none of them by digest.

use std::{collections::BTreeMap, io::Read as _};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::{CHUNK_BYTES, Sha256, archive::Archive, format, list::MANIFEST};

/// An image of the archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The same image as the image specification has it.
pub(super) struct Converted {
    /// The manifest's descriptor.
    pub(super) descriptor: Value,
    /// The manifest.
    pub(super) manifest: Vec<u8>,
    /// Names in the archive by digest.
    pub(super) files: BTreeMap<String, String>,
}

/// Reads the image called `name`, or the only one, of `manifest.json`; hashes its files. An error is what is wrong in words.
pub(super) async fn convert(archive: &Archive, list: &[u8], name: &str) -> Result<Converted, String> {
    let saved: Vec<Saved> = serde_json::from_slice(list).map_err(|error| error.to_string())?;
    let called = |image: &&Saved| image.repo_tags.iter().flatten().any(|tag| is_called(tag, name));
    let image = match (saved.iter().find(called), &*saved) {
        (Some(image), _) | (None, [image]) => image,
        _ => {
            let names: Vec<_> =
                saved.iter().flat_map(|image| image.repo_tags.iter().flatten()).cloned().collect();
            return Err(format!("it has no image `{name}`, but {} others: {}", saved.len(), names.join(" ")));
        }
    };
    let mut files = BTreeMap::new();
    let config =
        describe(archive, &image.config, Some("application/vnd.oci.image.config.v1+json"), &mut files)
            .await?;
    let mut layers = Vec::new();
    for layer in &image.layers {
        layers.push(describe(archive, layer, None, &mut files).await?);
    }
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).to_string();
    let digest = Sha256::finished(sha2::Sha256::new_with_prefix(&manifest)).digest();
    let descriptor = json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.len()});
    Ok(Converted { descriptor, manifest: manifest.into_bytes(), files })
}

/// Whether an image of Docker's or containerd's name, which may have a registry before it, is meant by ours.
pub(super) fn is_called(theirs: &str, ours: &str) -> bool {
    theirs == ours || theirs.strip_suffix(ours).is_some_and(|before| before.ends_with('/'))
}

async fn describe(
    archive: &Archive,
    name: &str,
    media_type: Option<&str>,
    files: &mut BTreeMap<String, String>,
) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let mut file = archive.file(name).map_err(failed)?;
    let len = file.len();
    let (mut hash, mut start) = (sha2::Sha256::new(), Vec::new());
    loop {
        let mut chunk = Vec::new();
        if file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk).map_err(failed)? == 0 {
            break;
        }
        hash.update(&chunk);
        if start.is_empty() {
            chunk.truncate(format::START_BYTES);
            start = chunk;
        }
        // A file is read without waiting, and an interrupt is to be heard.
        tokio::task::yield_now().await;
    }
    let media_type = media_type.unwrap_or_else(|| match format::name(format::media_type(&start)) {
        "gzip" => "application/vnd.oci.image.layer.v1.tar+gzip",
        "zstd" => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    });
    let digest = Sha256::finished(hash).digest();
    files.insert(digest.clone(), name.to_owned());
    Ok(json!({"mediaType": media_type, "digest": digest, "size": len}))
}
