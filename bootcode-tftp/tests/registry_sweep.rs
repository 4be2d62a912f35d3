//! What no image reaches goes, and nothing that a push or a pull needs.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::Router;
use bootcode_tftp::registry::{Digest, Layout, Reference, Swept, Writer, push_router};
use common::{
    layout::MANIFEST,
    registry::{ask, send},
};
use serde_json::json;

struct Bed {
    directory: tempfile::TempDir,
    writer: Arc<Writer>,
    router: Router,
}

/// When all that a test does is old.
fn in_two_hours() -> SystemTime {
    SystemTime::now() + Duration::from_secs(2 * 60 * 60)
}

impl Bed {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let writer = Arc::new(Writer::open(Layout::create(directory.path()).unwrap()).unwrap());
        Self { directory, router: push_router(Arc::clone(&writer)), writer }
    }

    /// As after a restart: nobody remembers what was asked for.
    fn restarted(self) -> Self {
        let writer = Arc::new(Writer::open(Layout::open(self.directory.path()).unwrap()).unwrap());
        Self { router: push_router(Arc::clone(&writer)), writer, directory: self.directory }
    }

    async fn blob(&self, bytes: &'static [u8]) -> serde_json::Value {
        let digest = Digest::of(bytes);
        let path = format!("/v2/a/blobs/uploads/?digest={digest}");
        assert_eq!(send(&self.router, "POST", &path, &[], bytes).await.status, 201);
        json!({"mediaType": "m", "digest": digest.as_str(), "size": bytes.len()})
    }

    /// Pushes an image with one layer and returns its manifest.
    async fn image(&self, reference: &str, layer: &'static [u8]) -> String {
        let (config, layer) = (self.blob(b"{}").await, self.blob(layer).await);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
                .to_string();
        let reference =
            if reference.is_empty() { Digest::of(manifest.as_bytes()).to_string() } else { reference.into() };
        let path = format!("/v2/a/manifests/{reference}");
        let put = send(&self.router, "PUT", &path, &[("content-type", MANIFEST)], manifest.clone()).await;
        assert_eq!(put.status, 201);
        manifest
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.directory.path().join("blobs/sha256").join(Digest::of(bytes).hex()).exists()
    }
}

#[tokio::test]
async fn what_an_image_alone_reached_goes_after_its_name_went_and_a_moved_one_likewise() {
    let bed = Bed::new();
    let first = bed.image("v1", b"first").await;
    bed.image("v2", b"second").await;
    let moved = bed.image("moved", b"third").await;
    bed.image("moved", b"second").await;
    let removed = ask(&bed.router, "DELETE", "/v2/a/manifests/v1", &[]).await;
    let garbage = first.len() + 5 + moved.len() + 5;
    let freed = (removed.header("bootcode-freed"), removed.header("bootcode-freed-later"));
    assert_eq!(freed, ("0", &*garbage.to_string()), "it all came just now");
    assert!(bed.has(b"first"));
    let swept = bed.writer.sweep(in_two_hours()).unwrap();
    assert_eq!(swept, Swept { bytes: garbage as u64, later: 0 });
    assert!(!bed.has(b"first") && !bed.has(first.as_bytes()) && !bed.has(b"third"));
    assert!(bed.has(b"second") && bed.has(b"{}"), "what others share stays");
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap(), Swept::default());
    bed.image("v1", b"first").await;
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap(), Swept::default(), "and it may come back");
}

#[tokio::test]
async fn platforms_of_an_image_are_reached_through_its_index() {
    let bed = Bed::new();
    let platform = bed.image("", b"layer").await;
    let referred = |text: &str| json!({"mediaType": MANIFEST, "digest": Digest::of(text.as_bytes()).as_str(), "size": text.len()});
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [referred(&platform)]});
    let put = send(&bed.router, "PUT", "/v2/a/manifests/v1", &[], index.to_string()).await;
    assert_eq!(put.status, 201);
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap(), Swept::default());
    // A platform that nobody copied here is no fault.
    let part = bed.directory.path().join("blobs/sha256").join(Digest::of(platform.as_bytes()).hex());
    fs::remove_file(part).unwrap();
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap().bytes, 2 + 5);
    assert!(bed.has(index.to_string().as_bytes()));
}

#[tokio::test]
async fn nothing_goes_that_a_push_may_count_on() {
    let bed = Bed::new();
    bed.blob(b"layer").await;
    let young = Swept { bytes: 0, later: 5 };
    assert_eq!(bed.writer.sweep(SystemTime::now()).unwrap(), young);
    let bed = bed.restarted();
    assert_eq!(bed.writer.sweep(SystemTime::now()).unwrap(), young, "its file says when it came");

    let begun = ask(&bed.router, "POST", "/v2/a/blobs/uploads/", &[]).await;
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap(), young, "an upload is under way");
    ask(&bed.router, "DELETE", begun.header("location"), &[]).await;

    // An hour after it came, and less than one after somebody asked for it.
    let digest = Digest::of(b"layer");
    let wanted = Swept { bytes: 0, later: 5 };
    for (method, path, swept) in [
        ("HEAD", format!("/v2/a/blobs/{digest}"), wanted),
        ("HEAD", format!("/v2/a/manifests/{digest}"), wanted),
        ("POST", format!("/v2/a/blobs/uploads/?mount={digest}&from=b"), wanted),
        ("GET", "/v2/_catalog".to_owned(), Swept { bytes: 5, later: 0 }),
    ] {
        let bed = Bed::new();
        bed.blob(b"layer").await;
        let bed = bed.restarted();
        ask(&bed.router, method, &path, &[]).await;
        let file = bed.directory.path().join("blobs/sha256").join(digest.hex());
        let came = fs::metadata(&file).unwrap().modified().unwrap();
        assert_eq!(bed.writer.sweep(came + Duration::from_secs(3600)).unwrap(), swept, "{method} {path}");
    }
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap(), Swept { bytes: 5, later: 0 });
}

#[tokio::test]
async fn who_reads_what_goes_reads_it_to_its_end() {
    let bed = Bed::new();
    bed.blob(b"layer").await;
    let blob = bed.writer.layout().blob(&Digest::of(b"layer")).await.unwrap().unwrap();
    let bed = bed.restarted();
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap().bytes, 5);
    let mut bytes = [0; 5];
    blob.read_full(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"layer");
    assert!(bed.writer.layout().blob(&Digest::of(b"layer")).await.unwrap().is_none());
}

#[tokio::test]
async fn where_it_is_not_known_what_is_reached_nothing_goes() {
    let bed = Bed::new();
    let manifest = bed.image("v1", b"layer").await;
    bed.blob(b"other").await;
    let file = bed.directory.path().join("blobs/sha256").join(Digest::of(manifest.as_bytes()).hex());
    fs::rename(&file, bed.directory.path().join("away")).unwrap();
    let error = bed.writer.sweep(in_two_hours()).unwrap_err().to_string();
    assert!(error.contains("which is not there"), "{error}");
    fs::write(&file, "wrong").unwrap();
    assert!(bed.writer.sweep(in_two_hours()).is_err(), "a broken one says nothing either");
    assert!(bed.has(b"other") && bed.has(b"layer"));
    fs::rename(bed.directory.path().join("away"), &file).unwrap();
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap().bytes, 5);
    // What is no blob is not ours.
    fs::write(bed.directory.path().join("blobs/sha256/notes"), "x").unwrap();
    assert_eq!(bed.writer.sweep(in_two_hours()).unwrap(), Swept::default());
    assert!(bed.writer.layout().manifest("a", &Reference::Tag("v1".into())).await.unwrap().is_some());
}
