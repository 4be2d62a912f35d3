//! One request over a new connection; connections are cheap here and a restarted server needs no special case.

use bootcode_core::secret::Secret;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    client::conn::http1,
    header::{self, HeaderName},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::access::Access;
use crate::{
    endpoint::Endpoint,
    limits::{ANSWER, ANSWER_BYTES, CONNECT},
    routes::{NEXT, Problem, VERSION},
};

/// A request got no good answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection.
    #[error("no server answers at {endpoint}: {source}")]
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The server is not the one that it should be, or speaks no TLS.
    #[error(
        "the server at {endpoint} is not trusted: {message}; name the authority that signed its certificate, and the server as the certificate does"
    )]
    Untrusted {
        /// Where.
        endpoint: Endpoint,
        /// The cause.
        message: String,
    },
    /// A token would have gone over the network in plain.
    #[error(
        "{endpoint} is plain HTTP to another host, and whoever is on the way could read the token: use https:// or the socket"
    )]
    Plain {
        /// Where.
        endpoint: Endpoint,
    },
    /// The connection broke, or nothing came in time.
    #[error("the connection to {endpoint} broke: {message}")]
    Broken {
        /// Where.
        endpoint: Endpoint,
        /// The cause.
        message: String,
    },
    /// The server says why not.
    #[error("{0}")]
    Problem(Problem),
    /// Server and client do not understand each other, and are of different versions.
    #[error("the server at {endpoint} is version {server}, and this is {}: its answer is not understood; use the same version", env!("CARGO_PKG_VERSION"))]
    Version {
        /// Where.
        endpoint: Endpoint,
        /// The server's.
        server: String,
    },
    /// The image registry says why not, by a code of the OCI distribution specification.
    #[error("the image registry refuses: {message} ({code})")]
    Registry {
        /// The code.
        code: String,
        /// What it says.
        message: String,
    },
    /// The server has no place for images.
    #[error(
        "the server has no images: its `images:` must be a directory that it may write; its log says what is wrong"
    )]
    NoRegistry,
    /// The answer is no answer of ours.
    #[error("{endpoint} answered with status {status}, which is no answer of a Bootcode server")]
    Foreign {
        /// Where.
        endpoint: Endpoint,
        /// Its status.
        status: u16,
    },
}

/// An answer's bytes and headers, and where the next page begins.
pub(super) struct Answer {
    pub(super) bytes: Bytes,
    pub(super) next: Option<u64>,
    headers: HeaderMap,
}

/// Sends one request and reads the whole answer, whatever its status.
pub(super) async fn ask(
    server: &Access,
    method: Method,
    path: &str,
    token: Option<&str>,
    headers: &[(HeaderName, &str)],
    body: Bytes,
) -> Result<(StatusCode, Answer), ClientError> {
    let endpoint = &server.endpoint;
    let broken = |message: String| ClientError::Broken { endpoint: endpoint.clone(), message };
    let host = match endpoint {
        Endpoint::Http { authority } | Endpoint::Https { authority } => authority.as_str(),
        Endpoint::Unix { .. } => "localhost",
    };
    if server.token.is_some() && !endpoint.is_private() {
        return Err(ClientError::Plain { endpoint: endpoint.clone() });
    }
    let token = token.or(server.token.as_ref().map(Secret::reveal));
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Full::new(body)).map_err(|error| broken(error.to_string()))?;
    let exchange = async {
        let response = match endpoint {
            Endpoint::Http { authority } => {
                let stream = connect(endpoint, TcpStream::connect(authority)).await?;
                let _ = stream.set_nodelay(true);
                exchange(stream, request).await
            }
            Endpoint::Https { authority } => exchange(secured(server, authority).await?, request).await,
            Endpoint::Unix { path } => {
                exchange(connect(endpoint, UnixStream::connect(path)).await?, request).await
            }
        };
        response.map_err(broken)
    };
    timeout(ANSWER, exchange).await.map_err(|_| broken(format!("no answer within {ANSWER:?}")))?
}

/// Sends JSON or nothing and reads the whole answer, which is a good one.
pub(super) async fn send(
    server: &Access,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> Result<Answer, ClientError> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    let headers = if body.is_empty() { &[][..] } else { &json };
    let (status, answer) = ask(server, method, path, token, headers, body).await?;
    if status.is_success() {
        return Ok(answer);
    }
    match (serde_json::from_slice(&answer.bytes), answer.other_version()) {
        // What this version asks for, that one does not have.
        (Ok(Problem::Malformed { .. }) | Err(_), Some(theirs)) => {
            Err(ClientError::Version { endpoint: server.endpoint.clone(), server: theirs })
        }
        (Ok(problem), _) => Err(ClientError::Problem(problem)),
        (Err(_), None) => {
            Err(ClientError::Foreign { endpoint: server.endpoint.clone(), status: status.as_u16() })
        }
    }
}

impl Answer {
    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's version, where it says that it is not ours.
    fn other_version(&self) -> Option<String> {
        self.header(VERSION).filter(|version| *version != env!("CARGO_PKG_VERSION")).map(str::to_owned)
    }
}

/// Sends JSON and reads JSON.
pub(super) async fn json<T: DeserializeOwned>(
    server: &Access,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&(impl Serialize + Sync)>,
) -> Result<T, ClientError> {
    let endpoint = &server.endpoint;
    let broken = |message: String| ClientError::Broken { endpoint: endpoint.clone(), message };
    let body = match body {
        Some(body) => serde_json::to_vec(body).map_err(|error| broken(error.to_string()))?,
        None => Vec::new(),
    };
    let answer = send(server, method, path, token, body.into()).await?;
    serde_json::from_slice(&answer.bytes).map_err(|error| match answer.other_version() {
        Some(server) => ClientError::Version { endpoint: endpoint.clone(), server },
        None => broken(error.to_string()),
    })
}

async fn connect<S>(
    endpoint: &Endpoint,
    stream: impl Future<Output = std::io::Result<S>>,
) -> Result<S, ClientError> {
    let stream = timeout(CONNECT, stream).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    stream.map_err(|source| ClientError::Connect { endpoint: endpoint.clone(), source })
}

#[cfg(feature = "tls")]
async fn secured(
    server: &Access,
    authority: &str,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ClientError> {
    let endpoint = &server.endpoint;
    let untrusted = |message: String| ClientError::Untrusted { endpoint: endpoint.clone(), message };
    let trust = server.trust.as_ref().ok_or_else(|| untrusted("no authority is named".to_owned()))?;
    let stream = connect(endpoint, TcpStream::connect(authority)).await?;
    let _ = stream.set_nodelay(true);
    let shaken = timeout(CONNECT, trust.connect(endpoint.host().unwrap_or_default(), stream)).await;
    shaken
        .map_err(|_| untrusted(format!("it did not answer TLS within {CONNECT:?}")))?
        .map_err(|error| untrusted(error.to_string()))
}

#[cfg(not(feature = "tls"))]
async fn secured(server: &Access, _: &str) -> Result<TcpStream, ClientError> {
    let message = "this program was built without TLS".to_owned();
    Err(ClientError::Untrusted { endpoint: server.endpoint.clone(), message })
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, Answer), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        let next = headers.get(NEXT).and_then(|next| next.to_str().ok()?.parse().ok());
        Ok((status, Answer { bytes, next, headers }))
    };
    // The connection is driven here, so that nothing outlives the request.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    let mut closed = false;
    std::future::poll_fn(|context| {
        if !closed && connection.as_mut().poll(context).is_ready() {
            closed = true;
        }
        answer.as_mut().poll(context)
    })
    .await
}
