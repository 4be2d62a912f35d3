//! What the server counts, for Prometheus.

use bootcode_core::timeline::Reason;
use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Sender;

/// The counters of one server. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct TftpMetrics {
    transfers: Family<End, Counter>,
    bytes: Counter,
    blocks: Counter,
    resent: Counter,
    pub(super) in_progress: Gauge,
    pub(super) stray: Counter,
}

/// How a request ended. The outcome is the label `outcome`, what it carries the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// The last block was acknowledged.
    Finished,
    /// The client only wanted the size.
    Probed,
    /// The same port asked for something else.
    Replaced,
    /// It ended early.
    Aborted(Reason),
    /// It was answered with an error, or not at all.
    Refused(Reason),
}

impl EncodeLabelSet for End {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        let (outcome, reason) = match self {
            Self::Finished => ("finished", String::new()),
            Self::Probed => ("probed", String::new()),
            Self::Replaced => ("replaced", String::new()),
            Self::Aborted(reason) => ("aborted", reason.name()),
            Self::Refused(reason) => ("refused", reason.name()),
        };
        ("outcome", outcome).encode(encoder.encode_label())?;
        ("reason", reason).encode(encoder.encode_label())
    }
}

impl TftpMetrics {
    /// Adds them to what is exposed, by names that begin with `tftp_`.
    pub fn register(&self, registry: &mut Registry) {
        let tftp = registry.sub_registry_with_prefix("tftp");
        tftp.register("transfers", "Requests that ended, by outcome and reason", self.transfers.clone());
        tftp.register("bytes", "Bytes of files that clients acknowledged", self.bytes.clone());
        tftp.register("blocks", "Blocks sent for the first time", self.blocks.clone());
        tftp.register("resent", "Blocks and option acknowledgements sent again", self.resent.clone());
        tftp.register("in_progress", "Requests that are being answered", self.in_progress.clone());
        tftp.register("stray", "Packets of no transfer that are no request", self.stray.clone());
    }

    pub(super) fn ended(&self, end: End) {
        self.transfers.get_or_create(&end).inc();
    }

    /// Counts what a transfer sent, once it has ended.
    pub(super) fn sent(&self, sender: &Sender) {
        self.bytes.inc_by(sender.delivered());
        self.blocks.inc_by(sender.sent());
        self.resent.inc_by(sender.resent());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_name_outcome_and_reason() {
        let metrics = TftpMetrics::default();
        metrics.ended(End::Finished);
        metrics.ended(End::Aborted(Reason::ShuttingDown));
        metrics.ended(End::Refused(Reason::TooMany));
        metrics.ended(End::Refused(Reason::TooMany));
        let mut registry = Registry::with_prefix("bootcode");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "bootcode_tftp_transfers_total{outcome=\"finished\",reason=\"\"} 1\n",
            "bootcode_tftp_transfers_total{outcome=\"aborted\",reason=\"shutting-down\"} 1\n",
            "bootcode_tftp_transfers_total{outcome=\"refused\",reason=\"too-many\"} 2\n",
            "bootcode_tftp_bytes_total 0\n",
            "bootcode_tftp_in_progress 0\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
