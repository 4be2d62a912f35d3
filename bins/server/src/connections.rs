//! Machines' connections: how many there are, and how each of them ended.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::time::Instant;

use crate::config::ConnectionLimits;

/// Between two lines of the log on connections that were refused: whoever floods us does not flood the log.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How a connection ended: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// After a whole answer, or before any request.
    Closed,
    /// The machine went away within a request or an answer.
    Aborted,
    /// What it sent is no HTTP, or has a head that is too large; it was told so.
    Malformed,
    /// The head of a request did not come in time.
    SlowHead,
    /// No further request came.
    Idle,
    /// It took nothing of an answer.
    Stalled,
    /// No TLS came about.
    NoTls,
    /// As many as there may be are open.
    TooMany,
    /// As many as its address may have are open.
    TooManyOfAddress,
    /// The server ends.
    Stopped,
}

impl End {
    const ALL: [Self; 10] = [
        Self::Closed,
        Self::Aborted,
        Self::Malformed,
        Self::SlowHead,
        Self::Idle,
        Self::Stalled,
        Self::NoTls,
        Self::TooMany,
        Self::TooManyOfAddress,
        Self::Stopped,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Aborted => "aborted",
            Self::Malformed => "malformed",
            Self::SlowHead => "slow-head",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::NoTls => "no-tls",
            Self::TooMany => "too-many",
            Self::TooManyOfAddress => "too-many-of-address",
            Self::Stopped => "server-stopped",
        }
    }
}

impl EncodeLabelSet for End {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("reason", self.name()).encode(encoder.encode_label())
    }
}

/// Those of all machines' listeners. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    now: Gauge,
    ended: Family<End, Counter>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    of: HashMap<IpAddr, usize>,
    told: Option<Instant>,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        let ended = Family::<End, Counter>::default();
        // So that a first refusal is a rise, and not a row that was not there.
        for end in End::ALL {
            drop(ended.get_or_create(&end));
        }
        Self(Arc::new(Shared { limits, open: Mutex::default(), now: Gauge::default(), ended }))
    }

    pub(crate) fn limits(&self) -> ConnectionLimits {
        self.0.limits
    }

    /// Adds them to what is exposed, by names that begin with `http_connections`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let http = registry.sub_registry_with_prefix("http");
        http.register("connections", "Connections of machines that are open", self.0.now.clone());
        let help = "Connections of machines that ended or were refused, by reason";
        http.register("connections_ended", help, self.0.ended.clone());
    }

    /// A place for a connection, where there is one; a refusal is counted.
    pub(crate) fn admit(&self, peer: SocketAddr) -> Option<Place> {
        let address = peer.ip().to_canonical();
        let ConnectionLimits { total, per_address, .. } = self.0.limits;
        let mut open = self.open();
        let of_address = open.of.get(&address).copied().unwrap_or_default();
        let refused = if open.total >= total {
            End::TooMany
        } else if per_address.is_some_and(|most| of_address >= most) {
            End::TooManyOfAddress
        } else {
            open.total += 1;
            open.of.insert(address, of_address + 1);
            self.0.now.inc();
            return Some(Place { connections: self.clone(), address, end: End::Stopped });
        };
        let now = Instant::now();
        let tell = open.told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY);
        if tell {
            open.told = Some(now);
        }
        drop(open);
        self.0.ended.get_or_create(&refused).inc();
        if tell {
            tracing::warn!(%peer, reason = refused.name(), "connections of machines are refused: see http.connections and /metrics");
        }
        None
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection; dropped, it is another's, and how the connection ended is counted.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Connections,
    address: IpAddr,
    end: End,
}

impl Place {
    /// It came to this end; one that says nothing was cut off by the server's own.
    pub(crate) fn ended(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.total -= 1;
        if let Some(of_address) = open.of.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.of.remove(&self.address);
            }
        }
        drop(open);
        self.connections.0.now.dec();
        self.connections.0.ended.get_or_create(&self.end).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8, port: u16) -> SocketAddr {
        ([192, 0, 2, last], port).into()
    }

    fn shown(connections: &Connections) -> String {
        let mut registry = Registry::with_prefix("bootcode");
        connections.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[track_caller]
    fn shows(connections: &Connections, rows: &[&str]) {
        let text = shown(connections);
        for row in rows {
            assert!(text.contains(&format!("bootcode_http_connections{row}\n")), "{row}\n{text}");
        }
    }

    #[test]
    fn the_bounds_of_all_and_of_an_address_hold_and_a_place_that_is_left_is_another_s() {
        let limits = ConnectionLimits { total: 3, per_address: Some(2), ..Default::default() };
        let connections = Connections::new(limits);
        let first = connections.admit(peer(1, 1)).unwrap();
        let second = connections.admit(peer(1, 2)).unwrap();
        let mapped = "[::ffff:192.0.2.1]:3".parse().unwrap();
        for again in [peer(1, 3), mapped] {
            assert!(connections.admit(again).is_none(), "{again}: the third of one address");
        }
        let other = connections.admit(peer(2, 1)).unwrap();
        assert!(connections.admit(peer(3, 1)).is_none(), "the fourth of all");
        shows(
            &connections,
            &[" 3", "_ended_total{reason=\"too-many\"} 1", "_ended_total{reason=\"too-many-of-address\"} 2"],
        );
        first.ended(End::Closed);
        let again = connections.admit(peer(1, 4)).unwrap();
        assert!(connections.admit(peer(3, 1)).is_none());
        drop(again);
        second.ended(End::Stalled);
        other.ended(End::Idle);
        assert!(connections.open().of.is_empty(), "nothing is kept of who left");
        let ended = |reason: &str, count: u32| format!("_ended_total{{reason=\"{reason}\"}} {count}");
        let rows = [ended("closed", 1), ended("stalled", 1), ended("idle", 1), ended("server-stopped", 1)];
        shows(&connections, &rows.each_ref().map(String::as_str));
        shows(&connections, &[" 0", "_ended_total{reason=\"too-many\"} 2"]);
    }

    #[test]
    fn an_address_may_have_all_where_nobody_bounds_it_and_each_reason_has_its_row_from_the_start() {
        let connections = Connections::new(ConnectionLimits { total: 50, ..Default::default() });
        let places: Vec<_> = (0..60).filter_map(|port| connections.admit(peer(1, port))).collect();
        assert_eq!(places.len(), 50);
        let text = shown(&connections);
        for end in End::ALL {
            assert!(text.contains(&format!("reason=\"{}\"", end.name())), "{text}");
        }
    }
}
