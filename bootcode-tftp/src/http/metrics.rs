//! What is counted of HTTP, for Prometheus.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bootcode_core::timeline::Reason;
use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The counters of files and images over HTTP. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct HttpMetrics(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: Family<Request, Counter>,
    bytes: Family<Kind, Counter>,
    in_progress: Gauge,
    waiting: Gauge,
    waited: Counter<f64, AtomicU64>,
}

/// What is asked for: the label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// What boot programs read: iPXE scripts, boot loaders' configuration.
    Script,
    /// Boot programs, OSIE's kernel and initramfs.
    Boot,
    /// Any other file.
    File,
    /// A manifest of the registry.
    #[cfg(feature = "registry")]
    Manifest,
    /// A layer, or whatever else the registry has by digest.
    #[cfg(feature = "registry")]
    Blob,
}

/// How a request ended: the label `outcome`, and what it carries the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// All bytes of the file were handed to the connection.
    Finished,
    /// All bytes of the ranges that were asked for.
    Partial,
    /// HEAD.
    Probed,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    RangeNotSatisfiable,
    /// Answered with an error.
    Refused(Reason),
    /// The body ended early.
    Aborted(Reason),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Request {
    kind: Kind,
    end: End,
}

impl Kind {
    /// Of a file, by the first part of its name as the server lays them out, and otherwise by its ending.
    pub(super) fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        match (name.split_once('/').map(|(first, _)| first), ending) {
            (Some("files"), _) => Self::File,
            (_, Some("ipxe" | "cfg")) => Self::Script,
            _ if name.starts_with("ipxe/script/") || name.starts_with("pxelinux.cfg/") => Self::Script,
            (Some("ipxe" | "osie"), _) | (_, Some("efi")) => Self::Boot,
            _ => Self::File,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Boot => "boot",
            Self::File => "file",
            #[cfg(feature = "registry")]
            Self::Manifest => "manifest",
            #[cfg(feature = "registry")]
            Self::Blob => "blob",
        }
    }
}

impl EncodeLabelSet for Kind {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("kind", self.name()).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for Request {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (outcome, reason) = match self.end {
            End::Finished => ("finished", String::new()),
            End::Partial => ("partial", String::new()),
            End::Probed => ("probed", String::new()),
            End::NotModified => ("not-modified", String::new()),
            End::PreconditionFailed => ("precondition-failed", String::new()),
            End::RangeNotSatisfiable => ("range-not-satisfiable", String::new()),
            End::Refused(reason) => ("refused", reason.name()),
            End::Aborted(reason) => ("aborted", reason.name()),
        };
        self.kind.encode(encoder)?;
        ("outcome", outcome).encode(encoder.encode_label())?;
        ("reason", reason).encode(encoder.encode_label())
    }
}

impl HttpMetrics {
    /// Adds them to what is exposed, by names that begin with `http_`.
    pub fn register(&self, registry: &mut Registry) {
        let http = registry.sub_registry_with_prefix("http");
        let counts = &self.0;
        http.register(
            "requests",
            "Requests that ended, by what was asked for, outcome and reason",
            counts.requests.clone(),
        );
        http.register("bytes", "Bytes of files handed to connections", counts.bytes.clone());
        http.register("in_progress", "Bodies that are being sent or wait", counts.in_progress.clone());
        http.register("waiting", "Large downloads that wait for their turn", counts.waiting.clone());
        let help = "Time that large downloads waited for their turn";
        http.register("waited_seconds", help, counts.waited.clone());
    }

    pub(crate) fn ended(&self, kind: Kind, end: End) {
        self.0.requests.get_or_create(&Request { kind, end }).inc();
    }

    pub(super) fn begun(&self) {
        self.0.in_progress.inc();
    }

    pub(super) fn sent(&self, kind: Kind, bytes: u64) {
        self.0.bytes.get_or_create(&kind).inc_by(bytes);
    }

    /// A body ended.
    pub(super) fn done(&self, kind: Kind, end: End) {
        self.0.in_progress.dec();
        self.ended(kind, end);
    }

    pub(super) fn waits(&self) {
        self.0.waiting.inc();
    }

    /// A wait ended: its turn came, or its client went away.
    pub(super) fn waited(&self, time: Duration) {
        self.0.waiting.dec();
        self.0.waited.inc_by(time.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_of_the_kind_that_its_place_says() {
        for (name, kind) in [
            ("auto.ipxe", Kind::Script),
            ("ipxe/script/52:54:00:00:00:01/auto.ipxe", Kind::Script),
            ("pxelinux.cfg/01-52-54-00-00-00-01", Kind::Script),
            ("grub.cfg", Kind::Script),
            ("ipxe/binary/snponly.efi", Kind::Boot),
            ("ipxe/binary/undionly.kpxe", Kind::Boot),
            ("ipxe/binary/autoexec.ipxe", Kind::Script),
            ("osie/vmlinuz-x86_64", Kind::Boot),
            ("files/debian.raw.zst", Kind::File),
            ("files/kickstart.cfg", Kind::File),
            ("shim.efi", Kind::Boot),
            ("favicon", Kind::File),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn each_count_has_its_name_kind_outcome_and_reason() {
        let metrics = HttpMetrics::default();
        metrics.ended(Kind::Script, End::Refused(Reason::NoBootSession));
        metrics.begun();
        metrics.sent(Kind::Boot, 5);
        metrics.waits();
        metrics.waited(Duration::from_millis(1500));
        metrics.waits();
        metrics.done(Kind::Boot, End::Finished);
        metrics.begun();
        let mut registry = Registry::with_prefix("bootcode");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "bootcode_http_requests_total{kind=\"script\",outcome=\"refused\",reason=\"no-boot-session\"} 1\n",
            "bootcode_http_requests_total{kind=\"boot\",outcome=\"finished\",reason=\"\"} 1\n",
            "bootcode_http_bytes_total{kind=\"boot\"} 5\n",
            "bootcode_http_in_progress 1\n",
            "bootcode_http_waiting 1\n",
            "bootcode_http_waited_seconds_total 1.5\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
