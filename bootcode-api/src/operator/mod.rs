//! The operators' side of the server: documents, workflows' commands, logs and timelines.

mod documents;
mod preview;
mod streams;
mod unknown;
mod watch;

use std::sync::Arc;

use axum::{
    Router,
    body::HttpBody as _,
    extract::{DefaultBodyLimit, Request},
    http::HeaderValue,
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use bootcode_core::{
    apply::Applier, clock::Clock, engine::Engine, journal::Journal, preview::BootPreview, snapshot::Snapshot,
    source::HardwareSource, store::Store,
};

use crate::{
    limits::OPERATOR_BODY_BYTES,
    routes::{self, Problem},
};

/// What the operators' API is made of.
#[derive(Clone)]
pub struct OperatorParts {
    /// Documents.
    pub store: Arc<dyn Store>,
    /// Applies documents.
    pub applier: Arc<Applier>,
    /// Workflows.
    pub engine: Arc<Engine>,
    /// Logs and timelines.
    pub journal: Arc<dyn Journal>,
    /// What the data plane knows: an answer to `apply` leaves when it knows, too.
    pub snapshot: Arc<Snapshot>,
    /// Whose machines are no unknown ones.
    pub hardware: Arc<dyn HardwareSource>,
    /// Says what a client would be told; `None` where no DHCP server is at hand.
    pub preview: Option<Arc<dyn BootPreview>>,
    /// The time, for waiting.
    pub clock: Arc<dyn Clock>,
}

/// The routes below `/api/v1`. Who may reach this listener is an operator: it asks for nothing more.
pub fn router(parts: OperatorParts) -> Router {
    Router::new()
        .route(routes::APPLY, post(documents::apply))
        .route(routes::DIFF, post(documents::diff))
        .route(routes::PREVIEW_BOOT, post(preview::boot))
        .route(routes::WATCH, get(watch::watch))
        .route(routes::UNKNOWN, get(unknown::list))
        .route(routes::UNKNOWN_ONE, get(unknown::one))
        .route(routes::LIST, get(documents::list))
        .route(routes::ONE, get(documents::one).delete(documents::delete))
        .route(routes::COMMAND, post(documents::command))
        .route(routes::TIMELINE, get(streams::timeline))
        .route(routes::ACTION_LOG, get(streams::action_log))
        .fallback(documents::none)
        .layer(DefaultBodyLimit::max(OPERATOR_BODY_BYTES))
        .layer(middleware::from_fn(bounded))
        .layer(middleware::map_response(with_version))
        .with_state(parts)
}

/// A body that says itself that it is too large is not waited for.
async fn bounded(request: Request, next: Next) -> Result<Response, Problem> {
    let bytes = request.body().size_hint().lower();
    if bytes > OPERATOR_BODY_BYTES as u64 {
        let message = format!(
            "the request has {bytes} bytes, more than the {OPERATOR_BODY_BYTES} that are taken at once: send it in parts"
        );
        return Err(Problem::Malformed { status: 413, message });
    }
    Ok(next.run(request).await)
}

/// A client that does not understand an answer can say whose fault that is.
async fn with_version(mut response: Response) -> Response {
    response.headers_mut().insert(routes::VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    response
}
