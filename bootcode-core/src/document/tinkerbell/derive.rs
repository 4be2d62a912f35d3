//! The Network of a subnet that machines of Tinkerbell's are in and that nobody declared.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::claim::Claim;
use crate::document::{API_VERSION, Dhcp, DhcpMode, Dns, Document, Kind, Metadata, NetworkSpec};

/// Marks a Network that was derived: it goes when no machine is in it any more.
const LABEL: (&str, &str) = ("derived-from", "tinkerbell");
/// What Tinkerbell leases for where nothing is written.
const LEASE_S: u32 = 86_400;

/// A machine's interface in the subnet.
pub(super) struct Member<'a> {
    /// The machine.
    pub(super) machine: &'a str,
    /// What it says.
    pub(super) claim: &'a Claim,
    /// Which of the documents that are read it is; `None`: it is stored.
    pub(super) entry: Option<usize>,
}

/// What a member says and what does not count, as another said it otherwise.
pub(super) struct Dissent {
    pub(super) entry: usize,
    pub(super) path: String,
    pub(super) message: String,
}

/// `tinkerbell-192.168.56.0-24`: made of the subnet alone, so each subnet has one, always the same.
pub(super) fn name_of(network: Ipv4Net) -> String {
    format!("tinkerbell-{}-{}", network.network(), network.prefix_len())
}

/// Whether a Network was derived, and not written by somebody.
pub(in crate::document) fn is_derived(document: &Document) -> bool {
    let cidr = document.spec.get("cidr").and_then(Value::as_str).and_then(|cidr| cidr.parse().ok());
    document.kind == Kind::Network
        && document.metadata.labels.get(LABEL.0).is_some_and(|from| from == LABEL.1)
        && cidr.is_some_and(|cidr: Ipv4Net| name_of(cidr) == document.metadata.name)
}

/// The Network of these members, whoever was read first: of those that say something, the first by the machines' names counts.
pub(super) fn derive(network: Ipv4Net, members: &mut [Member<'_>]) -> (Document, NetworkSpec, Vec<Dissent>) {
    members.sort_by_key(|member| (member.machine, member.claim.interface));
    let mut dissents = Vec::new();
    let gateway = agree(members, "ip.gateway", |claim| claim.gateway, &mut dissents);
    let some = |list: &Vec<Ipv4Addr>| (!list.is_empty()).then(|| list.clone());
    let servers = agree(members, "name_servers", |claim| some(&claim.servers), &mut dissents);
    let ntp = agree(members, "time_servers", |claim| some(&claim.ntp), &mut dissents);
    let search = agree(
        members,
        "domain_name",
        |claim| (!claim.search.is_empty()).then(|| claim.search.clone()),
        &mut dissents,
    );
    let lease_s = agree(members, "lease_time", |claim| claim.lease_s, &mut dissents);
    let spec = NetworkSpec {
        gateway,
        dns: Dns { servers: servers.unwrap_or_default(), search: search.unwrap_or_default() },
        ntp: ntp.unwrap_or_default(),
        lease: Duration::from_secs(lease_s.unwrap_or(LEASE_S).into()),
        // As Tinkerbell answers where nothing is configured: those that have a Hardware, and nobody else.
        dhcp: Dhcp { mode: DhcpMode::Authoritative, ..Dhcp::default() },
        ..NetworkSpec::new(network)
    };
    // Made of plain types, so this cannot fail; were it to, the check would find a Network without its fields.
    let mut value = serde_json::to_value(&spec).unwrap_or_else(|_| json!({}));
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
    }
    let labels = BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())]);
    let metadata = Metadata { name: name_of(network), labels };
    let document =
        Document { api_version: API_VERSION.to_owned(), kind: Kind::Network, metadata, spec: value };
    (document, spec, dissents)
}

fn agree<T: PartialEq>(
    members: &[Member<'_>],
    field: &str,
    says: impl Fn(&Claim) -> Option<T>,
    dissents: &mut Vec<Dissent>,
) -> Option<T> {
    let mut said = members.iter().filter_map(|member| Some((member, says(member.claim)?)));
    let (first, counts) = said.next()?;
    for (member, _) in said.filter(|(_, other)| *other != counts) {
        let Some(entry) = member.entry else { continue };
        let message = format!(
            "the machines of a network are told the same, and Hardware `{}` says another: that counts",
            first.machine
        );
        dissents.push(Dissent { entry, path: format!("{}.{field}", member.claim.path), message });
    }
    Some(counts)
}
