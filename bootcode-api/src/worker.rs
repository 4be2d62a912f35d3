//! The workers' side of the server: HTTP in front of a `WorkflowService`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, header},
    routing::post,
};
use bootcode_core::{
    timeline::Reason,
    unknown::{InventoryService, Standby},
    workflow::{
        Claim, Heartbeat, Hello, HookStart, Inventory, LogChunk, Report, ReportAck, ServiceError, Session,
        WorkflowService,
    },
};

use crate::{
    body::Body,
    limits::WORKER_BODY_BYTES,
    routes::{self, HeartbeatBody, Problem},
};

type Service = Arc<dyn WorkflowService>;
type Answer<T> = Result<Json<T>, Problem>;

/// The routes below `/worker/v1`. Every call but `hello` needs the session's token.
pub fn router(service: Service) -> Router {
    Router::new()
        .route(routes::HELLO, post(hello))
        .route(routes::CLAIM, post(claim))
        .route(routes::REPORT, post(report))
        .route(routes::HEARTBEAT, post(heartbeat))
        .route(routes::HOOK, post(hook))
        .route(routes::LOG, post(log))
        .layer(DefaultBodyLimit::max(WORKER_BODY_BYTES))
        .with_state(service)
}

/// The route of machines that nobody declared, with their own token; no other route takes it.
pub fn inventory_router(service: Arc<dyn InventoryService>) -> Router {
    Router::new()
        .route(routes::INVENTORY, post(inventory))
        .layer(DefaultBodyLimit::max(WORKER_BODY_BYTES))
        .with_state(service)
}

async fn inventory(
    State(service): State<Arc<dyn InventoryService>>,
    headers: HeaderMap,
    Body(body): Body<Inventory>,
) -> Answer<Standby> {
    answer(service.inventory(bearer(&headers)?, body).await)
}

async fn hello(State(service): State<Service>, Body(body): Body<Hello>) -> Answer<Session> {
    answer(service.hello(body).await)
}

async fn claim(State(service): State<Service>, headers: HeaderMap) -> Answer<Claim> {
    answer(service.claim(bearer(&headers)?).await)
}

async fn report(
    State(service): State<Service>,
    headers: HeaderMap,
    Body(body): Body<Report>,
) -> Answer<ReportAck> {
    answer(service.report(bearer(&headers)?, body).await)
}

async fn heartbeat(
    State(service): State<Service>,
    headers: HeaderMap,
    Body(body): Body<HeartbeatBody>,
) -> Answer<Heartbeat> {
    answer(service.heartbeat(bearer(&headers)?, &body.workflow, body.attempt).await)
}

async fn hook(State(service): State<Service>, headers: HeaderMap, Body(body): Body<HookStart>) -> Answer<()> {
    answer(service.hook(bearer(&headers)?, body).await)
}

async fn log(State(service): State<Service>, headers: HeaderMap, Body(body): Body<LogChunk>) -> Answer<u64> {
    answer(service.log(bearer(&headers)?, body).await)
}

fn answer<T>(result: Result<T, ServiceError>) -> Answer<T> {
    result.map(Json).map_err(Problem::from)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Problem::Refused { reason: Reason::BadToken })
}
