//! `/metrics` on the operators' listener: what each part counts, as Prometheus reads it.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text, registry::Registry};

/// OpenMetrics, which Prometheus asks for first.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where every part of the server registers what it counts.
pub(crate) fn registry() -> Registry {
    Registry::with_prefix("bootcode")
}

/// The route that shows what was registered, as it is when asked.
pub(crate) fn router(registry: Registry) -> Router {
    let registry = Arc::new(registry);
    let show = move || {
        let registry = Arc::clone(&registry);
        async move {
            let mut shown = String::new();
            match text::encode(&mut shown, &registry) {
                Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], shown).into_response(),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    Router::new().route("/metrics", get(show))
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, extract::Request};
    use bootcode_dhcp::DhcpMetrics;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn what_parts_count_is_shown_as_openmetrics() {
        let mut registry = registry();
        DhcpMetrics::default().register(&mut registry);
        let request = Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        let response = router(registry).oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("bootcode_dhcp_received_total 0\n") && text.ends_with("# EOF\n"), "{text}");
    }
}
