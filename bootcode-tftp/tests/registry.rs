//! The registry, asked as a client asks it.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use axum::http::StatusCode;
use bootcode_core::image::ImageIndex as _;
use bootcode_tftp::http::Downloads;
use bootcode_tftp::registry::{Digest, Layout, LayoutError, registry_router};
use common::{
    layout::{MANIFEST, image, index},
    registry::{ask, text},
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_image_is_pulled_by_tag_then_manifest_then_blobs() {
    let directory = tempfile::tempdir().unwrap();
    let layer = vec![7; 3_000_000];
    let wipe = image(directory.path(), "disk-wipe:v3", &layer);
    index(directory.path(), std::slice::from_ref(&wipe));
    let router = registry_router(Layout::open(directory.path()).unwrap(), Downloads::default());

    let version = ask(&router, "GET", "/v2/", &[]).await;
    assert_eq!(
        (version.status, version.header("docker-distribution-api-version")),
        (StatusCode::OK, "registry/2.0")
    );

    let digest = text(&wipe, "digest");
    for reference in ["v3", &digest] {
        let head = ask(&router, "HEAD", &format!("/v2/disk-wipe/manifests/{reference}"), &[]).await;
        let get = ask(&router, "GET", &format!("/v2/disk-wipe/manifests/{reference}"), &[]).await;
        for answer in [&head, &get] {
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("content-type"), MANIFEST);
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.header("content-length"), get.body.len().to_string());
        }
        assert!(head.body.is_empty());
        assert_eq!(Digest::of(&get.body).as_str(), digest);
    }
    let manifest = ask(&router, "GET", "/v2/disk-wipe/manifests/v3", &[]).await;
    let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
    let path = format!("/v2/disk-wipe/blobs/{}", text(&manifest["layers"][0], "digest"));
    let whole = ask(&router, "GET", &path, &[]).await;
    assert!(whole.status == StatusCode::OK && whole.body == layer);
    let tag = whole.header("etag").to_owned();
    let part = ask(&router, "GET", &path, &[("range", "bytes=2999990-"), ("if-range", &tag)]).await;
    assert_eq!((part.status, part.body.len()), (StatusCode::PARTIAL_CONTENT, 10));
    let head = ask(&router, "HEAD", &path, &[]).await;
    assert_eq!((head.header("content-length"), head.body.len()), ("3000000", 0));
}

#[tokio::test]
async fn lists_are_sorted_and_come_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let images: Vec<_> = ["b:v2", "b:v1", "b:v3", "a/c:x"]
        .iter()
        .map(|name| image(directory.path(), name, name.as_bytes()))
        .collect();
    index(directory.path(), &images);
    let router = registry_router(Layout::open(directory.path()).unwrap(), Downloads::default());
    for (path, body, link) in [
        ("/v2/b/tags/list", json!({"name": "b", "tags": ["v1", "v2", "v3"]}), ""),
        (
            "/v2/b/tags/list?n=2",
            json!({"name": "b", "tags": ["v1", "v2"]}),
            "</v2/b/tags/list?n=2&last=v2>; rel=\"next\"",
        ),
        ("/v2/b/tags/list?n=2&last=v2", json!({"name": "b", "tags": ["v3"]}), ""),
        ("/v2/_catalog", json!({"repositories": ["a/c", "b"]}), ""),
    ] {
        let answer = ask(&router, "GET", path, &[]).await;
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), body, "{path}");
        assert_eq!(answer.header("link"), link, "{path}");
    }
}

#[tokio::test]
async fn errors_are_those_of_the_specification() {
    let directory = tempfile::tempdir().unwrap();
    let wipe = image(directory.path(), "disk-wipe:v3", b"layer");
    index(directory.path(), &[wipe]);
    let router = registry_router(Layout::open(directory.path()).unwrap(), Downloads::default());
    let none = Digest::of(b"nothing has this digest");
    for (method, path, status, code) in [
        ("GET", "/v2/none/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/none/manifests/v3".to_owned(), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/disk-wipe/manifests/v4".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", format!("/v2/disk-wipe/manifests/{none}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", format!("/v2/disk-wipe/manifests/{}", Digest::of(b"layer")), 404, "MANIFEST_UNKNOWN"),
        ("GET", format!("/v2/disk-wipe/blobs/{none}"), 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/disk-wipe/blobs/sha256:%2e%2e".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/DISK/manifests/v3".to_owned(), 400, "NAME_INVALID"),
        ("POST", "/v2/disk-wipe/blobs/uploads/".to_owned(), 405, "UNSUPPORTED"),
        ("PUT", "/v2/disk-wipe/manifests/v3".to_owned(), 405, "UNSUPPORTED"),
        ("DELETE", "/v2/disk-wipe/manifests/v3".to_owned(), 405, "UNSUPPORTED"),
    ] {
        let answer = ask(&router, method, &path, &[]).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_never_given_out() {
    let directory = tempfile::tempdir().unwrap();
    let wipe = image(directory.path(), "disk-wipe:v3", b"layer");
    index(directory.path(), std::slice::from_ref(&wipe));
    let router = registry_router(Layout::open(directory.path()).unwrap(), Downloads::default());
    let layer = Digest::of(b"layer");
    let path = format!("/v2/disk-wipe/blobs/{layer}");
    assert_eq!(ask(&router, "GET", &path, &[]).await.body, b"layer");
    // After it was found good once, so that the change must be noticed.
    std::fs::write(directory.path().join("blobs/sha256").join(layer.hex()), b"another").unwrap();
    for method in ["GET", "HEAD"] {
        assert_eq!(ask(&router, method, &path, &[]).await.status, 500);
    }
    let manifest = text(&wipe, "digest").parse::<Digest>().unwrap();
    std::fs::write(directory.path().join("blobs/sha256").join(manifest.hex()), "{}").unwrap();
    let answer = ask(&router, "GET", "/v2/disk-wipe/manifests/v3", &[]).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (500, "UNKNOWN"));
}

#[tokio::test]
async fn a_changed_index_is_seen_and_names_resolve_to_digests() {
    let directory = tempfile::tempdir().unwrap();
    let wipe = image(directory.path(), "disk-wipe:v3", b"one");
    index(directory.path(), std::slice::from_ref(&wipe));
    let layout = Layout::open(directory.path()).unwrap();
    assert_eq!(layout.resolve("disk-wipe:v3").await.unwrap(), Some(text(&wipe, "digest")));
    assert_eq!(layout.resolve("install-grub:v3").await.unwrap(), None);
    let grub = image(directory.path(), "install-grub:v3", b"two");
    index(directory.path(), &[wipe, grub.clone()]);
    assert_eq!(layout.resolve("install-grub:v3").await.unwrap(), Some(text(&grub, "digest")));
    std::fs::write(directory.path().join("index.json"), "{").unwrap();
    assert!(layout.resolve("disk-wipe:v3").await.is_err());
}

#[test]
fn a_directory_that_is_no_layout_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Layout::open(directory.path()).map(|_| ()).unwrap_err();
    assert!(matches!(open(), LayoutError::Missing { file: "oci-layout", .. }));
    std::fs::write(directory.path().join("oci-layout"), r#"{"imageLayoutVersion": "2.0.0"}"#).unwrap();
    assert!(open().to_string().contains("version 2.0.0"), "{}", open());
    std::fs::write(directory.path().join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    assert!(matches!(open(), LayoutError::Missing { file: "index.json", .. }));
    index(directory.path(), &[]);
    Layout::open(directory.path()).unwrap();
    assert!(matches!(Layout::open(directory.path().join("none")), Err(LayoutError::Io { .. })));
}
