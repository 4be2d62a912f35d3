//! One opened file as the answer to one request.

use std::io;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
};
use bootcode_core::files::Blob;

use super::{
    body::{Done, FileBody},
    conditions::{Conditions, Precondition, http_date, quoted},
    range::ByteRange,
};

/// Answers GET or HEAD with `blob`: 200, 206, 304, 412 or 416. `done` is told when the last byte of the file was handed over, or
/// that reading failed; a HEAD, a 304 and a range that stops short of the end tell nothing.
pub(crate) fn respond(
    method: &Method,
    headers: &HeaderMap,
    blob: Blob,
    content_type: HeaderValue,
    done: Option<Done>,
) -> Response<Body> {
    let conditions = Conditions::of(headers);
    let mut response = Response::new(Body::empty());
    set(&mut response, header::ETAG, &quoted(&blob.etag));
    if let Some(date) = blob.modified.and_then(http_date) {
        set(&mut response, header::LAST_MODIFIED, &date);
    }
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    match conditions.evaluate(&blob) {
        Precondition::Holds => {}
        Precondition::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        Precondition::Failed => {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return with_text(response, "the file is another version than the condition names\n".to_owned());
        }
    }
    let asked = headers
        .get(header::RANGE)
        .filter(|_| method == Method::GET && conditions.range_is_of(&blob))
        .and_then(|range| ByteRange::parse(range.to_str().ok()?));
    let range = match asked.map(|range| range.of(blob.len)) {
        None => 0..blob.len,
        Some(Ok(range)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let value = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.len);
            set(&mut response, header::CONTENT_RANGE, &value);
            range
        }
        Some(Err(error)) => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", blob.len));
            return with_text(response, format!("{error}\n"));
        }
    };
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if method != Method::HEAD {
        let done = done.filter(|_| range.end == blob.len);
        *response.body_mut() = Body::new(FileBody::new(blob, range, done));
    }
    response
}

/// What [`respond`] tells at the end of a body.
pub(crate) fn on_end(act: impl FnOnce(Result<(), &io::Error>) + Send + 'static) -> Done {
    Box::new(act)
}

/// An answer in words.
pub(crate) fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    with_text(response, text)
}

fn with_text(mut response: Response<Body>, text: String) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::from(text);
    response
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    // Tags and dates of ours are visible ASCII; a source's tag that is none is left out rather than sent broken.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
