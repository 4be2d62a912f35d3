//! The Networks that interfaces are in.

use super::{read, shown, warnings};
use crate::document::{Document, Kind, diff};

fn machine(name: &str, address: &str, rest: &str) -> String {
    let last = address.rsplit('.').next().unwrap();
    format!(
        "---\napiVersion: tinkerbell.org/v1alpha1\nkind: Hardware\nmetadata: {{name: {name}}}\nspec:\n  interfaces:\n    - dhcp: {{mac: 02:00:00:00:00:{last}, ip: {{address: {address}, netmask: 255.255.255.0}}{rest}}}\n"
    )
}

fn lab(cidr: &str) -> String {
    format!(
        "---\napiVersion: bootcode/v1\nkind: Network\nmetadata: {{name: lab}}\nspec: {{cidr: {cidr}, gateway: 10.0.0.1, dns: {{servers: [10.0.0.1]}}}}\n"
    )
}

fn network_of(documents: &[Document], machine: &str) -> String {
    let document = documents.iter().find(|d| d.kind == Kind::Hardware && d.metadata.name == machine);
    document.unwrap().spec["interfaces"][0]["network"].as_str().unwrap().to_owned()
}

#[test]
fn machines_of_one_subnet_share_one_network_and_the_first_name_counts() {
    let a = machine("a", "10.0.0.11", ", name_servers: [1.1.1.1], lease_time: 600");
    let b = machine("b", "10.0.0.12", ", name_servers: [8.8.8.8], domain_name: lab.example");
    let c = machine("c", "10.0.1.13", "");
    let set = read(&format!("{b}{a}{c}"), &[]);
    insta::assert_snapshot!(shown(&set, Kind::Network, "tinkerbell-10.0.0.0-24"), @r#"
    apiVersion: bootcode/v1
    kind: Network
    metadata:
      name: tinkerbell-10.0.0.0-24
      labels:
        derived-from: tinkerbell
    spec:
      cidr: 10.0.0.0/24
      dns:
        servers:
        - "1.1.1.1"
        search:
        - lab.example
      ntp: []
      lease: 10m
      dhcp:
        mode: authoritative
        relays: []
      pool: []
      unknown: ignore
      identity: address
    "#);
    insta::assert_snapshot!(warnings(&set), @"t.yaml:7:102: spec.interfaces[0].dhcp.name_servers: the machines of a network are told the same, and Hardware `a` says another: that counts");
    assert!(set.find(Kind::Network, "tinkerbell-10.0.1.0-24").is_some());
    // One after the other, in any order, comes to the same.
    let together = set.into_documents();
    for order in [[&a, &b, &c], [&c, &b, &a]] {
        let mut stored: Vec<Document> = Vec::new();
        for text in order {
            let set = read(text, &stored);
            assert!(set.obsolete().is_empty());
            stored.retain(|d| set.find(d.kind, &d.metadata.name).is_none());
            stored.extend(set.into_documents());
        }
        let diff = diff(&stored, &together);
        assert!(diff.is_empty(), "{diff:?}");
        assert_eq!(stored.len(), together.len());
    }
}

#[test]
fn a_declared_network_that_contains_the_address_is_taken() {
    let text = format!("{}{}", lab("10.0.0.0/16"), machine("a", "10.0.0.11", ", name_servers: [8.8.8.8]"));
    let set = read(&text, &[]);
    insta::assert_snapshot!(warnings(&set), @r"
    t.yaml:12:72: spec.interfaces[0].dhcp.ip.netmask: Network `lab` says another: that counts
    t.yaml:12:102: spec.interfaces[0].dhcp.name_servers: Network `lab` says another: that counts
    ");
    let documents = set.into_documents();
    assert_eq!(network_of(&documents, "a"), "lab");
    assert_eq!(documents.iter().filter(|d| d.kind == Kind::Network).count(), 1);
    // One that is stored is as good.
    let stored = read(&lab("10.0.0.0/24"), &[]).into_documents();
    let set = read(&machine("a", "10.0.0.11", ""), &stored);
    assert_eq!(network_of(&set.into_documents(), "a"), "lab");
}

#[test]
fn a_network_that_was_derived_goes_when_nobody_is_in_it() {
    let stored = read(&machine("a", "10.0.0.11", ""), &[]).into_documents();
    assert_eq!(network_of(&stored, "a"), "tinkerbell-10.0.0.0-24");
    let moved = read(&machine("a", "10.0.5.11", ""), &stored);
    assert_eq!(moved.obsolete().iter().map(|id| &*id.name).collect::<Vec<_>>(), ["tinkerbell-10.0.0.0-24"]);
    // Declared at last, with the machine: the derived one makes room.
    let declared = read(&format!("{}{}", lab("10.0.0.0/24"), machine("a", "10.0.0.11", "")), &stored);
    assert_eq!(declared.obsolete().len(), 1);
    assert_eq!(network_of(&declared.into_documents(), "a"), "lab");
    // Another document of ours that names it keeps it.
    let ours = "---\napiVersion: bootcode/v1\nkind: Hardware\nmetadata: {name: z}\nspec: {interfaces: [{id: a, mac: 02:00:00:00:00:99, network: tinkerbell-10.0.0.0-24, ip: 10.0.0.99}]}\n";
    let with_ours = read(&format!("{}{ours}", machine("a", "10.0.0.11", "")), &[]).into_documents();
    assert!(read(&machine("a", "10.0.5.11", ""), &with_ours).obsolete().is_empty());
}
