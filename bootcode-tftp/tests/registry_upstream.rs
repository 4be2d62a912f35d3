//! A layout that is filled from another registry: our own second one, and some that mean harm.
#![cfg(feature = "upstream")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, header},
    middleware::{self, Next},
};
use bootcode_core::image::ImageIndex as _;
use bootcode_tftp::registry::{
    Digest, Layout, PullThrough, Upstream, UpstreamIndex, Writer, pull_through_router, push_router,
    registry_router,
};
use bytes::Bytes;
use common::{
    content,
    layout::{MANIFEST, image, index},
    registry::{ask, send},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// What an upstream was asked for.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn count(&self, part: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }
}

/// Serves `router` on the loopback until the handle is aborted.
async fn serve(router: Router) -> (String, Asked, JoinHandle<()>) {
    let asked = Asked::default();
    let kept = asked.clone();
    let router = router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let token = request.headers().get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        kept.0.lock().unwrap().push(format!("{} {} {token}", request.method(), request.uri()));
        next.run(request)
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, asked, serving)
}

struct Cache {
    directory: tempfile::TempDir,
    writer: Arc<Writer>,
    through: Arc<PullThrough>,
    router: Router,
}

const GIB: u64 = 1 << 30;

impl Cache {
    fn of(upstream: &str) -> Self {
        Self::with(tempfile::tempdir().unwrap(), upstream, Duration::from_secs(600), GIB)
    }

    fn with(directory: tempfile::TempDir, upstream: &str, fresh: Duration, max_bytes: u64) -> Self {
        let writer = Arc::new(Writer::open(Layout::create(directory.path()).unwrap()).unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let upstream = Upstream::new(upstream, tls).unwrap();
        let through = Arc::new(PullThrough::new(upstream, Arc::clone(&writer), fresh, max_bytes));
        let router = pull_through_router(Arc::clone(&through), bootcode_tftp::http::Downloads::default());
        Self { directory, writer, through, router }
    }

    async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let answer = ask(&self.router, "GET", path, &[]).await;
        (answer.status.as_u16(), answer.body)
    }

