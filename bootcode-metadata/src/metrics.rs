//! What the service counts, for Prometheus.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use bootcode_core::timeline::Reason;
use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The counters of one service. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MetadataMetrics {
    requests: Family<End, Counter>,
    in_progress: Gauge,
}

/// How a request of a form ended: the labels `form`, `outcome` and `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct End {
    form: &'static str,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    Answered,
    /// It was the machine's fault, or nobody's.
    Refused(Reason),
    /// It was ours.
    Failed(Reason),
}

impl EncodeLabelSet for End {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        let (outcome, reason) = match self.outcome {
            Outcome::Answered => ("answered", String::new()),
            Outcome::Refused(reason) => ("refused", reason.name()),
            Outcome::Failed(reason) => ("failed", reason.name()),
        };
        ("form", self.form).encode(encoder.encode_label())?;
        ("outcome", outcome).encode(encoder.encode_label())?;
        ("reason", reason).encode(encoder.encode_label())
    }
}

impl MetadataMetrics {
    /// Adds them to what is exposed, by names that begin with `metadata_`.
    pub fn register(&self, registry: &mut Registry) {
        let metadata = registry.sub_registry_with_prefix("metadata");
        metadata.register(
            "requests",
            "Requests of machines that were answered or refused, by form, outcome and reason",
            self.requests.clone(),
        );
        metadata.register(
            "in_progress",
            "Requests that are being answered, those that wait for a change among them",
            self.in_progress.clone(),
        );
    }

    fn ended(&self, form: &'static str, status: StatusCode, reason: Option<Reason>) {
        let outcome = if status.is_server_error() {
            Outcome::Failed(reason.unwrap_or(Reason::ReadFailed))
        } else if status.is_client_error() {
            // What no handler of ours saw: a method or a query that the route does not have, a body that is too long.
            Outcome::Refused(reason.unwrap_or(Reason::IllegalRequest))
        } else {
            Outcome::Answered
        };
        self.requests.get_or_create(&End { form, outcome }).inc();
    }
}

/// Counted as long as it is there, also where whoever asked is gone before the answer.
struct InProgress(Gauge);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts what goes through. A refusal carries its reason as an extension of the response.
pub(crate) async fn count(State(metrics): State<MetadataMetrics>, request: Request, next: Next) -> Response {
    let form = form(request.uri().path());
    metrics.in_progress.inc();
    let in_progress = InProgress(metrics.in_progress.clone());
    let response = next.run(request).await;
    drop(in_progress);
    metrics.ended(form, response.status(), response.extensions().get::<Reason>().copied());
    response
}

/// The form that a route speaks. Only known routes come here, so that nothing that a machine makes up becomes a label.
fn form(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("metadata") => "json",
        Some("nocloud") => "nocloud",
        Some("openstack") => "openstack",
        Some("ignition") => "ignition",
        Some("install") => "install",
        Some("phone-home") => "phone-home",
        _ => "ec2",
    }
}
