//! `.Hardware` of Tinkerbell: a machine by the names that Go's structs have.

use serde_json::{Map, Value, json};

use super::Variable;
use crate::document::{Hardware, Interface, Network};

/// The machine; from the words of a document of Tinkerbell's where it was read from one.
pub(super) fn legacy(machine: &Hardware, network: &dyn Fn(&str) -> Option<Network>) -> Value {
    let mut interfaces: Vec<Value> = Vec::new();
    let mut metadata = json!({"Instance": {"ID": machine.instance_id(), "Hostname": machine.hostname(), "State": "", "Userdata": "", "Tags": machine.spec.instance.tags}});
    match machine.spec.tinkerbell.as_ref() {
        Some(original) => {
            for interface in original["interfaces"].as_array().into_iter().flatten() {
                let mut whole = json!({"DHCP": empty_dhcp(), "DisableDHCP": false});
                fill(&mut whole, go_names(interface));
                interfaces.push(whole);
            }
            fill(&mut metadata, go_names(&original["metadata"]));
        }
        None => interfaces
            .extend(machine.spec.interfaces.iter().map(|interface| own(machine, interface, network))),
    }
    let disks = machine.spec.storage.iter().flat_map(|storage| &storage.disks);
    let disks: Vec<&str> = disks.filter_map(|disk| disk.device.as_deref()).collect();
    let mut legacy = json!({"Disks": disks, "Interfaces": interfaces, "Metadata": metadata});
    for (name, data) in [("UserData", &machine.spec.user_data), ("VendorData", &machine.spec.vendor_data)] {
        match data.as_deref() {
            None => legacy[name] = "".into(),
            Some(Variable::Text(text)) => legacy[name] = text.as_str().into(),
            // Not there at all: a template that wants it gets a fault with its place, and never an empty text.
            Some(Variable::Secret(_)) => {}
        }
    }
    legacy
}

fn own(machine: &Hardware, interface: &Interface, network: &dyn Fn(&str) -> Option<Network>) -> Value {
    let mut dhcp = empty_dhcp();
    fill(&mut dhcp, json!({"MAC": interface.mac.to_string(), "Hostname": machine.hostname()}));
    if let Some(ip) = interface.ip {
        fill(&mut dhcp, json!({"IP": {"Address": ip.to_string(), "Family": 4}}));
    }
    if let Some(network) = interface.network.as_deref().and_then(network) {
        let spec = &network.spec;
        let texts =
            |addresses: &[std::net::Ipv4Addr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        let gateway = spec.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        fill(
            &mut dhcp,
            json!({
                "IP": {"Netmask": spec.cidr.netmask().to_string(), "Gateway": gateway},
                "NameServers": texts(&spec.dns.servers),
                "TimeServers": texts(&spec.ntp),
                "LeaseTime": spec.lease.as_secs(),
            }),
        );
    }
    json!({"DHCP": dhcp, "DisableDHCP": false})
}

/// A Go struct has every field: what nobody gave is empty, not missing.
fn empty_dhcp() -> Value {
    json!({
        "MAC": "", "Hostname": "", "DomainName": "", "LeaseTime": 0, "NameServers": [], "TimeServers": [], "Arch": "",
        "UEFI": false, "IfaceName": "", "VLANID": "", "IP": {"Address": "", "Netmask": "", "Gateway": "", "Family": 0},
    })
}

/// Puts what is given over what is there, map by map.
fn fill(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                fill(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from,
    }
}

fn go_names(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(go_names).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (go_name(key), go_names(value))).collect::<Map<_, _>>().into()
        }
        plain => plain.clone(),
    }
}

/// `lease_time` is `LeaseTime`, `vlan_id` is `VLANID`, `allowPXE` is `AllowPXE`.
fn go_name(key: &str) -> String {
    const ACRONYMS: [&str; 10] = ["mac", "ip", "uefi", "id", "dhcp", "url", "ipxe", "osie", "tftp", "vlan"];
    if key == "disableDhcp" {
        return "DisableDHCP".to_owned();
    }
    key.split('_')
        .map(|word| {
            let mut letters = word.chars();
            match letters.next() {
                _ if ACRONYMS.contains(&word) => word.to_uppercase(),
                Some(first) => first.to_uppercase().chain(letters).collect(),
                None => String::new(),
            }
        })
        .collect()
}
