//! What is settled once all documents are known: the Networks that interfaces are in, and the machines that Workflows mean.

use std::collections::{BTreeMap, HashSet};

use ipnet::Ipv4Net;
use serde_json::Value;

use super::{
    Theirs,
    claim::Claim,
    derive::{Member, derive, is_derived, name_of},
    paths::Paths,
    reading::Reading,
    types,
};
use crate::{
    document::{
        Catalog, Document, DocumentSet, Hardware, Id, Kind, NetworkSpec,
        set::{Entry, Spec},
    },
    limits::WARNINGS,
    template::TAKEN_NAMES,
    yaml::{Fault, Faults, Node},
};

/// Settles what the documents of Tinkerbell's in `set` leave open, with regard to what is stored.
pub(in crate::document) fn adopt(set: &mut DocumentSet, existing: &[Document]) -> Faults {
    let mut faults = Faults::default();
    let has_theirs = set.entries.iter().any(|entry| entry.theirs.is_some());
    if !has_theirs && !existing.iter().any(is_derived) {
        return faults;
    }
    let written: HashSet<(Kind, String)> =
        set.documents().map(|d| (d.kind, d.metadata.name.clone())).collect();
    let kept = |d: &&Document| !written.contains(&(d.kind, d.metadata.name.clone()));
    let stored: Vec<&Document> = existing.iter().filter(kept).collect();
    let subnets = place_interfaces(set, &stored, &mut faults);
    for (network, claims) in subnets {
        add_network(set, network, &claims, &stored, &mut faults);
    }
    let used: HashSet<&str> = set
        .documents()
        .chain(stored.iter().copied())
        .filter(|document| document.kind == Kind::Hardware)
        .flat_map(networks_of)
        .collect();
    let obsolete = stored.iter().filter(|document| is_derived(document)).filter(|document| {
        let name = document.metadata.name.as_str();
        !used.contains(name) && set.find(Kind::Network, name).is_none()
    });
    set.obsolete =
        obsolete.map(|document| Id { kind: Kind::Network, name: document.metadata.name.clone() }).collect();
    settle_workflows(set, &stored, &mut faults);
    faults
}

/// The interfaces that are in no declared Network, by their subnets: which document, and what it says.
type Subnets = BTreeMap<Ipv4Net, Vec<(usize, Claim)>>;

fn place_interfaces(set: &mut DocumentSet, stored: &[&Document], faults: &mut Faults) -> Subnets {
    let declared: Vec<(String, NetworkSpec)> = set
        .documents()
        .chain(stored.iter().copied().filter(|document| !is_derived(document)))
        .filter(|document| document.kind == Kind::Network)
        .filter_map(|document| {
            let spec = serde_json::from_value(document.spec.clone()).ok()?;
            Some((document.metadata.name.clone(), spec))
        })
        .collect();
    let mut subnets = Subnets::new();
    let DocumentSet { entries, warnings, .. } = set;
    for (index, entry) in entries.iter_mut().enumerate() {
        let Some(Theirs::Hardware(claims)) = &entry.theirs else { continue };
        for claim in claims.clone() {
            let address = claim.address;
            let name = match declared.iter().find(|(_, spec)| spec.cidr.contains(&address)) {
                Some((name, spec)) => {
                    differences(entry, &claim, name, spec, warnings);
                    name.clone()
                }
                None => {
                    let Some(network) = claim.network else {
                        let path = format!("{}.ip", claim.path);
                        let message =
                            format!("write the `netmask`, or declare a Network that contains {address}");
                        faults.push(entry.fault_there(&path, message));
                        continue;
                    };
                    subnets.entry(network).or_default().push((index, claim.clone()));
                    name_of(network)
                }
            };
            put_network(entry, claim.interface, &name);
        }
    }
    subnets
}

fn put_network(entry: &mut Entry, interface: usize, name: &str) {
    let value = entry.document.spec.get_mut("interfaces").and_then(|list| list.get_mut(interface));
    if let Some(Value::Object(fields)) = value {
        fields.insert("network".to_owned(), name.into());
    }
    if let Some(Spec::Hardware(spec)) = &mut entry.spec
        && let Some(interface) = spec.interfaces.get_mut(interface)
    {
        interface.network = Some(name.into());
    }
}

/// What the interface says and its declared Network says otherwise: the Network counts.
fn differences(entry: &Entry, claim: &Claim, name: &str, spec: &NetworkSpec, warnings: &mut Vec<Fault>) {
    let lease = claim.lease_s.is_some_and(|lease| u64::from(lease) != spec.lease.as_secs());
    for (field, differs) in [
        ("ip.netmask", claim.network.is_some_and(|network| network != spec.cidr.trunc())),
        ("ip.gateway", claim.gateway.is_some() && claim.gateway != spec.gateway),
        ("name_servers", !claim.servers.is_empty() && claim.servers != spec.dns.servers),
        ("domain_name", !claim.search.is_empty() && claim.search != spec.dns.search),
        ("time_servers", !claim.ntp.is_empty() && claim.ntp != spec.ntp),
        ("lease_time", lease),
    ] {
        if differs && warnings.len() < WARNINGS {
            let message = format!("Network `{name}` says another: that counts");
            warnings.push(entry.fault_there(&format!("{}.{field}", claim.path), message));
        }
    }
}

