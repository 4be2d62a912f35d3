//! `bootcode image list`.

use bootcode_api::{ClientError, OperatorClient};
use bootcode_core::image::OS_IMAGE;
use serde_json::{Value, json};

use super::{format, parts};
use crate::{
    arguments::Format,
    error::CliError,
    show::{self, Column, text},
};

/// The media type of a manifest of one image or artifact.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Shows the images that the server has.
pub(super) async fn list(client: &OperatorClient, format: Format) -> Result<(), CliError> {
    let mut images = Vec::new();
    for repository in client.repositories().await? {
        for tag in client.tags(&repository).await? {
            let (manifest, digest) = match client.manifest(&repository, &tag).await {
                // Somebody took it away meanwhile.
                Err(ClientError::Registry { code, .. }) if code.ends_with("_UNKNOWN") => continue,
                found => found?,
            };
            let manifest = serde_json::from_slice(&manifest).unwrap_or_default();
            images.push(image(&format!("{repository}:{tag}"), &manifest, &digest));
        }
    }
    let columns: &[Column] = &[
        ("NAME", |image| text(&image["name"])),
        ("WHAT", |image| text(&image["what"])),
        ("BYTES", |image| text(&image["bytes"])),
        ("DIGEST", |image| text(&image["digest"])),
    ];
    match format {
        Format::Table if images.is_empty() => show::line("there is no image"),
        Format::Table => show::rows(columns, &images),
        format => show::value(&images.into(), format),
    }
}

/// One of them; the digest is what names its content: a container's manifest, an operating system's image itself.
fn image(name: &str, manifest: &Value, digest: &str) -> Value {
    if manifest["artifactType"] == OS_IMAGE {
        let image = &manifest["layers"][0];
        let format = format::name(&text(&image["mediaType"]));
        return json!({
            "name": name, "what": format!("os image, {format}"), "bytes": image["size"], "digest": image["digest"]
        });
    }
    let bytes: u64 = parts(manifest).filter_map(|(part, _)| part["size"].as_u64()).sum();
    json!({"name": name, "what": "container", "bytes": bytes, "digest": digest})
}
