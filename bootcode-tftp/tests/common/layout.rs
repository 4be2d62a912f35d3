//! Writes OCI image layouts.

use std::path::Path;

use bootcode_tftp::registry::Digest;
use serde_json::{Value, json};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What the image specification asks of a configuration.
const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;

/// Writes a blob and returns its descriptor.
fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest.as_str(), "size": bytes.len()})
}

/// Writes an image of one layer and returns its descriptor in the index.
pub fn image(layout: &Path, name: &str, layer: &[u8]) -> Value {
    let config = blob(layout, "application/vnd.oci.image.config.v1+json", CONFIG);
    let layer = blob(layout, "application/vnd.oci.image.layer.v1.tar", layer);
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}).to_string();
    let mut descriptor = blob(layout, MANIFEST, manifest.as_bytes());
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    descriptor
}

pub fn index(layout: &Path, manifests: &[Value]) {
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
}
