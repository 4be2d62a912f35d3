//! The registry's routes.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, Response, Uri, header, request::Parts},
    routing::any,
};
use bootcode_core::{files::Blob, timeline::Reason};

use super::{Layout, LayoutError, Reference, RegistryError, Route};
use crate::http::{Downloads, End, Kind, Lane, respond};

/// `/v2/`: version, `_catalog`, `tags/list`, manifests by tag and digest, blobs with ranges. It only gives; every push is answered
/// with `UNSUPPORTED`; [`push_router`](super::push_router) takes them.
/// `downloads` counts manifests and blobs, and says when large blobs go.
pub fn registry_router(layout: Layout, downloads: Downloads) -> Router {
    Router::new()
        .route("/v2", any(serve))
        .route("/v2/", any(serve))
        .route("/v2/{*rest}", any(serve))
        .with_state((layout, downloads))
}

/// As [`registry_router`], of a layout that is filled from an upstream registry as it is asked.
#[cfg(feature = "upstream")]
pub fn pull_through_router(through: std::sync::Arc<super::PullThrough>, downloads: Downloads) -> Router {
    Router::new()
        .route("/v2", any(serve_through))
        .route("/v2/", any(serve_through))
        .route("/v2/{*rest}", any(serve_through))
        .with_state((through, downloads))
}

#[cfg(feature = "upstream")]
async fn serve_through(
    State((through, downloads)): State<(std::sync::Arc<super::PullThrough>, Downloads)>,
    request: Request,
) -> Response<Body> {
    let (request, _) = request.into_parts();
    let given = async {
        if request.method == Method::GET || request.method == Method::HEAD {
            through.provide(&route(&request.uri)?).await?;
        }
        answer(through.layout(), &request, Repositories::Tagged, &downloads).await
    };
    counted(&request.uri, given.await, &downloads)
}

async fn serve(State((layout, downloads)): State<(Layout, Downloads)>, request: Request) -> Response<Body> {
    let (request, _) = request.into_parts();
    let result = answer(&layout, &request, Repositories::Tagged, &downloads).await;
    counted(&request.uri, result, &downloads)
}

/// The answer; where it is an error it is counted, as what is sent counts itself.
fn counted(
    uri: &Uri,
    result: Result<Response<Body>, RegistryError>,
    downloads: &Downloads,
) -> Response<Body> {
    let kind = match route(uri) {
        Ok(Route::Manifest { .. }) => Some(Kind::Manifest),
        Ok(Route::Blob { .. }) => Some(Kind::Blob),
        _ => None,
    };
    if let (Err(error), Some(kind)) = (&result, kind) {
        downloads.request(kind).ended(End::Refused(reason(error)));
    }
    finished(uri.path(), result)
}

/// Of an error that asking for a manifest or a blob can have.
const fn reason(error: &RegistryError) -> Reason {
    match error {
        RegistryError::NameUnknown { .. }
        | RegistryError::ManifestUnknown { .. }
        | RegistryError::BlobUnknown { .. } => Reason::NotFound,
        RegistryError::Unsupported => Reason::Unsupported,
        RegistryError::UpstreamBusy => Reason::TooMany,
        RegistryError::Broken | RegistryError::Upstream { .. } => Reason::ReadFailed,
        _ => Reason::IllegalRequest,
    }
}

/// An answer, or the error of the specification, with what every answer has.
pub(super) fn finished(path: &str, result: Result<Response<Body>, RegistryError>) -> Response<Body> {
    let mut response = match result {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(path, %error, "registry request refused");
            error.response()
        }
    };
    response.headers_mut().insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

/// Of which repositories something is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repositories {
    /// Those that have a tag.
    Tagged,
    /// Also those whose first tag is still to come.
    Any,
}

/// What the path behind `/v2` asks for.
pub(super) fn route(uri: &Uri) -> Result<Route, RegistryError> {
    let path = uri.path().strip_prefix("/v2").unwrap_or_default();
    Route::parse(path.strip_prefix('/').unwrap_or(path))
}

