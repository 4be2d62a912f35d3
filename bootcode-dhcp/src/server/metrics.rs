//! What the server counts, for Prometheus.

use bootcode_core::timeline::Reason;
use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::wire::ReplyType;

/// The counters of one server. Clones share them.
#[derive(Debug, Clone)]
pub struct DhcpMetrics {
    pub(super) received: Counter,
    answered: Family<[(&'static str, &'static str); 1], Counter>,
    offers: Counter,
    acks: Counter,
    naks: Counter,
    ignored: Family<Why, Counter>,
    pub(super) unsent: Counter,
    pub(super) in_flight: Gauge,
    pub(super) seconds: Histogram,
    other_servers: Family<[(&'static str, String); 1], Gauge>,
}

/// The label `reason`: the closed reasons, by the names that the timeline has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Why(Reason);

impl EncodeLabelSet for Why {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        ("reason", self.0.name()).encode(encoder.encode_label())
    }
}

/// Seconds: what comes from memory, what waits for a disk, what waits for somebody.
const SECONDS: [f64; 12] = [25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 5e-3, 10e-3, 50e-3, 100e-3, 0.5, 1.0];

impl Default for DhcpMetrics {
    fn default() -> Self {
        let answered = Family::<[(&str, &str); 1], Counter>::default();
        // Taken out once: a reply counts without a look into the family.
        let of = |kind| answered.get_or_create(&[("type", kind)]).clone();
        Self {
            received: Counter::default(),
            offers: of("offer"),
            acks: of("ack"),
            naks: of("nak"),
            answered,
            ignored: Family::default(),
            unsent: Counter::default(),
            in_flight: Gauge::default(),
            seconds: Histogram::new(SECONDS),
            other_servers: Family::default(),
        }
    }
}

impl DhcpMetrics {
    /// Adds them to what is exposed, by names that begin with `dhcp_`.
    pub fn register(&self, registry: &mut Registry) {
        let dhcp = registry.sub_registry_with_prefix("dhcp");
        dhcp.register("received", "Packets received on ports 67 and 4011", self.received.clone());
        dhcp.register("answered", "Replies sent, by message type", self.answered.clone());
        dhcp.register("ignored", "Packets not answered, by reason", self.ignored.clone());
        dhcp.register("unsent", "Replies that the system did not take", self.unsent.clone());
        dhcp.register("in_flight", "Questions that wait for a source", self.in_flight.clone());
        dhcp.register(
            "seconds",
            "From reading a packet to having answered or queued it",
            self.seconds.clone(),
        );
        dhcp.register(
            "other_servers",
            "Other DHCP servers on the wire of an interface whose Network is authoritative",
            self.other_servers.clone(),
        );
    }

    pub(super) fn answered(&self, kind: ReplyType) {
        match kind {
            ReplyType::Offer => self.offers.inc(),
            ReplyType::Ack => self.acks.inc(),
            ReplyType::Nak => self.naks.inc(),
        };
    }

    pub(super) fn other_servers(&self, interface: &str, count: usize) {
        let _ = self.other_servers.get_or_create(&[("interface", interface.to_owned())]).set(count as i64);
    }

    pub(super) fn ignored(&self, reason: Reason) {
        self.ignored.get_or_create(&Why(reason)).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_name_and_reason() {
        let metrics = DhcpMetrics::default();
        metrics.received.inc();
        metrics.answered(ReplyType::Offer);
        metrics.ignored(Reason::TooMany);
        metrics.ignored(Reason::UnknownMachine);
        metrics.ignored(Reason::UnknownMachine);
        metrics.seconds.observe(30e-6);
        metrics.other_servers("lan0", 2);
        let mut registry = Registry::with_prefix("bootcode");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "bootcode_dhcp_received_total 1\n",
            "bootcode_dhcp_answered_total{type=\"offer\"} 1\n",
            "bootcode_dhcp_answered_total{type=\"nak\"} 0\n",
            "bootcode_dhcp_ignored_total{reason=\"too-many\"} 1\n",
            "bootcode_dhcp_ignored_total{reason=\"unknown-machine\"} 2\n",
            "bootcode_dhcp_other_servers{interface=\"lan0\"} 2\n",
            "bootcode_dhcp_seconds_bucket{le=\"0.000025\"} 0\n",
            "bootcode_dhcp_seconds_bucket{le=\"0.00005\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