/// Derives the Network of a subnet from the machines in it, those that are stored included.
fn add_network(
    set: &mut DocumentSet,
    network: Ipv4Net,
    claims: &[(usize, Claim)],
    stored: &[&Document],
    faults: &mut Faults,
) {
    let name = name_of(network);
    let others: Vec<(&str, Claim)> = stored
        .iter()
        .filter(|document| networks_of(document).any(|used| used == name))
        .flat_map(|document| {
            let claims = stored_claims(document).into_iter();
            claims.map(|claim| (document.metadata.name.as_str(), claim))
        })
        .filter(|(_, claim)| claim.network == Some(network))
        .collect();
    let names: Vec<String> =
        claims.iter().map(|(index, _)| set.entries[*index].document.metadata.name.clone()).collect();
    let mut members: Vec<Member<'_>> = claims
        .iter()
        .zip(&names)
        .map(|((index, claim), machine)| Member { machine, claim, entry: Some(*index) })
        .chain(others.iter().map(|(machine, claim)| Member { machine, claim, entry: None }))
        .collect();
    let (document, spec, dissents) = derive(network, &mut members);
    for dissent in dissents {
        if set.warnings.len() < WARNINGS {
            let warning = set.entries[dissent.entry].fault_there(&dissent.path, dissent.message);
            set.warnings.push(warning);
        }
    }
    let Some((index, claim)) = claims.first() else { return };
    let first = &set.entries[*index];
    if set.find(Kind::Network, &name).is_some() {
        let message =
            format!("the Network of {network} is called `{name}`, and one of another subnet has that name");
        return faults.push(first.fault_there(&format!("{}.ip", claim.path), message));
    }
    let mut paths = Paths::default();
    for (ours, theirs) in [
        ("metadata.name", "ip"),
        ("spec", "ip"),
        ("spec.cidr", "ip"),
        ("spec.gateway", "ip.gateway"),
        ("spec.lease", "lease_time"),
    ] {
        paths.add(ours, format!("{}.{theirs}", claim.path));
    }
    let (file, node, faulty) = (first.file.clone(), first.node.clone(), first.faulty);
    let spec = Some(Spec::Network(spec));
    set.entries.push(Entry {
        document,
        file,
        spec,
        node,
        faulty,
        included: Vec::new(),
        paths,
        theirs: Some(Theirs::Template),
    });
}

fn networks_of(hardware: &Document) -> impl Iterator<Item = &str> {
    let interfaces = hardware.spec.get("interfaces").and_then(Value::as_array);
    interfaces.into_iter().flatten().filter_map(|interface| interface.get("network")?.as_str())
}

/// What a stored machine said when it was read.
fn stored_claims(hardware: &Document) -> Vec<Claim> {
    let Some(original) = hardware.spec.get("tinkerbell") else { return Vec::new() };
    let Ok(theirs) = serde_json::from_value::<types::Hardware>(original.clone()) else { return Vec::new() };
    let node = Node::from_json(&Value::Null);
    let (mut faults, mut warnings) = (Faults::default(), Vec::new());
    let mut reading = Reading {
        file: "",
        node: &node,
        faults: &mut faults,
        warnings: &mut warnings,
        paths: Paths::default(),
    };
    super::hardware::hardware(&theirs, original, &mut reading).1
}

/// The machines that the Workflows mean, and what is said of machines that nobody declared.
fn settle_workflows(set: &mut DocumentSet, stored: &[&Document], faults: &mut Faults) {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut warnings = Vec::new();
    let catalog = Catalog::new(stored.iter().copied().chain(set.documents()));
    for (index, entry) in set.entries.iter().enumerate() {
        let (Some(Theirs::Workflow { toggles }), Some(Spec::Workflow(spec))) = (&entry.theirs, &entry.spec)
        else {
            continue;
        };
        for (key, value) in &spec.hardware_map {
            if TAKEN_NAMES.contains(&key.as_str()) {
                let message = format!("templates have their own `.{key}`: this entry has no effect");
                warnings.push(entry.fault_there(&format!("spec.hardwareMap.{key}"), message));
                continue;
            }
            if catalog.machine(value).is_none() {
                let message = format!(
                    "`{value}` is no declared machine: templates see the text, and no task can run there"
                );
                warnings.push(entry.fault_there(&format!("spec.hardwareMap.{key}"), message));
            }
        }
        let own = if spec.hardware.is_empty() {
            let first = spec.hardware_map.get("device_1").into_iter().chain(spec.hardware_map.values());
            first.into_iter().find_map(|value| catalog.machine(value)).map(str::to_owned)
        } else {
            Some(spec.hardware.clone())
        };
        let Some(own) = own else {
            let message = "it is not known which machine is meant: write `hardwareRef`, or a declared machine as `device_1` in `hardwareMap`";
            faults.push(entry.fault_there("spec", message));
            continue;
        };
        let boots = |machine: &Hardware| machine.spec.interfaces.iter().any(|interface| interface.netboot);
        if *toggles && catalog.hardware(&own).is_ok_and(|machine| !boots(&machine)) {
            let message = format!(
                "nothing is switched here, and Hardware `{own}` never boots from the network: write `allowPXE: true` there; while it has no Workflow it boots its disk"
            );
            warnings.push(entry.fault_there("spec.bootOptions.toggleAllowNetboot", message));
        }
        found.push((index, own));
    }
    warnings.truncate(WARNINGS.saturating_sub(set.warnings.len()));
    set.warnings.extend(warnings);
    for (index, own) in found {
        let entry = &mut set.entries[index];
        entry.document.spec["hardware"] = own.as_str().into();
        if let Some(Spec::Workflow(spec)) = &mut entry.spec {
            spec.hardware = own;
        }
    }
}