    /// Nothing is left of what was not good.
    fn has_nothing(&self, digest: &Digest) -> bool {
        let blobs = self.directory.path().join("blobs/sha256");
        let parts = std::fs::read_dir(self.directory.path().join(".uploads")).unwrap().count();
        !blobs.join(digest.hex()).exists() && parts == 0
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A layout with an image and its layer; manifest's and layer's digests.
fn upstream(directory: &Path, layer: &[u8]) -> (Router, String, Digest) {
    let descriptor = image(directory, "tools/tool:v1", layer);
    let digest = text(&descriptor["digest"]);
    index(directory, &[descriptor]);
    (
        registry_router(Layout::open(directory).unwrap(), bootcode_tftp::http::Downloads::default()),
        digest,
        Digest::of(layer),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_layout_lacks_is_fetched_once_kept_and_given_when_upstream_is_away() {
    let far = tempfile::tempdir().unwrap();
    let layer = content(3_000_000);
    let (router, manifest, digest) = upstream(far.path(), &layer);
    let (url, asked, serving) = serve(router).await;
    let cache = Cache::of(&url);
    assert_eq!(cache.get("/v2/tools/none/manifests/v1").await.0, 404);
    assert_eq!(
        cache.get(&format!("/v2/tools/tool/blobs/{digest}")).await.0,
        404,
        "nobody asked for its name"
    );
    assert_eq!(asked.count("blobs"), 0);

    let index = UpstreamIndex(Arc::clone(&cache.through));
    assert_eq!(index.resolve("tools/tool:v1").await.unwrap(), Some(manifest.clone()));
    assert_eq!(index.resolve("tools/none:v1").await.unwrap(), None);
    for reference in ["v1", &manifest] {
        let (status, body) = cache.get(&format!("/v2/tools/tool/manifests/{reference}")).await;
        assert_eq!((status, Digest::of(&body).to_string()), (200, manifest.clone()), "{reference}");
    }
    let path = format!("/v2/tools/tool/blobs/{digest}");
    let machines = (0..16).map(|_| {
        let (router, path) = (cache.router.clone(), path.clone());
        tokio::spawn(async move { ask(&router, "GET", &path, &[]).await })
    });
    for machine in machines.collect::<Vec<_>>() {
        let answer = machine.await.unwrap();
        assert!(answer.status == 200 && answer.body == layer);
    }
    assert_eq!(asked.count(&format!("GET {path}")), 1, "sixteen machines are one fetch");
    assert_eq!(asked.count("manifests/v1"), 2, "and a name, of each image");
    let missing = format!("/v2/tools/tool/blobs/{}", Digest::of(b"none"));
    assert_eq!((cache.get(&missing).await.0, cache.get(&missing).await.0), (404, 404));
    assert_eq!(asked.count(&missing), 1, "what upstream has not is not asked for again at once");

    serving.abort();
    let _ = serving.await;
    // As after a restart, when nobody knows how old the name is.
    let Cache { directory, writer, through, router } = cache;
    drop((writer, through, router, index));
    let cache = Cache::with(directory, &url, Duration::ZERO, GIB);
    assert_eq!(cache.get("/v2/tools/tool/manifests/v1").await.0, 200);
    assert_eq!(cache.get(&path).await, (200, layer));
    let (status, body) = cache.get("/v2/tools/other/manifests/v1").await;
    assert!(status == 502 && String::from_utf8_lossy(&body).contains("cannot be asked"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moved_upstream_moves_here_and_an_operators_name_never_does() {
    let far = tempfile::tempdir().unwrap();
    let (router, first, _) = upstream(far.path(), b"first");
    let (url, asked, _serving) = serve(router).await;
    let cache = Cache::with(tempfile::tempdir().unwrap(), &url, Duration::ZERO, GIB);
    let digest =
        async |cache: &Cache| Digest::of(&cache.get("/v2/tools/tool/manifests/v1").await.1).to_string();
    assert_eq!(digest(&cache).await, first);
    let second = image(far.path(), "tools/tool:v1", b"second");
    index(far.path(), std::slice::from_ref(&second));
    assert_eq!(digest(&cache).await, text(&second["digest"]));
    // Names that are good for ten minutes are not asked for again.
    let fresh = Cache::of(&url);
    digest(&fresh).await;
    let before = asked.count("manifests/v1");
    digest(&fresh).await;
    assert_eq!(asked.count("manifests/v1"), before);

    let push = push_router(Arc::clone(&cache.writer));
    let own =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []});
    let own = own.to_string();
    assert_eq!(send(&push, "PUT", "/v2/tools/tool/manifests/v1", &[], own.clone()).await.status, 201);
    let before = asked.count("manifests/v1");
    assert_eq!(digest(&cache).await, Digest::of(own.as_bytes()).to_string());
    assert_eq!(asked.count("manifests/v1"), before, "upstream is not even asked");
}

/// An upstream with one manifest, whose layer is answered with `layer`.
fn hostile(said: &'static [u8], layer: fn() -> Response<Body>) -> (Router, Digest) {
    let digest = Digest::of(said);
    let reference = json!({"mediaType": "m", "digest": digest.as_str(), "size": said.len()});
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": reference, "layers": [reference]});
    let router = Router::new().fallback(async move |request: Request| {
        let path = request.uri().path();
        if path.contains("/blobs/") {
            return layer();
        }
        let body = match path.rsplit('/').next().unwrap() {
            "huge" => "x".repeat(5 << 20),
            "text" => "hello".to_owned(),
            _ => manifest.to_string(),
        };
        let told = if path.ends_with("/lies") { Digest::of(b"other") } else { Digest::of(body.as_bytes()) };
        Response::builder()
            .header("content-type", MANIFEST)
            .header("docker-content-digest", told.as_str())
            .body(Body::from(body))
            .unwrap()
    });
    (router, digest)
}

/// What it is, a layer's answer, and what is said of it.
type Case = (&'static str, fn() -> Response<Body>, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_an_upstream_that_means_harm() {
    fn endless() -> Response<Body> {
        let chunks =
            futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 65_536])));
        Response::new(Body::from_stream(chunks))
    }
    fn huge() -> Response<Body> {
        let mut huge = endless();
        huge.headers_mut().insert(header::CONTENT_LENGTH, (1_u64 << 60).into());
        huge
    }
    fn with_length(length: u64, body: &'static [u8]) -> Response<Body> {
        let frames = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(body))]);
        Response::builder().header("content-length", length).body(Body::from_stream(frames)).unwrap()
    }
    let cases: [Case; 5] = [
        ("wrong bytes", || Response::new(Body::from("wrong")), "what came has the digest"),
        ("too few", || with_length(5, b"go"), "cannot be asked"),
        ("too many", || Response::new(Body::from("goodgood")), "what came has the digest"),
        ("endless", endless, "registry.maxGiB"),
        ("said to be huge", huge, "registry.maxGiB"),
    ];
    for (what, layer, said) in cases {
        let (router, digest) = hostile(b"good", layer);
        let (url, _, _serving) = serve(router).await;
        let cache = Cache::with(tempfile::tempdir().unwrap(), &url, Duration::from_secs(600), 8 << 20);
        assert_eq!(cache.get("/v2/a/manifests/v1").await.0, 200, "{what}");
        let (status, body) = cache.get(&format!("/v2/a/blobs/{digest}")).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(status == 502 && body.contains(said), "{what}: {status}: {body}");
        assert!(cache.has_nothing(&digest), "{what}");
        assert_eq!(cache.get("/v2/a/manifests/v1").await.0, 200, "{what}: what was good stays");
    }
    let (router, _) = hostile(b"good", endless);
    let (url, _, _serving) = serve(router).await;
    let cache = Cache::of(&url);
    for (tag, said) in
        [("lies", "it says that its digest is"), ("huge", "more than"), ("text", "no manifest")]
    {
        let (status, body) = cache.get(&format!("/v2/a/manifests/{tag}")).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(status == 502 && body.contains(said), "{tag}: {status}: {body}");
    }
    assert_eq!(cache.get("/v2/_catalog").await.1, br#"{"repositories":[]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_had_for_who_asks_and_used_again() {
    let far = tempfile::tempdir().unwrap();
    let (registry, _, digest) = upstream(far.path(), b"layer");
    let guard = middleware::from_fn(async |request: Request, next: Next| {
        let host = request.headers()[header::HOST].to_str().unwrap().to_owned();
        match request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap()) {
            Some("Bearer secret") => next.run(request).await,
            _ => Response::builder()
                .status(401)
                .header("www-authenticate", format!("Bearer realm=\"http://{host}/token\",service=\"s\""))
                .body(Body::empty())
                .unwrap(),
        }
    });
    let token = axum::routing::get(async || r#"{"token": "secret", "expires_in": 300}"#);
    let (url, asked, _serving) = serve(registry.layer(guard).route("/token", token)).await;
    let cache = Cache::of(&url);
    assert_eq!(cache.get("/v2/tools/tool/manifests/v1").await.0, 200);
    assert_eq!(cache.get(&format!("/v2/tools/tool/blobs/{digest}")).await, (200, b"layer".to_vec()));
    assert_eq!(asked.count("/token?service=s&scope=repository%3Atools%2Ftool%3Apull"), 1);
    assert_eq!(asked.count("Bearer secret"), 2, "the second request has it from the start");
    assert_eq!(asked.count("GET"), 4);
}
