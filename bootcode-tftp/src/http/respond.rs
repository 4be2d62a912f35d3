//! One opened file as the answer to one request.

use std::io;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
};
use bootcode_core::files::Blob;

use super::{
    body::{Done, FileBody, Piece},
    conditions::{Conditions, Precondition, http_date, quoted},
    download::Download,
    lane::Lane,
    metrics::End,
    multipart::Boundary,
    range::ByteRanges,
};

/// Answers GET or HEAD with `blob`: 200, 206, 304, 412 or 416. `done` is told when the last byte of the file was handed over, or
/// that reading failed; a HEAD, a 304 and a range that stops short of the end tell nothing. With the connection's `lane` it sends the file itself.
pub(crate) fn respond(
    method: &Method,
    headers: &HeaderMap,
    blob: Blob,
    content_type: HeaderValue,
    lane: Option<Lane>,
    done: Option<Done>,
    download: Download,
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
            download.ended(End::NotModified);
            return response;
        }
        Precondition::Failed => {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            download.ended(End::PreconditionFailed);
            return with_text(response, "the file is another version than the condition names\n".to_owned());
        }
    }
    let asked = headers
        .get(header::RANGE)
        .filter(|_| method == Method::GET && conditions.range_is_of(&blob))
        .and_then(|range| ByteRanges::parse(range.to_str().ok()?));
    let (content_type, pieces) = match asked.map(|ranges| ranges.of(blob.len)).transpose() {
        Ok(None) => (content_type, vec![Piece::File(0..blob.len)]),
        Ok(Some(ranges)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            if let [range] = &*ranges {
                let value = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.len);
                set(&mut response, header::CONTENT_RANGE, &value);
                (content_type, vec![Piece::File(range.clone())])
            } else {
                let boundary = Boundary::random();
                let pieces = boundary.pieces(&ranges, &content_type, blob.len);
                (boundary.content_type().unwrap_or(content_type), pieces)
            }
        }
        Err(error) => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            download.ended(End::RangeNotSatisfiable);
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", blob.len));
            return with_text(response, format!("{error}\n"));
        }
    };
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    let has_end = pieces.iter().any(|piece| matches!(piece, Piece::File(range) if range.end == blob.len));
    let body = FileBody::new(blob, lane, pieces, done.filter(|_| has_end));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if method == Method::HEAD {
        download.ended(End::Probed);
    } else {
        let end = if response.status() == StatusCode::PARTIAL_CONTENT { End::Partial } else { End::Finished };
        *response.body_mut() = Body::new(download.send(body, end));
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
