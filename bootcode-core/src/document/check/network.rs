//! Networks: their addresses lie inside them, and no two overlap.

use super::{Checker, Spec};
use crate::document::{AddressRange, DhcpMode, DhcpOption, Entry, NetworkSpec, UnknownMachines};

/// A pool, a reservation and a router need some room; a /30 holds two addresses.
const LONGEST_PREFIX: u8 = 30;
/// Seconds; clients renew at half of it, so shorter leases are nothing but traffic.
const SHORTEST_LEASE: u64 = 60;
/// Bytes that every IPv4 host takes (RFC 791 3.1); DHCP's own messages need them.
const SMALLEST_MTU: u16 = 576;

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut all: Vec<(usize, &Entry, &NetworkSpec)> = Vec::new();
    for (place, entry) in checker.entries.clone().into_iter().enumerate() {
        let Some(Spec::Network(spec)) = &entry.spec else { continue };
        alone(checker, entry, spec);
        all.push((place, entry, spec));
    }
    overlaps(checker, all);
}

fn alone(checker: &mut Checker<'_>, entry: &Entry, spec: &NetworkSpec) {
    let cidr = spec.cidr;
    if cidr != cidr.trunc() {
        let message = format!("host bits are set: write {}", cidr.trunc());
        checker.fault(entry, "spec.cidr", message);
    }
    if cidr.prefix_len() > LONGEST_PREFIX {
        let message = format!("{cidr} has no room for machines: use /30 or wider");
        checker.fault(entry, "spec.cidr", message);
    }
    if let Some(gateway) = spec.gateway
        && !spec.holds(gateway)
    {
        checker.fault(entry, "spec.gateway", spec.outside(gateway));
    }
    if spec.lease.as_secs() < SHORTEST_LEASE {
        checker.fault(entry, "spec.lease", format_args!("a lease runs at least {SHORTEST_LEASE}s"));
    }
    let leases = spec.dhcp.mode == DhcpMode::Authoritative;
    if spec.unknown == UnknownMachines::Boot && leases && spec.pool.is_empty() {
        let message = "a machine that nobody declared needs an address to boot from here: give the Network a `pool`, or write `record`";
        checker.fault(entry, "spec.unknown", message);
    }
    if let Some(mtu) = spec.mtu.filter(|mtu| *mtu < SMALLEST_MTU) {
        let message =
            format!("{mtu} bytes are too few: write {SMALLEST_MTU} or more, or leave it out for 1500");
        checker.fault(entry, "spec.mtu", message);
    }
    for (n, route) in spec.routes.iter().enumerate() {
        let path = format!("spec.routes[{n}]");
        if route.to != route.to.trunc() {
            checker.fault(entry, &path, format_args!("host bits are set: write {}", route.to.trunc()));
        } else if route.to.prefix_len() == 0 {
            checker.fault(entry, &path, "the default route is `gateway`");
        }
        if !spec.holds(route.via) {
            checker.fault(entry, &path, spec.outside(route.via));
        }
    }
    if let Some(vlan) = spec.dhcp.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
        checker.fault(entry, "spec.dhcp.vlan", format_args!("{vlan} is no tag of 802.1Q: write 1 to 4094"));
    }
    options(checker, entry, "spec.dhcp.options", &spec.dhcp.options);
    for (field, message) in spec.netboot.faults() {
        checker.fault(entry, &format!("spec.netboot.{field}"), message);
    }
    let mut before: Vec<(usize, &AddressRange)> = Vec::new();
    for (n, range) in spec.pool.iter().enumerate() {
        let path = format!("spec.pool[{n}]");
        for end in [range.first, range.last] {
            if !spec.holds(end) {
                checker.fault(entry, &path, spec.outside(end));
            }
        }
        if let Some(gateway) = spec.gateway.filter(|gateway| range.contains(*gateway)) {
            checker.fault(entry, &path, format_args!("{gateway} in it is the gateway"));
        }
        before.push((n, range));
    }
    before.sort_by_key(|(n, range)| (range.first, *n));
    let mut widest: Option<(usize, &AddressRange)> = None;
    for (n, range) in before {
        let overlapped = widest.filter(|(_, widest)| range.first <= widest.last);
        if let Some((other, wide)) = overlapped {
            let (n, range) = if other > n { (other, wide) } else { (n, range) };
            checker.fault(entry, &format!("spec.pool[{n}]"), format_args!("{range} overlaps a range above"));
        }
        if widest.is_none_or(|(_, widest)| range.last > widest.last) {
            widest = Some((n, range));
        }
    }
}

/// An option is given once in a place; of two the client would see both, joined (RFC 3396).
pub(super) fn options(checker: &mut Checker<'_>, entry: &Entry, path: &str, options: &[DhcpOption]) {
    for (n, option) in options.iter().enumerate() {
        if options[..n].iter().any(|other| other.code == option.code) {
            let message =
                format!("option {} is given twice here: write all that it says at once", option.code);
            checker.fault(entry, &format!("{path}[{n}]"), message);
        }
    }
}

/// Two networks overlap where one contains the other, so in their order each needs to be compared with those that are still open only.
fn overlaps<'a>(checker: &mut Checker<'a>, mut all: Vec<(usize, &'a Entry, &'a NetworkSpec)>) {
    all.sort_by_key(|(place, _, spec)| {
        let cidr = spec.cidr.trunc();
        (cidr.network(), cidr.prefix_len(), *place)
    });
    let mut around: Vec<&(usize, &Entry, &NetworkSpec)> = Vec::new();
    for inner in &all {
        while around.last().is_some_and(|outer| !outer.2.cidr.contains(&inner.2.cidr.trunc().network())) {
            around.pop();
        }
        if let Some(outer) = around.last() {
            // The one that came later is at fault.
            let (first, later) = if outer.0 < inner.0 { (*outer, inner) } else { (inner, *outer) };
            let name = &first.1.document.metadata.name;
            let message = format!("{} overlaps {} of Network `{name}`", later.2.cidr, first.2.cidr);
            checker.fault(later.1, "spec.cidr", message);
        }
        around.push(inner);
    }
}
