//! The directory that holds the images (OCI Image Layout Specification 1.0).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::layer::{Layer, digest};
use crate::error::TaskError;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image to be written.
pub(crate) struct Image {
    /// Its name, which is its program's too.
    pub(crate) name: &'static str,
    /// Its tag.
    pub(crate) tag: &'static str,
    /// Its layers, the lowest first.
    pub(crate) layers: Vec<Layer>,
}

/// An OCI image layout.
pub(crate) struct Layout {
    root: PathBuf,
    blobs: PathBuf,
}

impl Layout {
    /// The layout in this directory, made when it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn open(root: PathBuf) -> Result<Self, TaskError> {
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(TaskError::file("making", &blobs))?;
        Ok(Self { root, blobs })
    }

    /// Writes the images and drops what no image needs any more; a server that reads meanwhile sees the old images or
    /// the new. Returns the digests of their manifests.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self, images: &[Image]) -> Result<Vec<String>, TaskError> {
        let mut manifests = Vec::new();
        let mut kept = BTreeSet::new();
        for image in images {
            for layer in &image.layers {
                kept.insert(self.blob(&layer.bytes)?);
            }
            let config = config(image).to_string();
            kept.insert(self.blob(config.as_bytes())?);
            let manifest = manifest(image, &config).to_string();
            let of_manifest = self.blob(manifest.as_bytes())?;
            manifests.push(json!({
                "mediaType": MANIFEST, "digest": of_manifest, "size": manifest.len(),
                "platform": {"architecture": "amd64", "os": "linux"},
                "annotations": {"org.opencontainers.image.ref.name": format!("{}:{}", image.name, image.tag)},
            }));
            kept.insert(of_manifest);
        }
        let digests =
            manifests.iter().filter_map(|manifest| manifest["digest"].as_str().map(ToOwned::to_owned));
        let digests = digests.collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        replace(&self.root.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        replace(&self.root.join("index.json"), index.to_string().as_bytes())?;
        self.sweep(&kept)?;
        Ok(digests)
    }

    /// Stores bytes under their digest, and returns that.
    fn blob(&self, bytes: &[u8]) -> Result<String, TaskError> {
        let digest = digest(bytes);
        let path = self.blobs.join(digest.trim_start_matches("sha256:"));
        if fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        replace(&path, bytes)?;
        Ok(digest)
    }

    fn sweep(&self, kept: &BTreeSet<String>) -> Result<(), TaskError> {
        for entry in fs::read_dir(&self.blobs).map_err(TaskError::file("reading", &self.blobs))? {
            let path = entry.map_err(TaskError::file("reading", &self.blobs))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !kept.contains(&format!("sha256:{name}")) {
                fs::remove_file(&path).map_err(TaskError::file("removing", &path))?;
            }
        }
        Ok(())
    }
}

fn config(image: &Image) -> Value {
    let diff_ids: Vec<_> = image.layers.iter().map(|layer| &layer.diff_id).collect();
    json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": ["/bootcode-actions", image.name],
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

fn manifest(image: &Image, config: &str) -> Value {
    let layer =
        |layer: &Layer| json!({"mediaType": LAYER, "digest": layer.digest, "size": layer.bytes.len()});
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(config.as_bytes()), "size": config.len()},
        "layers": image.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

/// The old file or the new one, whole.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), TaskError> {
    let mut partial = path.to_owned().into_os_string();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = PathBuf::from(partial);
    fs::write(&partial, bytes).map_err(TaskError::file("writing", &partial))?;
    fs::rename(&partial, path).map_err(TaskError::file("renaming", &partial))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &[u8]) -> Layer {
        Layer { diff_id: digest(b"plain"), digest: digest(text), bytes: text.to_vec() }
    }

    #[test]
    fn every_digest_of_a_layout_leads_to_its_blob_and_nothing_else_stays() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::open(root.path().to_owned()).unwrap();
        let image = |text: &[u8]| Image { name: "disk-wipe", tag: "v3", layers: vec![layer(text)] };
        layout.write(&[image(b"old")]).unwrap();
        let digests = layout.write(&[image(b"new")]).unwrap();

        let blob = |digest: &Value| {
            let name = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
            let bytes = fs::read(root.path().join("blobs/sha256").join(name)).unwrap();
            assert_eq!(super::digest(&bytes), digest.as_str().unwrap());
            bytes
        };
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let index = json(&fs::read(root.path().join("index.json")).unwrap());
        let entry = &index["manifests"][0];
        assert_eq!(entry["digest"], json!(digests[0]));
        assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "disk-wipe:v3");
        let manifest = json(&blob(&entry["digest"]));
        assert_eq!(blob(&manifest["layers"][0]["digest"]), b"new");
        let config = json(&blob(&manifest["config"]["digest"]));
        assert_eq!(config["config"]["Entrypoint"], json!(["/bootcode-actions", "disk-wipe"]));
        assert_eq!(fs::read_dir(root.path().join("blobs/sha256")).unwrap().count(), 3);
    }
}
