//! Pages of timelines and logs.

use axum::{
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use bootcode_core::{
    journal::{self, JournalError},
    timeline::timeline_stream,
};
use serde::Deserialize;

use super::OperatorParts;
use crate::{
    limits::{PAGE_BYTES, WAIT},
    routes::{NEXT, Problem},
};

/// Between two looks at a stream that has not grown.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct From {
    from: u64,
    wait: bool,
}

pub(super) async fn timeline(
    State(parts): State<OperatorParts>,
    Path(name): Path<String>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    if parts.snapshot.hardware(&name).is_none() && name != "unknown" {
        return Err(Problem::NotFound { what: format!("Hardware `{name}`") });
    }
    page(&parts, &timeline_stream(&name), &from, "application/x-ndjson").await
}

pub(super) async fn action_log(
    State(parts): State<OperatorParts>,
    Path((name, action, attempt)): Path<(String, String, u32)>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    page(&parts, &journal::action_log(&name, &action, attempt), &from, "text/plain; charset=utf-8").await
}

async fn page(
    parts: &OperatorParts,
    stream: &str,
    from: &From,
    content_type: &'static str,
) -> Result<Response, Problem> {
    let deadline = parts.clock.now() + WAIT;
    let failed = |error: JournalError| Problem::Unavailable { message: error.to_string() };
    loop {
        let bytes = parts.journal.read(stream, from.from, PAGE_BYTES).await.map_err(failed)?;
        let now = parts.clock.now();
        if bytes.is_empty() && from.wait && now < deadline {
            parts.clock.sleep_until(now + LOOK).await;
            continue;
        }
        let next = from.from + bytes.len() as u64;
        let headers = [(header::CONTENT_TYPE.as_str(), content_type.to_owned()), (NEXT, next.to_string())];
        return Ok((headers, bytes).into_response());
    }
}
