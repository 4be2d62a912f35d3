//! Machines and Profiles.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::{Checker, Kind, Spec, links, network::options, storage, unique::Unique};
use crate::{
    document::{Circuit, DhcpMode, Entry, HardwareSpec, Interface, catalog::agent_id, name::host_name_fault},
    mac::MacAddr,
};

pub(super) fn check(checker: &mut Checker<'_>) {
    for entry in checker.entries.clone() {
        if let Some(Spec::Profile(spec)) = &entry.spec {
            profile(checker, entry, spec);
        }
    }
    let mut macs: Unique<'_, MacAddr> = Unique::new("hardware address");
    let mut ips: Unique<'_, Ipv4Addr> = Unique::new("address");
    let mut circuits: Unique<'_, String> = Unique::new("switch port");
    let mut agents: Unique<'_, String> = Unique::new("agent's id");
    let mut uuids: Unique<'_, String> = Unique::new("UUID");
    for (entry, spec) in std::mem::take(&mut checker.machines) {
        for (n, interface) in spec.interfaces.iter().enumerate() {
            let path = format!("spec.interfaces[{n}]");
            if spec.interfaces[..n].iter().any(|other| other.id == interface.id) {
                checker.fault(
                    entry,
                    &format!("{path}.id"),
                    format_args!("two interfaces are called `{}`", interface.id),
                );
            }
            let mac_path = format!("{path}.mac");
            if !interface.mac.is_unicast() {
                let message = format!("{} is no address of one machine", interface.mac);
                checker.fault(entry, &mac_path, message);
            }
            macs.claim(checker, entry, &mac_path, interface.mac);
            if let Some(ip) = interface.ip {
                ips.claim(checker, entry, &format!("{path}.ip"), ip);
            }
            place(checker, entry, &path, interface);
            options(checker, entry, &format!("{path}.dhcpOptions"), &interface.dhcp_options);
            if let Some(circuit) = &interface.circuit {
                self::circuit(checker, entry, &format!("{path}.circuit"), circuit);
                circuits.claim(checker, entry, &format!("{path}.circuit"), written(circuit));
            }
        }
        links::check(checker, entry, &spec, &mut ips);
        host(checker, entry, &spec);
        if let Some(agent) = agent_id(&entry.document) {
            agents.claim(checker, entry, "spec.tinkerbell.agentID", agent.to_owned());
        }
        if let Some(uuid) = spec.identity.as_ref().and_then(|identity| identity.uuid.as_ref()) {
            uuids.claim(checker, entry, "spec.identity.uuid", uuid.to_ascii_lowercase());
        }
        storage::check(checker, entry, &spec);
        common(checker, entry, &spec);
        if spec.netboot.always && spec.netboot.script.is_none() && spec.netboot.script_text.is_none() {
            let message =
                "`always` needs a script of its own: without a workflow the server has none but the disk's";
            checker.fault(entry, "spec.netboot.always", message);
        }
        checker.machines.push((entry, spec));
    }
}

/// An interface in its Network.
fn place(checker: &mut Checker<'_>, entry: &Entry, path: &str, interface: &Interface) {
    let Some(name) = &interface.network else {
        // Of a document of Tinkerbell's it was said why there is none.
        if entry.theirs.is_some() {
            return;
        }
        if interface.ip.is_some() {
            checker.fault(entry, path, "an `ip` needs its `network`");
        } else if interface.netboot {
            checker.fault(entry, path, "an interface that boots from the network needs its `network`");
        }
        return;
    };
    if checker.reference(entry, &format!("{path}.network"), Kind::Network, name).is_none() {
        return;
    }
    let Some(network) = checker.network(name) else { return };
    match interface.ip {
        Some(ip) if !network.holds(ip) => {
            checker.fault(entry, &format!("{path}.ip"), network.outside(ip));
        }
        Some(ip) if network.gateway == Some(ip) => {
            checker.fault(
                entry,
                &format!("{path}.ip"),
                format_args!("{ip} is the gateway of Network `{name}`"),
            );
        }
        None if interface.netboot && network.dhcp.mode == DhcpMode::Authoritative => {
            let message = format!(
                "Network `{name}` leases addresses, so an interface that boots from the network needs its `ip`"
            );
            checker.fault(entry, path, message);
        }
        _ => {}
    }
}

/// What tells switch ports apart.
fn circuit(checker: &mut Checker<'_>, entry: &Entry, path: &str, circuit: &Circuit) {
    let ids = [("circuitId", &circuit.circuit_id), ("remoteId", &circuit.remote_id)];
    for (field, id) in ids {
        let Some(id) = id else { continue };
        if Circuit::bytes(id).is_none_or(|bytes| !(1..=255).contains(&bytes.len())) {
            let message = format!(
                "`{id}` is no identifier of option 82: write its text, or 0x and two hexadecimal digits for each of at most 255 bytes"
            );
            checker.fault(entry, &format!("{path}.{field}"), message);
        }
    }
    if ids.iter().all(|(_, id)| id.is_none()) {
        checker.fault(entry, path, "a switch port needs its `circuitId`, `remoteId` or both");
    }
}

