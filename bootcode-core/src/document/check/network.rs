//! Networks: their addresses lie inside them, and no two overlap.

use super::{Checker, Spec};
use crate::document::{Entry, NetworkSpec};

/// A pool, a reservation and a router need some room; a /30 holds two addresses.
const LONGEST_PREFIX: u8 = 30;
/// Seconds; clients renew at half of it, so shorter leases are nothing but traffic.
const SHORTEST_LEASE: u64 = 60;

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut seen: Vec<(&Entry, &NetworkSpec)> = Vec::new();
    for entry in checker.entries.clone() {
        let Some(Spec::Network(spec)) = &entry.spec else { continue };
        let cidr = spec.cidr;
        if cidr != cidr.trunc() {
            let message = format!("host bits are set: write {}", cidr.trunc());
            checker.fault(entry, "spec.cidr", message);
        }
        if cidr.prefix_len() > LONGEST_PREFIX {
            checker.fault(
                entry,
                "spec.cidr",
                format_args!("{cidr} has no room for machines: use /30 or wider"),
            );
        }
        if let Some(gateway) = spec.gateway
            && !spec.holds(gateway)
        {
            checker.fault(entry, "spec.gateway", spec.outside(gateway));
        }
        if spec.lease.as_secs() < SHORTEST_LEASE {
            checker.fault(entry, "spec.lease", format_args!("a lease runs at least {SHORTEST_LEASE}s"));
        }
        for (n, range) in spec.pool.iter().enumerate() {
            let path = format!("spec.pool[{n}]");
            for end in [range.first, range.last] {
                if !spec.holds(end) {
                    checker.fault(entry, &path, spec.outside(end));
                }
            }
            if spec.pool[..n].iter().any(|other| other.first <= range.last && range.first <= other.last) {
                checker.fault(entry, &path, format_args!("{range} overlaps a range above"));
            }
        }
        for (other, other_spec) in &seen {
            let theirs = other_spec.cidr.trunc();
            if theirs.contains(&cidr.trunc()) || cidr.trunc().contains(&theirs) {
                let name = &other.document.metadata.name;
                let message = format!("{cidr} overlaps {} of Network `{name}`", other_spec.cidr);
                checker.fault(entry, "spec.cidr", message);
            }
        }
        seen.push((entry, spec));
    }
}
