//! Images that are pushed, as clients of the distribution specification push them.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{io, path::Path, sync::Arc};

use axum::{Router, body::Body};
use bootcode_tftp::http::Downloads;
use bootcode_tftp::registry::{Digest, Layout, Writer, push_router, registry_router};
use bytes::Bytes;
use common::{
    layout::{MANIFEST, image, index},
    registry::{Answer, ask, send},
};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

struct Bed {
    directory: tempfile::TempDir,
    push: Router,
    pull: Router,
}

fn open(directory: &Path) -> (Router, Router) {
    let layout = Layout::create(directory).unwrap();
    (
        push_router(Arc::new(Writer::open(layout.clone()).unwrap())),
        registry_router(layout, Downloads::default()),
    )
}

fn bed() -> Bed {
    let directory = tempfile::tempdir().unwrap();
    let (push, pull) = open(directory.path());
    Bed { directory, push, pull }
}

fn reference(bytes: &[u8]) -> Value {
    json!({"mediaType": "application/octet-stream", "digest": Digest::of(bytes).as_str(), "size": bytes.len()})
}

fn manifest(config: &[u8], layer: &[u8]) -> String {
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": reference(config), "layers": [reference(layer)]})
        .to_string()
}

impl Bed {
    async fn begin(&self) -> String {
        let begun = ask(&self.push, "POST", "/v2/a/b/blobs/uploads/", &[]).await;
        assert_eq!((begun.status.as_u16(), begun.header("range")), (202, "0-0"));
        begun.header("location").to_owned()
    }

    async fn blob(&self, bytes: &'static [u8]) -> Answer {
        // As Go's clients escape it.
        let digest = Digest::of(bytes).to_string().replace(':', "%3A");
        send(&self.push, "POST", &format!("/v2/a/b/blobs/uploads/?digest={digest}"), &[], bytes).await
    }

    async fn pulled(&self, path: &str) -> (u16, Vec<u8>) {
        let answer = ask(&self.pull, "GET", path, &[]).await;
        (answer.status.as_u16(), answer.body)
    }

    fn parts(&self) -> usize {
        std::fs::read_dir(self.directory.path().join(".uploads")).unwrap().count()
    }

    fn blobs(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("blobs/sha256")).unwrap().count()
    }
}

#[tokio::test]
async fn an_image_is_pushed_in_chunks_whole_or_at_once_and_pulled_as_it_was() {
    let bed = bed();
    let layer: Vec<u8> = (0..3_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let digest = Digest::of(&layer);
    let mut at = bed.begin().await;
    for (range, chunk) in
        [("0-999999", &layer[..1_000_000]), ("1000000-2499999", &layer[1_000_000..2_500_000])]
    {
        let len = chunk.len().to_string();
        let headers = [("content-range", range), ("content-length", &*len)];
        let answer = send(&bed.push, "PATCH", &at, &headers, chunk.to_vec()).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.header("range").split('-').nth(1), range.split('-').nth(1));
        at = answer.header("location").to_owned();
        let asked = ask(&bed.push, "GET", &at, &[]).await;
        assert_eq!((asked.status.as_u16(), asked.header("range")), (204, answer.header("range")));
    }
    let known = format!("/v2/a/b/blobs/{digest}");
    assert_eq!(ask(&bed.push, "HEAD", &known, &[]).await.status, 404, "nothing is seen before it is whole");
    let last =
        send(&bed.push, "PUT", &format!("{at}?digest={digest}"), &[], layer[2_500_000..].to_vec()).await;
    assert_eq!((last.status.as_u16(), last.header("location")), (201, &*known));
    assert_eq!(last.header("docker-content-digest"), digest.as_str());
    assert_eq!(ask(&bed.push, "HEAD", &known, &[]).await.header("content-length"), "3000000");
    assert_eq!(bed.pulled(&known).await.0, 404, "machines see it with its first tag");

    assert_eq!(bed.blob(b"config").await.status, 201);
    let text = manifest(b"config", &layer);
    let headers = [("content-type", MANIFEST)];
    let put = send(&bed.push, "PUT", "/v2/a/b/manifests/v1", &headers, text.clone()).await;
    let digest = Digest::of(text.as_bytes());
    assert_eq!((put.status.as_u16(), put.header("docker-content-digest")), (201, digest.as_str()));
    for reference in ["v1", digest.as_str()] {
        assert_eq!(bed.pulled(&format!("/v2/a/b/manifests/{reference}")).await, (200, text.clone().into()));
    }
    assert_eq!(bed.pulled(&known).await, (200, layer));
    assert_eq!(bed.parts(), 0);

    let (_, pull) = open(bed.directory.path());
    assert_eq!(ask(&pull, "GET", "/v2/a/b/manifests/v1", &[]).await.body, text.as_bytes(), "after a restart");
}

