//! Images of operating systems as files, from the layout that they were pushed to.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{fs, net::Ipv4Addr, sync::Arc};

use axum::Router;
use bootcode_core::{
    files::{FileError, FileName, FileRequest, FileSource as _},
    image::OS_IMAGE,
};
use bootcode_tftp::registry::{Digest, Layout, OsImages, Writer, push_router};
use common::{layout::MANIFEST, registry::send};
use serde_json::{Value, json};

async fn push(router: &Router, name: &str, artifact_type: Option<&str>, layers: &[&'static [u8]]) {
    let mut blobs = Vec::new();
    for bytes in [b"{}"].into_iter().map(|empty| &empty[..]).chain(layers.iter().copied()) {
        let digest = Digest::of(bytes);
        let kept =
            send(router, "POST", &format!("/v2/{name}/blobs/uploads/?digest={digest}"), &[], bytes).await;
        assert_eq!(kept.status, 201);
        blobs.push(json!({"mediaType": "application/zstd", "digest": digest.as_str(), "size": bytes.len()}));
    }
    let mut manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs[0], "layers": &blobs[1..]});
    if let Some(artifact_type) = artifact_type {
        manifest["artifactType"] = Value::from(artifact_type);
    }
    let path = format!("/v2/{name}/manifests/latest");
    let put = send(router, "PUT", &path, &[("content-type", MANIFEST)], manifest.to_string()).await;
    assert_eq!(put.status, 201, "{}", String::from_utf8_lossy(&put.body));
}

async fn open(images: &OsImages, name: &str) -> Result<Option<(u64, String)>, FileError> {
    let name = FileName::normalise(name.as_bytes()).unwrap();
    let blob = images.open(&FileRequest { name, peer: Ipv4Addr::LOCALHOST.into() }).await?;
    Ok(blob.map(|blob| (blob.len, blob.etag)))
}

#[tokio::test]
async fn an_operating_systems_image_is_a_file_and_nothing_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let router = push_router(Arc::new(Writer::open(layout.clone()).unwrap()));
    let images = OsImages::new(layout);
    push(&router, "os/debian-12.tar.zst", Some(OS_IMAGE), &[b"image"]).await;
    push(&router, "container", None, &[b"image"]).await;
    push(&router, "other", Some("application/vnd.example"), &[b"image"]).await;
    push(&router, "two", Some(OS_IMAGE), &[b"image", b"more"]).await;
    let image = Some((5, Digest::of(b"image").to_string()));
    for (name, found) in [
        ("os/debian-12.tar.zst", image.clone()),
        ("os/debian-12.tar.zst:latest", image),
        ("os/debian-12.tar.zst:v1", None),
        ("debian-12.tar.zst", None),
        ("container", None),
        ("other", None),
        ("two", None),
        ("index.json", None),
    ] {
        assert_eq!(open(&images, name).await.unwrap(), found, "{name}");
    }
    // Its file is changed behind the server's back.
    fs::write(directory.path().join("blobs/sha256").join(Digest::of(b"image").hex()), "wrong").unwrap();
    assert!(open(&images, "os/debian-12.tar.zst").await.is_err(), "what is not verified is not given");
}
