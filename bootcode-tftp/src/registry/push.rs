//! The push side of the distribution specification.

use std::{pin::Pin, sync::Arc, time::SystemTime};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts},
    routing::any,
};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::{
    Content, Digest, LayoutError, ManifestError, Reference, RegistryError, Route, Writer,
    router::{Repositories, answer, broken, finished, route},
    upload::{Upload, Writing},
};
use crate::{http::Downloads, limits};

/// The header that says how many bytes a removed name freed.
pub const FREED: &str = "bootcode-freed";
/// The header that says how many bytes that no name reaches are freed later, unless a push needs them.
pub const FREED_LATER: &str = "bootcode-freed-later";

/// `/v2/` for operators: all that [`registry_router`](super::registry_router) gives, and uploads of blobs (whole, in chunks, or mounted)
/// and manifests. Whoever reaches it may push, so it belongs on a listener that knows its callers.
///
/// Blobs belong to all repositories, as in every layout, so that one may be mounted from anywhere. A repository is there with its
/// first tag; a manifest that is pushed by digest alone is kept, but machines find it only below a tag.
pub fn push_router(writer: Arc<Writer>) -> Router {
    Router::new()
        .route("/v2", any(serve))
        .route("/v2/", any(serve))
        .route("/v2/{*rest}", any(serve))
        .with_state((writer, Downloads::unbounded()))
}

async fn serve(
    State((writer, downloads)): State<(Arc<Writer>, Downloads)>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    finished(head.uri.path(), push(&writer, &downloads, &head, body).await)
}

async fn push(
    writer: &Arc<Writer>,
    downloads: &Downloads,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, RegistryError> {
    match (&head.method, route(&head.uri)?) {
        (&Method::POST, Route::Uploads { name }) => begin(writer, &name, head, body).await,
        (method, Route::Upload { name, id }) => match *method {
            Method::PATCH => {
                let writing = writer.uploads.write(&name, &id)?;
                append(writer, &id, &writing, &head.headers, body).await?;
                Ok(progress(StatusCode::ACCEPTED, &name, &id, writing.0.len()))
            }
            Method::PUT => {
                let digest = Asked::of(head).digest()?;
                let digest = digest.ok_or_else(|| RegistryError::DigestInvalid {
                    digest: "nothing".to_owned(),
                    why: "name the blob's digest, as in ?digest=sha256:..".to_owned(),
                })?;
                let writing = writer.uploads.write(&name, &id)?;
                append(writer, &id, &writing, &head.headers, body).await?;
                finish(writer, &name, &id, writing, digest).await
            }
            Method::GET | Method::HEAD => {
                let len = writer.uploads.find(&name, &id)?.len();
                Ok(progress(StatusCode::NO_CONTENT, &name, &id, len))
            }
            Method::DELETE => {
                let _writing = writer.uploads.write(&name, &id)?;
                writer.uploads.end(&id);
                Ok(empty(StatusCode::NO_CONTENT))
            }
            _ => Err(RegistryError::Unsupported),
        },
        (&Method::PUT, Route::Manifest { name, reference }) => {
            put_manifest(writer, name, reference, head, body).await
        }
        (&Method::DELETE, Route::Manifest { name, reference: Reference::Tag(tag) }) => {
            let unknown = RegistryError::ManifestUnknown { name: name.clone(), reference: tag.clone() };
            let gone = blocking(writer, move |writer| writer.untag((&name, &tag))).await?;
            if gone { Ok(removed(writer).await) } else { Err(unknown) }
        }
        (_, Route::Blob { digest, .. } | Route::Manifest { reference: Reference::Digest(digest), .. }) => {
            // Who finds it here does not push it again.
            writer.wanted.mark(&digest, SystemTime::now());
            answer(writer.layout(), head, Repositories::Any, downloads).await
        }
        _ => answer(writer.layout(), head, Repositories::Any, downloads).await,
    }
}

/// What the query of an upload says.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    digest: Option<String>,
    mount: Option<String>,
}

impl Asked {
    fn of(head: &Parts) -> Self {
        Query::try_from_uri(&head.uri).map(|Query(asked)| asked).unwrap_or_default()
    }

    fn digest(self) -> Result<Option<Digest>, RegistryError> {
        self.digest.map(|digest| digest.parse().map_err(|error| invalid(digest, &error))).transpose()
    }
}

fn invalid(digest: String, why: &dyn std::error::Error) -> RegistryError {
    RegistryError::DigestInvalid { digest: digest.chars().take(128).collect(), why: why.to_string() }
}

