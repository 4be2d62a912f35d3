//! One GET over plain HTTP/1.1, its body read as it comes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, StatusCode,
    body::Incoming,
    header::{self, HeaderMap},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{HttpUrl, limits};

/// Why a request has no (complete) answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection.
    #[error("cannot connect to {authority}: {source}")]
    Connect {
        /// Host and port.
        authority: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Silence.
    #[error("{authority} said nothing for {after:?}")]
    Silent {
        /// Host and port.
        authority: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange with {authority} broke off: {source}")]
    Broken {
        /// Host and port.
        authority: String,
        /// The cause.
        #[source]
        source: hyper::Error,
    },
    /// The answer is a refusal.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for, without the query.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is longer than what it can be.
    #[error("{url} answered with more than {bound} bytes")]
    TooLong {
        /// What was asked for, without the query.
        url: String,
        /// The bound in bytes.
        bound: usize,
    },
    /// A header that cannot be sent.
    #[error(
        "the request for {url} cannot be formed: a header or the path holds characters that HTTP does not allow"
    )]
    Request {
        /// What was asked for, without the query.
        url: String,
        /// The cause.
        #[source]
        source: hyper::http::Error,
    },
    /// The body ended before it was whole.
    #[error("{authority} closed after {received} of {total} bytes")]
    Short {
        /// Host and port.
        authority: String,
        /// Bytes that came, of the whole file.
        received: u64,
        /// Bytes of the whole file.
        total: u64,
    },
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    authority: String,
    idle: Duration,
    // Ends the connection's task together with the response.
    _connection: AbortOnDropHandle<()>,
}

/// Sends a GET with these headers.
///
/// # Errors
/// No connection within `connect`, no answer within `idle`, or one that is not HTTP.
pub async fn get(
    url: &HttpUrl,
    headers: &[(header::HeaderName, String)],
    connect: Duration,
    idle: Duration,
) -> Result<Response, HttpError> {
    let authority = url.authority();
    let stream = timeout(connect, TcpStream::connect((url.host(), url.port())))
        .await
        .map_err(|_| HttpError::Silent { authority: authority.clone(), after: connect })?
        .map_err(|source| HttpError::Connect { authority: authority.clone(), source })?;
    let broken = |source| HttpError::Broken { authority: authority.clone(), source };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(limits::CHUNK_BYTES.max(limits::HEAD_BYTES))
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Its fault reaches the caller through the body.
        drop(connection.await);
    }));
    let mut request =
        Request::get(url.path_and_query()).header(header::HOST, &authority).header(header::ACCEPT, "*/*");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request =
        request.body(Empty::new()).map_err(|source| HttpError::Request { url: url.to_string(), source })?;
    let response = timeout(idle, sender.send_request(request))
        .await
        .map_err(|_| HttpError::Silent { authority: authority.clone(), after: idle })?
        .map_err(broken)?;
    let (parts, body) = response.into_parts();
    Ok(Response {
        status: parts.status,
        headers: parts.headers,
        body,
        authority,
        idle,
        _connection: connection,
    })
}

/// A whole small answer, `token` sent as `Authorization: Bearer`.
///
/// # Errors
/// As [`get`], and any status but 200, and more than [`limits::DOCUMENT_BYTES`].
pub async fn get_document(url: &HttpUrl, token: Option<&str>) -> Result<Vec<u8>, HttpError> {
    let bearer = token.map(|token| (header::AUTHORIZATION, format!("Bearer {token}")));
    let headers: Vec<_> = bearer.into_iter().collect();
    let mut response = get(url, &headers, limits::CONNECT, limits::IDLE).await?;
    if response.status() != 200 {
        return Err(HttpError::Status { url: url.to_string(), status: response.status() });
    }
    let mut whole = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if whole.len() + chunk.len() > limits::DOCUMENT_BYTES {
            return Err(HttpError::TooLong { url: url.to_string(), bound: limits::DOCUMENT_BYTES });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

impl Response {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next bytes of the body, `None` at its end.
    ///
    /// # Errors
    /// The connection broke before the announced end, or fell silent.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame = timeout(self.idle, self.body.frame())
                .await
                .map_err(|_| HttpError::Silent { authority: self.authority.clone(), after: self.idle })?;
            match frame {
                None => return Ok(None),
                Some(Err(source)) => {
                    return Err(HttpError::Broken { authority: self.authority.clone(), source });
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