fn written(circuit: &Circuit) -> String {
    let id = |id: &Option<String>| id.as_deref().unwrap_or("any").to_owned();
    let relay = circuit.relay.map_or("any".to_owned(), |relay| relay.to_string());
    format!("{} {} of relay {relay}", id(&circuit.circuit_id), id(&circuit.remote_id))
}

fn host(checker: &mut Checker<'_>, entry: &Entry, spec: &HardwareSpec) {
    let name = spec.hostname.as_deref().unwrap_or(&entry.document.metadata.name);
    if let Some(message) = host_name_fault(name) {
        checker.fault(entry, "spec.hostname", message);
    }
    if let Some(uuid) = spec.identity.as_ref().and_then(|identity| identity.uuid.as_deref())
        && !is_uuid(uuid)
    {
        let message =
            format!("`{uuid}` is no UUID: write 8-4-4-4-12 hexadecimal digits, as SMBIOS shows them");
        checker.fault(entry, "spec.identity.uuid", message);
    }
}

fn profile(checker: &mut Checker<'_>, entry: &Entry, spec: &HardwareSpec) {
    for key in ["profile", "interfaces", "links", "identity", "hostname"] {
        if entry.writes(&["spec", key]) {
            let message = format!("`{key}` is of one machine: write it in a Hardware");
            checker.fault(entry, &format!("spec.{key}"), message);
        }
    }
    storage::check(checker, entry, spec);
    common(checker, entry, spec);
}

/// What a Profile and a machine may both say; the one that says it is at fault.
fn common(checker: &mut Checker<'_>, entry: &Entry, spec: &HardwareSpec) {
    // One may name the image and the other its digest, so each is looked for in the document itself.
    let os = |key: &str| entry.document.spec.get("os").and_then(|os| os.get(key)).and_then(Value::as_str);
    if let Some(sha256) = os("sha256")
        && !(sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        checker.fault(
            entry,
            "spec.os.sha256",
            "a SHA-256 has 64 hexadecimal digits, as sha256sum prints them",
        );
    }
    if let Some(message) = os("image").and_then(image_fault) {
        checker.fault(entry, "spec.os.image", message);
    }
    if entry.writes(&["spec", "sshKeys"]) {
        for (n, key) in spec.ssh_keys.iter().enumerate() {
            let mut words = key.split(' ');
            let kind = words.next().unwrap_or_default();
            let known = ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| kind.starts_with(prefix));
            if !known || words.next().is_none_or(|data| data.len() < 40) || key.contains(['\n', '\r']) {
                let message =
                    "this is no public key of OpenSSH: write one line, as in ssh-ed25519 AAAA.. comment";
                checker.fault(entry, &format!("spec.sshKeys[{n}]"), message);
            }
        }
    }
    if entry.writes(&["spec", "netboot"]) {
        for (field, message) in spec.netboot.faults() {
            checker.fault(entry, &format!("spec.netboot.{field}"), message);
        }
        if spec.netboot.script.is_some() && spec.netboot.script_text.is_some() {
            checker.fault(
                entry,
                "spec.netboot.scriptText",
                "a machine runs one script: write `script` or `scriptText`",
            );
        }
    }
    if entry.writes(&["spec", "instance", "httpPutResponseHopLimit"])
        && spec.instance.http_put_response_hop_limit.is_some_and(|hops| !(1..=64).contains(&hops))
    {
        checker.fault(
            entry,
            "spec.instance.httpPutResponseHopLimit",
            "a token goes 1 to 64 hops; leave it out where it may go as far as the network carries it",
        );
    }
    if entry.writes(&["spec", "dhcpOptions"]) {
        options(checker, entry, "spec.dhcpOptions", &spec.dhcp_options);
    }
    if entry.writes(&["spec", "kernelArgs"]) {
        for (n, argument) in spec.kernel_args.iter().enumerate() {
            if argument.is_empty() || argument.chars().any(|c| c.is_control()) {
                let message = "an argument of a kernel is one line of text";
                checker.fault(entry, &format!("spec.kernelArgs[{n}]"), message);
            }
        }
    }
}

fn image_fault(image: &str) -> Option<&'static str> {
    if image.contains("://") {
        let rest = image.strip_prefix("http://").or_else(|| image.strip_prefix("https://"));
        return rest
            .is_none_or(str::is_empty)
            .then_some("an URL of an image begins with http:// or https://");
    }
    match crate::files::FileName::normalise(image.as_bytes()) {
        Ok(name) if name.as_str() == image => None,
        _ => Some("write a name under the server's `files:`, as in debian-12.tar.zst, or a whole URL"),
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}