#[tokio::test]
async fn a_tag_moves_to_what_was_pushed_last_and_goes_when_it_is_deleted() {
    let bed = bed();
    let old = image(bed.directory.path(), "a/b", b"old");
    let other = image(bed.directory.path(), "other:v1", b"other");
    index(bed.directory.path(), &[old, other]);
    for bytes in [b"config", b"layer1", b"layer2"] {
        assert_eq!(bed.blob(bytes).await.status, 201);
    }
    for layer in [b"layer1", b"layer2", b"layer2"] {
        let text = manifest(b"config", layer);
        let path = "/v2/a/b/manifests/latest";
        assert_eq!(send(&bed.push, "PUT", path, &[], text.clone()).await.status, 201);
        assert_eq!(bed.pulled(path).await, (200, text.into()));
    }
    let kept: Value =
        serde_json::from_slice(&std::fs::read(bed.directory.path().join("index.json")).unwrap()).unwrap();
    assert_eq!(kept["manifests"].as_array().unwrap().len(), 2, "one entry a name: {kept}");
    assert_eq!(kept["schemaVersion"], 2);
    // By digest it is kept below no name.
    let text = manifest(b"config", b"layer1");
    let path = format!("/v2/c/manifests/{}", Digest::of(text.as_bytes()));
    assert_eq!(send(&bed.push, "PUT", &path, &[], text).await.status, 201);
    assert_eq!(ask(&bed.push, "GET", &path, &[]).await.status, 200);
    assert_eq!(ask(&bed.push, "DELETE", "/v2/a/b/manifests/latest", &[]).await.status, 202);
    assert_eq!(bed.pulled("/v2/a/b/tags/list").await.0, 404);
    assert_eq!(bed.pulled("/v2/other/tags/list").await.0, 200);
    let again = ask(&bed.push, "DELETE", "/v2/a/b/manifests/latest", &[]).await;
    assert_eq!(again.code(), "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_blob_that_is_there_is_mounted_and_one_that_is_not_is_asked_for() {
    let bed = bed();
    assert_eq!(bed.blob(b"shared").await.status, 201);
    let mount = |bytes: &[u8]| format!("/v2/c/blobs/uploads/?mount={}&from=a/b", Digest::of(bytes));
    let mounted = ask(&bed.push, "POST", &mount(b"shared"), &[]).await;
    assert_eq!(mounted.status, 201);
    assert_eq!(mounted.header("location"), format!("/v2/c/blobs/{}", Digest::of(b"shared")));
    for other in [mount(b"none"), "/v2/c/blobs/uploads/?mount=nonsense".to_owned()] {
        let begun = ask(&bed.push, "POST", &other, &[]).await;
        assert!(begun.status == 202 && begun.header("location").starts_with("/v2/c/blobs/uploads/"));
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_the_specifications_code_and_leaves_nothing() {
    let bed = bed();
    let at = bed.begin().await;
    let good = Digest::of(b"layer");
    let sized = |size: u64| {
        json!({"mediaType": MANIFEST, "schemaVersion": 2, "layers": [],
        "config": {"digest": good.as_str(), "size": size}})
        .to_string()
    };
    let too_large = (bootcode_tftp::limits::BLOB_BYTES + 1).to_string();
    assert_eq!(bed.blob(b"layer").await.status, 201);
    let (parts, blobs) = (bed.parts(), bed.blobs());
    for (method, path, headers, body, status, code) in [
        ("POST", "/v2/A/blobs/uploads/", vec![], "", 400, "NAME_INVALID"),
        ("POST", "/v2/a/b/blobs/uploads/?digest=md5:0", vec![], "", 400, "DIGEST_INVALID"),
        ("POST", &format!("/v2/a/b/blobs/uploads/?digest={good}"), vec![], "other", 400, "DIGEST_INVALID"),
        ("PATCH", "/v2/a/b/blobs/uploads/none", vec![], "", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PATCH", &at.replace("a/b", "a/c"), vec![], "", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PATCH", &at, vec![("content-range", "5-9")], "12345", 416, "BLOB_UPLOAD_INVALID"),
        ("PATCH", &at, vec![("content-range", "9-5")], "12345", 400, "BLOB_UPLOAD_INVALID"),
        (
            "PATCH",
            &at,
            vec![("content-range", "0-1"), ("content-length", "5")],
            "12345",
            400,
            "BLOB_UPLOAD_INVALID",
        ),
        ("PATCH", &at, vec![("content-range", "0-18446744073709551615")], "", 400, "BLOB_UPLOAD_INVALID"),
        ("PUT", &at, vec![], "", 400, "DIGEST_INVALID"),
        ("POST", &at, vec![], "", 405, "UNSUPPORTED"),
        ("PUT", "/v2/a/b/manifests/v1", vec![], "{", 400, "MANIFEST_INVALID"),
        (
            "PUT",
            "/v2/a/b/manifests/v1",
            vec![("content-type", "text/plain")],
            &sized(5),
            400,
            "MANIFEST_INVALID",
        ),
        ("PUT", "/v2/a/b/manifests/v1", vec![], &sized(6), 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/a/b/manifests/v1", vec![], &manifest(b"none", b"layer"), 400, "MANIFEST_BLOB_UNKNOWN"),
        ("PUT", &format!("/v2/a/b/manifests/{good}"), vec![], &sized(5), 400, "DIGEST_INVALID"),
        ("PUT", "/v2/a/b/manifests/.v1", vec![], &sized(5), 404, "MANIFEST_UNKNOWN"),
        ("PUT", "/v2/a/b/manifests/v1", vec![], &" ".repeat((4 << 20) + 1), 413, "SIZE_INVALID"),
        ("DELETE", &format!("/v2/a/b/blobs/{good}"), vec![], "", 405, "UNSUPPORTED"),
        // Last, for it ends the upload.
        ("PUT", &format!("{at}?digest={good}"), vec![], "other", 400, "DIGEST_INVALID"),
        ("PATCH", &at, vec![("content-length", &*too_large)], "", 404, "BLOB_UPLOAD_UNKNOWN"),
    ] {
        let answer = send(&bed.push, method, path, &headers, body.to_owned()).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{method} {path} {headers:?}");
    }
    assert_eq!((bed.parts(), bed.blobs()), (parts - 1, blobs));
    assert_eq!(bed.pulled("/v2/_catalog").await.1, br#"{"repositories":[]}"#);
}

#[tokio::test]
async fn an_upload_that_broke_off_goes_on_where_it_was_and_one_that_is_cancelled_goes() {
    let bed = bed();
    let at = bed.begin().await;
    let (bytes, receive) = mpsc::channel::<io::Result<Frame<Bytes>>>(4);
    bytes.send(Ok(Frame::data(Bytes::from_static(b"half")))).await.unwrap();
    bytes.send(Err(io::ErrorKind::ConnectionReset.into())).await.unwrap();
    let broken = Body::new(StreamBody::new(Received(receive)));
    let answer = send(&bed.push, "PATCH", &at, &[], broken).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (400, "BLOB_UPLOAD_INVALID"));
    assert_eq!(ask(&bed.push, "GET", &at, &[]).await.header("range"), "0-3");
    let digest = Digest::of(b"half and half");
    let headers = [("content-range", "4-12")];
    let whole = send(&bed.push, "PUT", &format!("{at}?digest={digest}"), &headers, " and half").await;
    assert_eq!(whole.status, 201, "{}", String::from_utf8_lossy(&whole.body));

    let at = bed.begin().await;
    assert_eq!(bed.parts(), 1);
    assert_eq!(ask(&bed.push, "DELETE", &at, &[]).await.status, 204);
    assert_eq!(
        (bed.parts(), ask(&bed.push, "GET", &at, &[]).await.code()),
        (0, "BLOB_UPLOAD_UNKNOWN".to_owned())
    );
}

/// What comes through a channel, as a stream.
struct Received(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl futures_util::Stream for Received {
    type Item = io::Result<Frame<Bytes>>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

#[tokio::test]
async fn one_blob_more_than_may_be_uploaded_at_once_is_told_to_wait() {
    let bed = bed();
    for _ in 0..bootcode_tftp::limits::UPLOADS {
        bed.begin().await;
    }
    let answer = ask(&bed.push, "POST", "/v2/a/b/blobs/uploads/", &[]).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (429, "TOOMANYREQUESTS"));
    assert_eq!(bed.parts(), bootcode_tftp::limits::UPLOADS);
}

#[tokio::test]
async fn what_a_crash_left_is_gone_at_the_next_start_and_a_broken_blob_is_mended_by_a_push() {
    let bed = bed();
    let parts = bed.directory.path().join(".uploads");
    std::fs::write(parts.join("part-of-a-crash"), "half").unwrap();
    std::fs::write(parts.join("somebody's"), "else").unwrap();
    assert_eq!(bed.blob(b"layer").await.status, 201);
    let file = bed.directory.path().join("blobs/sha256").join(Digest::of(b"layer").hex());
    std::fs::write(&file, "lay").unwrap();
    let (push, _) = open(bed.directory.path());
    assert_eq!(bed.parts(), 1, "only ours");
    let digest = Digest::of(b"layer");
    let path = format!("/v2/a/b/blobs/uploads/?digest={digest}");
    assert_eq!(send(&push, "POST", &path, &[], "layer").await.status, 201);
    assert_eq!(std::fs::read(&file).unwrap(), b"layer");
    // A good one stays the file that it is, for somebody may be reading it.
    let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
    let before = inode();
    assert_eq!(send(&push, "POST", &path, &[], "layer").await.status, 201);
    assert_eq!(inode(), before);
}