/// The pull side.
pub(super) async fn answer(
    layout: &Layout,
    request: &Parts,
    repositories: Repositories,
    downloads: &Downloads,
) -> Result<Response<Body>, RegistryError> {
    let Parts { method, headers, uri, .. } = request;
    if method != Method::GET && method != Method::HEAD {
        return Err(RegistryError::Unsupported);
    }
    match route(uri)? {
        Route::Version => Ok(json(method, &serde_json::json!({}))),
        Route::Catalog => {
            let index = layout.index().await.map_err(broken)?;
            let (page, link) = Page::of(uri).cut(index.repositories(), uri.path());
            Ok(linked(json(method, &serde_json::json!({"repositories": page})), link))
        }
        Route::Tags { name } => {
            let index = layout.index().await.map_err(broken)?;
            let tags = index.tags(&name);
            if tags.is_empty() {
                return Err(RegistryError::NameUnknown { name });
            }
            let (page, link) = Page::of(uri).cut(tags, uri.path());
            Ok(linked(json(method, &serde_json::json!({"name": name, "tags": page})), link))
        }
        Route::Manifest { name, reference } => {
            known(layout, &name, repositories).await?;
            let manifest = layout.manifest(&name, &reference).await.map_err(broken)?.ok_or_else(|| {
                let reference = match &reference {
                    Reference::Tag(tag) => tag.clone(),
                    Reference::Digest(digest) => digest.to_string(),
                };
                RegistryError::ManifestUnknown { name, reference }
            })?;
            let content_type =
                HeaderValue::from_str(&manifest.media_type).map_err(|_| RegistryError::Broken)?;
            let digest = manifest.digest.to_string();
            let blob = Blob::memory(manifest.bytes, digest.clone());
            let download = downloads.request(Kind::Manifest);
            Ok(with_digest(respond(method, headers, blob, content_type, None, None, download), &digest))
        }
        Route::Blob { name, digest } => {
            known(layout, &name, repositories).await?;
            let blob = layout.blob(&digest).await.map_err(broken)?;
            let blob = blob.ok_or_else(|| RegistryError::BlobUnknown { digest: digest.to_string() })?;
            let content_type = HeaderValue::from_static("application/octet-stream");
            let lane = request.extensions.get::<Lane>().cloned();
            let download = downloads.request(Kind::Blob);
            Ok(with_digest(
                respond(method, headers, blob, content_type, lane, None, download),
                digest.as_str(),
            ))
        }
        Route::Uploads { .. } | Route::Upload { .. } => Err(RegistryError::Unsupported),
    }
}

/// Blobs are shared between repositories, as in every layout; an unknown repository is an error all the same.
async fn known(layout: &Layout, name: &str, repositories: Repositories) -> Result<(), RegistryError> {
    if repositories == Repositories::Any {
        return Ok(());
    }
    let index = layout.index().await.map_err(broken)?;
    if index.tags(name).is_empty() {
        Err(RegistryError::NameUnknown { name: name.to_owned() })
    } else {
        Ok(())
    }
}

pub(super) fn broken(error: LayoutError) -> RegistryError {
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "the image layout is broken");
    RegistryError::Broken
}

/// The part of a list that `n` and `last` ask for.
struct Page {
    n: Option<usize>,
    last: Option<String>,
}

impl Page {
    fn of(uri: &Uri) -> Self {
        let value = |key: &str| {
            let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        };
        Self { n: value("n").and_then(|n| n.parse().ok()), last: value("last") }
    }

    /// The page, and the Link header to the next one where there is more.
    fn cut<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        path: &str,
    ) -> (Vec<&'a str>, Option<String>) {
        let after = |name: &&str| self.last.as_deref().is_none_or(|last| *name > last);
        let mut page: Vec<_> = names.into_iter().filter(after).collect();
        let Some(n) = self.n.filter(|n| *n < page.len()) else { return (page, None) };
        page.truncate(n);
        let link = page.last().map(|last| format!("<{path}?n={n}&last={last}>; rel=\"next\""));
        (page, link)
    }
}

fn linked(mut response: Response<Body>, link: Option<String>) -> Response<Body> {
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

fn with_digest(mut response: Response<Body>, digest: &str) -> Response<Body> {
    if let Ok(digest) = HeaderValue::from_str(digest) {
        response.headers_mut().insert(HeaderName::from_static("docker-content-digest"), digest);
    }
    response
}

fn json(method: &Method, value: &serde_json::Value) -> Response<Body> {
    let text = value.to_string();
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    if method != Method::HEAD {
        *response.body_mut() = Body::from(text);
    }
    response
}
