//! One request over a new connection; connections are cheap here and a restarted server needs no special case.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    endpoint::Endpoint,
    limits::{ANSWER, ANSWER_BYTES, CONNECT},
    routes::{NEXT, Problem},
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
    /// The answer is no answer of ours.
    #[error("{endpoint} answered with status {status}, which is no answer of a Bootcode server")]
    Foreign {
        /// Where.
        endpoint: Endpoint,
        /// Its status.
        status: u16,
    },
}

/// An answer's bytes, and where the next page begins.
pub(super) struct Answer {
    pub(super) bytes: Bytes,
    pub(super) next: Option<u64>,
}

/// Sends one request and reads the whole answer.
pub(super) async fn send(
    endpoint: &Endpoint,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Bytes,
) -> Result<Answer, ClientError> {
    let broken = |message: String| ClientError::Broken { endpoint: endpoint.clone(), message };
    let host = match endpoint {
        Endpoint::Http { authority } => authority.as_str(),
        Endpoint::Unix { .. } => "localhost",
    };
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::new(body)).map_err(|error| broken(error.to_string()))?;
    let exchange = async {
        let response = match endpoint {
            Endpoint::Http { authority } => {
                let stream = connect(endpoint, TcpStream::connect(authority)).await?;
                let _ = stream.set_nodelay(true);
                exchange(stream, request).await
            }
            Endpoint::Unix { path } => {
                exchange(connect(endpoint, UnixStream::connect(path)).await?, request).await
            }
        };
        response.map_err(broken)
    };
    let (status, next, bytes) =
        timeout(ANSWER, exchange).await.map_err(|_| broken(format!("no answer within {ANSWER:?}")))??;
    if status.is_success() {
        return Ok(Answer { bytes, next });
    }
    match serde_json::from_slice(&bytes) {
        Ok(problem) => Err(ClientError::Problem(problem)),
        Err(_) => Err(ClientError::Foreign { endpoint: endpoint.clone(), status: status.as_u16() }),
    }
}

/// Sends JSON and reads JSON.
pub(super) async fn json<T: DeserializeOwned>(
    endpoint: &Endpoint,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&(impl Serialize + Sync)>,
) -> Result<T, ClientError> {
    let broken = |message: String| ClientError::Broken { endpoint: endpoint.clone(), message };
    let body = match body {
        Some(body) => serde_json::to_vec(body).map_err(|error| broken(error.to_string()))?,
        None => Vec::new(),
    };
    let answer = send(endpoint, method, path, token, body.into()).await?;
    serde_json::from_slice(&answer.bytes).map_err(|error| broken(error.to_string()))
}

async fn connect<S>(
    endpoint: &Endpoint,
    stream: impl Future<Output = std::io::Result<S>>,
) -> Result<S, ClientError> {
    let stream = timeout(CONNECT, stream).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    stream.map_err(|source| ClientError::Connect { endpoint: endpoint.clone(), source })
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Option<u64>, Bytes), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let next = response.headers().get(NEXT).and_then(|next| next.to_str().ok()?.parse().ok());
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        Ok((status, next, body.map_err(|error| error.to_string())?.to_bytes()))
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