async fn begin(
    writer: &Arc<Writer>,
    name: &str,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, RegistryError> {
    let asked = Asked::of(head);
    // A digest that is none, or of no blob here, is answered with an upload, as the specification has it.
    let mount = asked.mount.as_deref().and_then(|mount| mount.parse::<Digest>().ok());
    mount.iter().for_each(|digest| writer.wanted.mark(digest, SystemTime::now()));
    if let Some(digest) = mount
        && writer.layout().blob(&digest).await.map_err(broken)?.is_some()
    {
        return Ok(created(&format!("/v2/{name}/blobs/{digest}"), &digest));
    }
    let digest = asked.digest()?;
    let part = blocking(writer, |writer| writer.part()).await?;
    let id = writer.uploads.begin(name, part)?;
    let Some(digest) = digest else { return Ok(progress(StatusCode::ACCEPTED, name, &id, 0)) };
    let writing = writer.uploads.write(name, &id)?;
    let appended = append(writer, &id, &writing, &head.headers, body).await;
    if appended.is_err() {
        // Nobody was told its name, so nobody goes on with it.
        writer.uploads.end(&id);
    }
    appended?;
    finish(writer, name, &id, writing, digest).await
}

/// Appends a request's body to an upload. What came before it broke off is kept, so that the client may go on.
async fn append(
    writer: &Arc<Writer>,
    id: &str,
    writing: &Writing,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(), RegistryError> {
    let upload = &writing.0;
    let too_large = RegistryError::TooLarge { what: "the blob", limit: limits::BLOB_BYTES };
    if let Some(start) = chunk_start(headers)?
        && start != upload.len()
    {
        return Err(RegistryError::OutOfOrder { start, len: upload.len() });
    }
    if body.size_hint().lower().saturating_add(upload.len()) > limits::BLOB_BYTES {
        writer.uploads.end(id);
        return Err(too_large);
    }
    let (mut chunks, mut len) = (Vec::new(), 0);
    loop {
        let next = next(&mut body).await;
        let more = matches!(next, Ok(Some(_)));
        if let Ok(Some(bytes)) = &next {
            len += bytes.len();
            chunks.push(bytes.clone());
        }
        if upload.len().saturating_add(len as u64) > limits::BLOB_BYTES {
            writer.uploads.end(id);
            return Err(too_large);
        }
        if len >= limits::UPLOAD_CHUNK_BYTES || !more {
            let written = write(upload, std::mem::take(&mut chunks)).await;
            len = 0;
            if let Err(error) = written {
                writer.uploads.end(id);
                return Err(broken(writer.layout().io("an upload", error)));
            }
        }
        match next {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(why) => return Err(RegistryError::UploadInvalid { why }),
        }
    }
}

async fn write(upload: &Arc<Upload>, chunks: Vec<Bytes>) -> std::io::Result<()> {
    let upload = Arc::clone(upload);
    let joined = tokio::task::spawn_blocking(move || upload.append(&chunks)).await;
    joined.unwrap_or_else(|failed| Err(std::io::Error::other(failed)))
}

/// The next bytes of a body, `None` at its end, or why there are none.
async fn next(body: &mut Body) -> Result<Option<Bytes>, String> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        match tokio::time::timeout(limits::UPLOAD_SILENCE, frame).await {
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_trailers) => {}
            },
            Ok(Some(Err(error))) => return Err(format!("the body broke off: {error}")),
            Ok(None) => return Ok(None),
            Err(_) => return Err(format!("nothing came for {:?}", limits::UPLOAD_SILENCE)),
        }
    }
}

/// Where the chunk begins, where the request says so: `Content-Range: <start>-<end>`, both inclusive.
fn chunk_start(headers: &HeaderMap) -> Result<Option<u64>, RegistryError> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let parsed = range.to_str().ok().and_then(|range| {
        let (start, end) = range.split_once('-')?;
        let (start, end) = (start.parse::<u64>().ok()?, end.parse::<u64>().ok()?);
        let len = end.checked_sub(start)?.checked_add(1)?;
        let said = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
        said.is_none_or(|said: u64| said == len).then_some(start)
    });
    parsed.map(Some).ok_or_else(|| RegistryError::UploadInvalid {
        why: "Content-Range is <first>-<last> of the bytes that Content-Length counts".to_owned(),
    })
}

