//! The listeners of machines and of operators. They share no socket.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::error::ServerError;

/// How long open requests may take to end when the server stops; waiting claims are cut off after it.
const DRAIN: Duration = Duration::from_secs(2);

/// Opens the machines' port, and says which it is where the configuration leaves that to the system.
///
/// # Errors
/// [`ServerError::Http`].
pub(crate) async fn bind_machines(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Http { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The operators' socket, removed at the end.
#[derive(Debug)]
pub(crate) struct OperatorSocket {
    listener: UnixListener,
    path: PathBuf,
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
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(OperatorSocket { listener, path: path.to_owned() })
}

impl OperatorSocket {
    /// Serves until cancelled.
    pub(crate) async fn serve(self, router: Router, cancel: CancellationToken) {
        let stop = cancel.clone().cancelled_owned();
        let serving = axum::serve(self.listener, router.into_make_service()).with_graceful_shutdown(stop);
        drain(serving.into_future(), cancel).await;
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves machines until cancelled.
pub(crate) async fn serve_machines(listener: TcpListener, router: Router, cancel: CancellationToken) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(cancel.clone().cancelled_owned());
    drain(serving.into_future(), cancel).await;
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
