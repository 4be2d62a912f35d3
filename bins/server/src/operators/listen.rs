//! The operators' listeners by TCP: with TLS, and plain on the loopback.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{tokens::Tokens, who};
use crate::{
    config::Config,
    data::DataDir,
    error::ServerError,
    tls::{Audience, Identity},
};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take, and the pause before it on a connection that is kept.
const HEAD: Duration = Duration::from_secs(30);
/// Connections at once, of each listener: operators and their tools are few, and a watch of each is one.
const CONNECTIONS: usize = 256;
/// How long accepting rests after a failure, which is the lack of something.
const REST: Duration = Duration::from_millis(100);
/// How long open requests may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// The listeners that the configuration asks for.
pub(crate) struct Listeners {
    bound: Vec<Bound>,
    tokens: Tokens,
}

struct Bound {
    listener: TcpListener,
    /// None on the loopback.
    identity: Option<Arc<Identity>>,
}

impl Listeners {
    /// Opens them, so that a wrong certificate or a taken port is told at the start.
    ///
    /// # Errors
    /// [`ServerError::Listen`] and [`ServerError::Path`].
    pub(crate) async fn bind(config: &Config, data: &DataDir) -> Result<Self, ServerError> {
        let mut bound = Vec::new();
        if let Some(address) = config.api.loopback {
            bound.push(Bound { listener: bind("api.loopback", address).await?, identity: None });
        }
        if let Some(tls) = &config.api.tls {
            let (certificate, key) = (tls.certificate.as_deref(), tls.key.as_deref());
            let identity = Identity::open(Audience::Operators, certificate, key, data)?;
            bound.push(Bound {
                listener: bind("api.tls.listen", tls.listen).await?,
                identity: Some(Arc::new(identity)),
            });
        }
        let tokens = Tokens::new(data.clone());
        // Told at the start, too: a damaged file would keep everybody out.
        if !bound.is_empty() && tokens.list()?.is_empty() {
            tracing::warn!("no operator has a token yet: make one with `bootcode-server token add NAME`");
        }
        Ok(Self { bound, tokens })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    /// Serves the bearers of tokens until cancelled.
    pub(crate) async fn serve(self, router: Router, cancel: CancellationToken) {
        let router = router.layer(middleware::from_fn_with_state(self.tokens, who::of_operators));
        let mut listeners = JoinSet::new();
        for Bound { listener, identity } in self.bound {
            tracing::info!(address = ?listener.local_addr().ok(), tls = identity.is_some(), "operators with tokens are served");
            listeners.spawn(accept(listener, identity, router.clone(), cancel.clone()));
        }
        while listeners.join_next().await.is_some() {}
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { key, address, source })
}

async fn accept(
    listener: TcpListener,
    identity: Option<Arc<Identity>>,
    router: Router,
    cancel: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) if connections.len() < CONNECTIONS => {
                connections.spawn(connection(stream, peer, identity.clone(), router.clone(), cancel.clone()));
            }
            Ok((_, peer)) => {
                tracing::warn!(%peer, CONNECTIONS, "an operator is refused: too many connections are open")
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of an operator cannot be accepted");
                cancel.run_until_cancelled(tokio::time::sleep(REST)).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    identity: Option<Arc<Identity>>,
    router: Router,
    cancel: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let Some(identity) = identity else { return requests(stream, peer, router, cancel).await };
    match timeout(HANDSHAKE, identity.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, peer, router, cancel).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS with an operator"),
        Err(_) => tracing::debug!(%peer, "no TLS with an operator: it took too long"),
    }
}

async fn requests<S>(stream: S, peer: SocketAddr, router: Router, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "a connection of an operator ended");
    }
}
