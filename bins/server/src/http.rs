//! The listeners of machines and of operators. They share no socket.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody as _, to_bytes},
    extract::{ConnectInfo, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bootcode_api::limits::WORKER_BODY_BYTES;
use bootcode_metadata::HopLimit;
use bootcode_tftp::http::Lane;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    config::ConnectionLimits,
    connections::{Connections, End},
    error::ServerError,
    hops::Hops,
    patience::{Answered, Course, Patient},
    tls::Identity,
};

/// How long open requests may take to end when the server stops; waiting claims are cut off after it.
const DRAIN: Duration = Duration::from_secs(2);

/// How long a handshake may take: old firmware computes for seconds.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// How long the body of a machine's request may take: 1 MiB at most, over the slowest management network.
const BODY: Duration = Duration::from_secs(30);
/// Machines that connect and were not accepted yet: what Linux takes by default (`net.core.somaxconn`). More try again after a second, then two,
/// then four.
const BACKLOG: u32 = 4096;
/// How long and how much is read after the answer to what was no request, for what is left unread has the system reset the connection, and the
/// answer is lost with it (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1 << 20;
/// How long accepting rests after a failure, which is the lack of something.
const REST: Duration = Duration::from_millis(100);

/// Opens the machines' port, and says which it is where the configuration leaves that to the system.
///
/// # Errors
/// [`ServerError::Listen`].
pub(crate) async fn bind_machines(
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Listen { key, address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The operators' socket, removed at the end.
#[derive(Debug)]
pub(crate) struct OperatorSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// A socket's name in the file system.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Opens the operators' socket for its user and group; a socket that a killed server left is replaced, a live one is not.
///
/// # Errors
/// [`ServerError::Socket`].
pub(crate) async fn bind_operators(path: &Path) -> Result<OperatorSocket, ServerError> {
    let failed = |source| ServerError::Socket { path: path.to_owned(), source };
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let there = fs::symlink_metadata(path);
    if there.as_ref().is_ok_and(|metadata| !metadata.file_type().is_socket()) {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    if there.is_ok() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(failed(std::io::ErrorKind::AddrInUse.into()));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(OperatorSocket { listener, file })
}

impl OperatorSocket {
    /// Serves until cancelled.
    pub(crate) async fn serve(self, router: Router, cancel: CancellationToken) {
        let Self { listener, file } = self;
        let stop = cancel.clone().cancelled_owned();
        let serving = axum::serve(listener, router.into_make_service()).with_graceful_shutdown(stop);
        drain(serving.into_future(), cancel).await;
        drop(file);
    }
}

/// Serves machines until cancelled; with TLS where there is an identity.
///
/// Whoever is slow is cut off: a request's head, the pause before it and a machine that takes nothing of an answer have the times of
/// `http.connections`, a request's body has [`BODY`]. What machines fetch may take as long as it takes.
pub(crate) async fn serve_machines(
    listener: TcpListener,
    identity: Option<Arc<Identity>>,
    router: Router,
    bounds: Connections,
    cancel: CancellationToken,
) {
    let router = router.layer(middleware::from_fn(whole_body));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = bounds.admit(peer) else { continue };
                let limits = bounds.limits();
                let serving =
                    connection(stream, peer, limits, identity.clone(), router.clone(), cancel.clone());
                connections.spawn(async move { place.ended(serving.await) });
            }
            Err(error) => {
                // Out of descriptors, or the peer went away already; the listener itself stays good.
                tracing::warn!(%error, "a connection cannot be accepted");
                cancel.run_until_cancelled(tokio::time::sleep(REST)).await;
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(DRAIN, all).await;
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    limits: ConnectionLimits,
    identity: Option<Arc<Identity>>,
    router: Router,
    cancel: CancellationToken,
) -> End {
    let _ = stream.set_nodelay(true);
    let (stream, hops) = Hops::new(stream);
    let lane = stream.lane();
    let Some(identity) = identity else {
        return requests(stream, (peer, hops), Some(lane), limits, router, cancel).await;
    };
    let handshake = timeout(HANDSHAKE, identity.acceptor().accept(stream));
    match cancel.run_until_cancelled(handshake).await {
        // What is encrypted has to be read.
        Some(Ok(Ok(stream))) => return requests(stream, (peer, hops), None, limits, router, cancel).await,
        Some(Ok(Err(error))) => tracing::debug!(%peer, %error, "no TLS with a machine"),
        Some(Err(_)) => tracing::debug!(%peer, "no TLS with a machine: it took too long"),
        None => return End::Stopped,
    }
    End::NoTls
}

async fn requests<S>(
    stream: S,
    (peer, hops): (SocketAddr, HopLimit),
    lane: Option<Lane>,
    limits: ConnectionLimits,
    router: Router,
    cancel: CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let course = Course::default();
    let stream = Patient::new(stream, limits, course.clone());
    let known = course.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let answering = known.request();
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(hops.clone());
        if let Some(lane) = &lane {
            request.extensions_mut().insert(lane.clone());
        }
        let answer = router.clone().oneshot(request);
        async move { answer.await.map(|answer| answer.map(|body| Answered::new(body, answering))) }
    });
    // The stream knows the times, and which of them passed.
    let mut serving = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let result = tokio::select! {
        result = &mut serving => result,
        () = cancel.cancelled() => {
            std::pin::Pin::new(&mut serving).graceful_shutdown();
            (&mut serving).await
        }
    };
    if let Err(error) = &result {
        tracing::debug!(%peer, %error, "a connection of a machine ended");
    }
    match (course.cut_off(), result) {
        (Some(end), _) => end,
        (None, Ok(())) if cancel.is_cancelled() => End::Stopped,
        (None, Ok(())) => End::Closed,
        (None, Err(error)) if error.is_parse() => {
            let rest = serving.into_parts().io.into_inner().take(LINGER_BYTES);
            Box::pin(linger(rest)).await;
            End::Malformed
        }
        (None, Err(_)) => End::Aborted,
    }
}

/// Reads on until the peer has done, too.
async fn linger(mut rest: impl AsyncRead + Unpin) {
    let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

/// Waits for a request's body before anybody works with it, within [`BODY`].
async fn whole_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(head, body)).await;
    }
    let too_large =
        || (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or broke off\n").into_response();
    // Of one that says so itself nothing is waited for.
    if body.size_hint().lower() > WORKER_BODY_BYTES as u64 {
        return too_large();
    }
    match timeout(BODY, to_bytes(body, WORKER_BODY_BYTES)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => too_large(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n").into_response(),
    }
}

/// `/healthz` and `/readyz`, on every listener. Whoever is answered reaches a server whose parts all started.
pub(crate) fn health() -> Router {
    Router::new()
        .route("/healthz", get(|| async { StatusCode::OK }))
        .route("/readyz", get(|| async { StatusCode::OK }))
}

async fn drain(serving: impl Future<Output = std::io::Result<()>>, cancel: CancellationToken) {
    let late = async {
        cancel.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = serving => if let Err(error) = result {
            tracing::error!(%error, "an HTTP listener failed");
        },
        () = late => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending};

    use axum::routing::post;
    use futures_util::stream;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn bounds() -> Connections {
        Connections::new(ConnectionLimits::default())
    }

    async fn answer(body: Body) -> StatusCode {
        let sizes = Router::new().route("/", post(|body: String| async move { body.len().to_string() }));
        let router = sizes.layer(middleware::from_fn(whole_body));
        router.oneshot(Request::post("/").body(body).unwrap()).await.unwrap().status()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_loses_its_connection_and_nobody_else_does() {
        const LARGE: usize = 64 << 20;
        let (listener, address) = bind_machines("http.listen", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let large = Router::new().route("/", get(|| async { vec![7; LARGE] })).merge(health());
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(serve_machines(listener, None, large, bounds(), cancel.clone()));
        let ask = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream
        };
        let mut stopped = ask("/").await;
        stopped.read_exact(&mut [0; 100]).await.unwrap();
        tokio::time::sleep(bounds().limits().stall() + Duration::from_secs(1)).await;
        let mut rest = Vec::new();
        let ended = stopped.read_to_end(&mut rest).await;
        assert!(ended.is_err() || rest.len() < LARGE, "it was let go short of the end");
        for (path, bytes) in [("/", LARGE), ("/healthz", 0)] {
            let mut whole = Vec::new();
            ask(path).await.read_to_end(&mut whole).await.unwrap();
            assert!(whole.starts_with(b"HTTP/1.1 200") && whole.len() >= bytes, "{path}");
        }
        cancel.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_large_is_not_waited_for() {
        let (listener, address) = bind_machines("http.listen", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let router = Router::new().route("/", post(|| async { "read" }));
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(serve_machines(listener, None, router, bounds(), cancel.clone()));
        let start = std::time::Instant::now();
        for (length, begins) in
            [(1 << 30, "HTTP/1.1 413"), (WORKER_BODY_BYTES + 1, "HTTP/1.1 413"), (0, "HTTP/1.1 200")]
        {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(begins), "{length}: {answer}");
        }
        assert!(start.elapsed() < BODY, "{:?}", start.elapsed());
        cancel.cancel();
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_whole_and_in_time_or_not_at_all() {
        let never = stream::once(pending::<Result<&'static str, Infallible>>());
        let drop_by_drop = stream::unfold((), |()| async {
            tokio::time::sleep(BODY / 3).await;
            Some((Ok::<_, Infallible>("x"), ()))
        });
        for (what, body, status) in [
            ("none", Body::empty(), StatusCode::OK),
            ("a whole one", Body::from("hello"), StatusCode::OK),
            ("as large as it may be", Body::from(vec![b' '; WORKER_BODY_BYTES]), StatusCode::OK),
            ("larger", Body::from(vec![b' '; WORKER_BODY_BYTES + 1]), StatusCode::PAYLOAD_TOO_LARGE),
            ("one that never comes", Body::from_stream(never), StatusCode::REQUEST_TIMEOUT),
            ("one that never ends", Body::from_stream(drop_by_drop), StatusCode::REQUEST_TIMEOUT),
        ] {
            assert_eq!(answer(body).await, status, "{what}");
        }
    }
}
