//! The same for programs without an axum application.

use std::{
    convert::Infallible,
    net::SocketAddr,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::{Request, Response},
    routing::future::RouteFuture,
};
use tower::Service;

use crate::{hops::HopLimit, parts::MetadataParts, router::router};

/// All of [`router()`](crate::router()) as it is asked by one connection: a [`tower::Service`] of plain `http` types. What it does not serve is 404.
///
/// ```
/// # use bootcode_metadata::{MetadataParts, MetadataService};
/// use hyper_util::{rt::TokioIo, service::TowerToHyperService};
/// use tokio::net::TcpListener;
///
/// /// A server of nothing but metadata, on hyper.
/// async fn serve(listener: TcpListener, parts: MetadataParts) -> std::io::Result<()> {
///     let service = MetadataService::new(parts);
///     loop {
///         let (stream, peer) = listener.accept().await?;
///         let service = TowerToHyperService::new(service.of(peer));
///         let http = hyper::server::conn::http1::Builder::new();
///         tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MetadataService {
    router: Router,
}

impl MetadataService {
    /// Over these parts.
    #[must_use]
    pub fn new(parts: MetadataParts) -> Self {
        Self { router: router(parts) }
    }

    /// For the requests of one connection, which is from `peer`: who asks is told by that address where no token says it.
    #[must_use]
    pub fn of(&self, peer: SocketAddr) -> PeerService {
        PeerService { router: self.router.clone(), peer, hops: None }
    }
}

/// The service for one connection.
#[derive(Debug, Clone)]
pub struct PeerService {
    router: Router,
    peer: SocketAddr,
    hops: Option<HopLimit>,
}

impl PeerService {
    /// With the hop limit of the connection, which the caller keeps.
    #[must_use]
    pub fn with_hop_limit(self, hops: HopLimit) -> Self {
        Self { hops: Some(hops), ..self }
    }
}

impl<B> Service<Request<B>> for PeerService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        if let Some(hops) = &self.hops {
            request.extensions_mut().insert(hops.clone());
        }
        self.router.call(request)
    }
}