async fn finish(
    writer: &Arc<Writer>,
    name: &str,
    id: &str,
    writing: Writing,
    digest: Digest,
) -> Result<Response<Body>, RegistryError> {
    let ended = RegistryError::UploadUnknown { id: id.to_owned() };
    let wanted = digest.clone();
    let found = blocking(writer, move |writer| {
        let Some((part, found)) = writing.0.finish() else { return Ok(None) };
        if found == wanted {
            writer.keep(&found, part)?;
        }
        Ok(Some(found))
    })
    .await;
    writer.uploads.end(id);
    match found? {
        None => Err(ended),
        Some(found) if found == digest => Ok(created(&format!("/v2/{name}/blobs/{digest}"), &digest)),
        Some(found) => {
            let why = format!("what came has the digest {found}; push the blob again");
            Err(RegistryError::DigestInvalid { digest: digest.to_string(), why })
        }
    }
}

async fn put_manifest(
    writer: &Arc<Writer>,
    name: String,
    reference: Reference,
    head: &Parts,
    mut body: Body,
) -> Result<Response<Body>, RegistryError> {
    let mut bytes = BytesMut::new();
    while let Some(more) = next(&mut body).await.map_err(|why| RegistryError::ManifestInvalid { why })? {
        if (bytes.len() + more.len()) as u64 > limits::MANIFEST_BYTES {
            return Err(RegistryError::TooLarge { what: "the manifest", limit: limits::MANIFEST_BYTES });
        }
        bytes.extend_from_slice(&more);
    }
    let digest = Digest::of(&bytes);
    let tag = match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(asked) if asked == digest => None,
        Reference::Digest(asked) => {
            let why = format!("what came has the digest {digest}");
            return Err(RegistryError::DigestInvalid { digest: asked.to_string(), why });
        }
    };
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content = Content::parse(&bytes, content_type)?;
    for referred in &content.refers_to {
        writer.wanted.mark(&referred.digest, SystemTime::now());
        let blob = writer.layout().blob(&referred.digest).await.map_err(broken)?;
        let unknown = || RegistryError::ManifestBlobUnknown { digest: referred.digest.to_string() };
        let len = blob.ok_or_else(unknown)?.len;
        if len != referred.size {
            let why =
                format!("it says that {} has {} bytes, but it has {len}", referred.digest, referred.size);
            return Err(RegistryError::ManifestInvalid { why });
        }
    }
    let location = format!("/v2/{name}/manifests/{digest}");
    tracing::info!(repository = name, tag, %digest, "an image was pushed");
    let kept = digest.clone();
    blocking(writer, move |writer| {
        let name = tag.as_deref().map(|tag| (&*name, tag));
        writer.put(&kept, &content.media_type, &bytes, name)
    })
    .await?;
    Ok(created(&location, &digest))
}

/// The name is gone whatever becomes of its content, which is swept again later where that fails.
async fn removed(writer: &Arc<Writer>) -> Response<Body> {
    let mut response = empty(StatusCode::ACCEPTED);
    if let Ok(swept) = blocking(writer, |writer| writer.sweep(SystemTime::now())).await {
        set(&mut response, HeaderName::from_static(FREED), &swept.bytes.to_string());
        set(&mut response, HeaderName::from_static(FREED_LATER), &swept.later.to_string());
    }
    response
}

impl From<ManifestError> for RegistryError {
    fn from(error: ManifestError) -> Self {
        Self::ManifestInvalid { why: error.to_string() }
    }
}

async fn blocking<T: Send + 'static>(
    writer: &Arc<Writer>,
    act: impl FnOnce(&Writer) -> Result<T, LayoutError> + Send + 'static,
) -> Result<T, RegistryError> {
    let used = Arc::clone(writer);
    let joined = tokio::task::spawn_blocking(move || act(&used)).await;
    let done =
        joined.unwrap_or_else(|failed| Err(writer.layout().io("a file", std::io::Error::other(failed))));
    done.map_err(|error| match error {
        LayoutError::IndexFull { .. } => {
            RegistryError::TooLarge { what: "the index of all images", limit: limits::MANIFEST_BYTES }
        }
        error => broken(error),
    })
}

/// How far an upload came, and where it goes on.
fn progress(status: StatusCode, name: &str, id: &str, len: u64) -> Response<Body> {
    let mut response = empty(status);
    // Of nothing, too, the reference implementation says `0-0`.
    let range = format!("0-{}", len.saturating_sub(1));
    set(&mut response, header::LOCATION, &format!("/v2/{name}/blobs/uploads/{id}"));
    set(&mut response, header::RANGE, &range);
    set(&mut response, HeaderName::from_static("docker-upload-uuid"), id);
    response
}

fn created(location: &str, digest: &Digest) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, header::LOCATION, location);
    set(&mut response, HeaderName::from_static("docker-content-digest"), digest.as_str());
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    // Names, digests and identities are visible ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
