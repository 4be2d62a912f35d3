//! Bonds and VLANs.

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};

use super::{Checker, Kind, unique::Unique};
use crate::document::{Entry, HardwareSpec, Links};

/// Linux's IFNAMSIZ less the zero at the end.
const NAME_BYTES: usize = 15;

pub(super) fn check<'a>(
    checker: &mut Checker<'_>,
    entry: &'a Entry,
    spec: &HardwareSpec,
    ips: &mut Unique<'a, Ipv4Addr>,
) {
    let Some(links) = &spec.links else { return };
    names(checker, entry, spec, links);
    bonds(checker, entry, spec, links);
    let bonded: HashSet<&str> =
        links.bonds.iter().flat_map(|bond| &bond.interfaces).map(String::as_str).collect();
    let mut tags = HashSet::new();
    for (n, vlan) in links.vlans.iter().enumerate() {
        let path = format!("spec.links.vlans[{n}]");
        let link = vlan.link.as_str();
        let below = spec.interfaces.iter().any(|interface| interface.id == link)
            || links.bonds.iter().any(|bond| bond.id == link);
        if !below {
            let message = format!("`{link}` is no interface or bond of this machine");
            checker.fault(entry, &format!("{path}.link"), message);
        } else if bonded.contains(link) {
            let message = format!("`{link}` is in a bond: put the VLAN on the bond");
            checker.fault(entry, &format!("{path}.link"), message);
        }
        if !(1..=4094).contains(&vlan.vlan) {
            checker.fault(entry, &format!("{path}.vlan"), "a VLAN has a number from 1 to 4094");
        } else if !tags.insert((link, vlan.vlan)) {
            let message = format!("VLAN {} is on `{link}` already", vlan.vlan);
            checker.fault(entry, &format!("{path}.vlan"), message);
        }
        if let Some(ip) = vlan.ip {
            ips.claim(checker, entry, &format!("{path}.ip"), ip);
        }
        let Some(name) = &vlan.network else {
            if vlan.ip.is_some() {
                checker.fault(entry, &path, "an `ip` needs its `network`");
            }
            continue;
        };
        if checker.reference(entry, &format!("{path}.network"), Kind::Network, name).is_none() {
            continue;
        }
        if let (Some(network), Some(ip)) = (checker.network(name), vlan.ip)
            && !network.holds(ip)
        {
            checker.fault(entry, &format!("{path}.ip"), network.outside(ip));
        }
    }
}

/// Bonds and VLANs are interfaces of the installed system, by these names.
fn names(checker: &mut Checker<'_>, entry: &Entry, spec: &HardwareSpec, links: &Links) {
    let mut seen: HashSet<&str> = spec.interfaces.iter().map(|interface| interface.id.as_str()).collect();
    let bonds = links.bonds.iter().enumerate().map(|(n, bond)| ("bonds", n, &bond.id));
    let vlans = links.vlans.iter().enumerate().map(|(n, vlan)| ("vlans", n, &vlan.id));
    for (list, n, id) in bonds.chain(vlans) {
        let path = format!("spec.links.{list}[{n}].id");
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=NAME_BYTES).contains(&id.len()) || !id.bytes().all(good) {
            let message = "a name of 1 to 15 letters, digits, `-`, `_` and `.`: Linux has no longer ones";
            checker.fault(entry, &path, message);
        } else if !seen.insert(id) {
            checker.fault(entry, &path, format_args!("two interfaces are called `{id}`"));
        }
    }
}

fn bonds(checker: &mut Checker<'_>, entry: &Entry, spec: &HardwareSpec, links: &Links) {
    let mut owners = HashMap::new();
    for (n, bond) in links.bonds.iter().enumerate() {
        let path = format!("spec.links.bonds[{n}].interfaces");
        if bond.interfaces.is_empty() {
            checker.fault(entry, &path, "a bond needs its interfaces");
        }
        let mut reserved = 0;
        for (m, id) in bond.interfaces.iter().enumerate() {
            let path = format!("{path}[{m}]");
            match spec.interfaces.iter().find(|interface| interface.id == id.as_str()) {
                None => {
                    checker.fault(entry, &path, format_args!("`{id}` is no interface of this machine"));
                }
                Some(interface) => reserved += usize::from(interface.ip.is_some()),
            }
            if let Some(owner) = owners.insert(id.as_str(), bond.id.as_str()) {
                checker.fault(entry, &path, format_args!("`{id}` is in the bond `{owner}` already"));
            }
        }
        if reserved > 1 {
            let message = "a bond has one address: more than one of its interfaces has an `ip`";
            checker.fault(entry, &path, message);
        }
    }
}
