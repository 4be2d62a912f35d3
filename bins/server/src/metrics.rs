//! `/metrics` on the operators' listener: what each part counts, as Prometheus reads it.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use bootcode_core::unknown::UnknownLost;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::counter::ConstCounter,
    registry::Registry,
};

/// OpenMetrics, which Prometheus asks for first.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where every part of the server registers what it counts.
pub(crate) fn registry() -> Registry {
    Registry::with_prefix("bootcode")
}

/// What is lost of machines that nobody declared; zero unless somebody floods, or a hall is larger than what is kept.
#[derive(Debug)]
pub(crate) struct Unknown(pub(crate) UnknownLost);

impl Collector for Unknown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, count) in [
            (
                "unknown_questions_lost",
                "Questions of unknown machines that were not recorded: the queue was full",
                self.0.questions(),
            ),
            (
                "unknown_machines_lost",
                "Unknown machines that are no longer listed: others took their place",
                self.0.machines(),
            ),
        ] {
            let counter = ConstCounter::new(count);
            let descriptor = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(descriptor)?;
        }
        Ok(())
    }
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
        registry.register_collector(Box::new(Unknown(UnknownLost::default())));
        let request = Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        let response = router(registry).oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        for line in [
            "bootcode_dhcp_received_total 0\n",
            "bootcode_unknown_questions_lost_total 0\n",
            "bootcode_unknown_machines_lost_total 0\n",
        ] {
            assert!(text.contains(line) && text.ends_with("# EOF\n"), "{line}{text}");
        }
    }
}
