//! Which addresses a Network's pool has to give: arithmetic, no leases.

use std::{net::Ipv4Addr, sync::Arc};

use bootcode_core::document::Network;

/// The addresses of one Network's pool, without those that belong to something else.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    network: Arc<Network>,
    /// Sorted, without overlap.
    ranges: Vec<(u32, u32)>,
    own: Arc<[Ipv4Addr]>,
    /// The next address that was never given, and the range that it is in.
    next: (usize, u32),
}

impl Pool {
    pub(super) fn new(network: &Arc<Network>, own: &Arc<[Ipv4Addr]>) -> Self {
        let mut ranges: Vec<(u32, u32)> =
            network.spec.pool.iter().map(|range| (range.first.to_bits(), range.last.to_bits())).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
        let start = ranges.first().map_or(0, |(first, _)| *first);
        Self { network: Arc::clone(network), ranges, own: Arc::clone(own), next: (0, start) }
    }

    /// Whether this was made of this very document.
    pub(super) fn is_of(&self, network: &Arc<Network>) -> bool {
        Arc::ptr_eq(&self.network, network)
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// Whether the address may be given to somebody: in the pool, and neither the network's own nor that of a machine that the Network
    /// names: the gateway, relays, servers of names and time, ourselves.
    pub(super) fn holds(&self, ip: Ipv4Addr) -> bool {
        let at = ip.to_bits();
        let spec = &self.network.spec;
        let within = self.ranges.partition_point(|(first, _)| *first <= at);
        within > 0
            && at <= self.ranges[within - 1].1
            && spec.holds(ip)
            && spec.gateway != Some(ip)
            && ![&*self.own, &spec.dhcp.relays, &spec.dns.servers, &spec.ntp]
                .iter()
                .any(|taken| taken.contains(&ip))
    }

    /// Each address of the pool once, in order.
    pub(super) fn next_unused(&mut self) -> Option<Ipv4Addr> {
        loop {
            let (index, at) = self.next;
            let (_, last) = *self.ranges.get(index)?;
            self.next = if at < last {
                (index, at + 1)
            } else {
                (index + 1, self.ranges.get(index + 1).map_or(0, |(first, _)| *first))
            };
            let ip = Ipv4Addr::from_bits(at);
            if self.holds(ip) {
                return Some(ip);
            }
        }
    }
}
