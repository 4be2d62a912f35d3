//! `bootcode image`, with the server's registry on a socket of its own.

#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{fs, path::Path};

use bootcode_tftp::registry::Digest;
use common::{bootcode, serve};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(digest.hex()), bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest.as_str(), "size": bytes.len()})
}

/// A layout with one image for two platforms, whose larger layer takes several requests.
fn layout(layout: &Path) -> Vec<u8> {
    let layer: Vec<u8> = (0..20_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let manifests: Vec<_> = [&layer, &b"small".to_vec()]
        .map(|layer| {
            let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
                "config": blob(layout, "application/vnd.oci.image.config.v1+json", b"{}"),
                "layers": [blob(layout, "application/vnd.oci.image.layer.v1.tar", layer)]});
            blob(layout, MANIFEST, manifest.to_string().as_bytes())
        })
        .into();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let image = blob(layout, INDEX, index.to_string().as_bytes());
    fs::write(layout.join("index.json"), json!({"schemaVersion": 2, "manifests": [image]}).to_string())
        .unwrap();
    layer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_listed_pushed_again_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    serve(dir.path());
    let layer = layout(&dir.path().join("layout"));
    let say = async |line: &str, code: i32, expected: &str| {
        let (got, text) = bootcode(dir.path(), line).await;
        assert_eq!(got, code, "{line}: {text}");
        assert!(text.contains(expected), "{line}: `{expected}` is not in: {text}");
        text
    };
    say("image list", 0, "there is no image").await;
    say("image push layout tools/tool:v1", 0, "pushed tools/tool:v1").await;
    let digest = Digest::of(&layer);
    let kept = fs::read(dir.path().join("images/blobs/sha256").join(digest.hex())).unwrap();
    assert!(kept == layer);
    let again = say("image push layout tools/tool:v2", 0, "pushed tools/tool:v2").await;
    assert!(!again.contains("pushing"), "what is there is not sent again: {again}");
    let list = say("image list", 0, "tools/tool:v1").await;
    assert!(
        list.contains("container") && list.contains("tools/tool:v2") && list.contains("sha256:"),
        "{list}"
    );
    say("image list -o json", 0, "\"name\": \"tools/tool:v1\"").await;
    say("image rm tools/tool:v1", 0, "removed tools/tool:v1; other images have its content").await;
    assert!(!say("image list", 0, "tools/tool:v2").await.contains("tool:v1"));
    say("image rm tools/tool:v1", 1, "MANIFEST_UNKNOWN").await;
    // It came just now, so that a push may count on it.
    say("image rm tools/tool:v2", 0, "bytes are freed within two hours").await;
    assert!(kept == fs::read(dir.path().join("images/blobs/sha256").join(digest.hex())).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pushed_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    serve(dir.path());
    let place = dir.path().join("layout");
    let layer = layout(&place);
    for (line, code, expected) in [
        ("image push none tool:v1", 66, "none: index.json: No such file"),
        ("image push layout tool", 64, "write NAME:TAG"),
        ("image push layout Tool:v1", 64, "in lower case"),
    ] {
        let (got, text) = bootcode(dir.path(), line).await;
        assert!(got == code && text.contains(expected), "{line}: {got}: {text}");
    }
    // A blob that is not what its name says is found by the server, and nothing has its tag.
    fs::write(place.join("blobs/sha256").join(Digest::of(&layer).hex()), "broken").unwrap();
    let (code, text) = bootcode(dir.path(), "image push layout tool:v1").await;
    assert!(code == 1 && text.contains("DIGEST_INVALID"), "{code}: {text}");
    assert!(bootcode(dir.path(), "image list").await.1.contains("there is no image"));
}
