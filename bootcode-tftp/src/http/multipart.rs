//! Several ranges as one body, `multipart/byteranges` (RFC 9110 section 14.6).

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    ops::Range,
};

use axum::http::HeaderValue;
use bytes::Bytes;

use super::body::Piece;

/// What separates parts. Nobody can foresee it, so no file holds it.
pub(super) struct Boundary(String);

impl Boundary {
    pub(super) fn random() -> Self {
        let random = || RandomState::new().build_hasher().finish();
        Self(format!("{:016x}{:016x}", random(), random()))
    }

    /// The whole answer's Content-Type.
    pub(super) fn content_type(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("multipart/byteranges; boundary={}", self.0)).ok()
    }

    /// The body: for each range its head and its bytes, and the end.
    pub(super) fn pieces(&self, ranges: &[Range<u64>], content_type: &HeaderValue, len: u64) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(2 * ranges.len() + 1);
        let content_type = content_type.to_str().unwrap_or("application/octet-stream");
        for range in ranges {
            let (boundary, first, last) = (&self.0, range.start, range.end - 1);
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes {first}-{last}/{len}\r\n\r\n"
            );
            pieces.extend([Piece::Text(Bytes::from(head)), Piece::File(range.clone())]);
        }
        pieces.push(Piece::Text(Bytes::from(format!("\r\n--{}--\r\n", self.0))));
        pieces
    }
}
