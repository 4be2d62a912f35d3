//! A Hardware of Tinkerbell's as one of ours.

use serde_json::{Map, Value, json};

use super::{
    claim::{Claim, claim},
    netboot,
    reading::Reading,
    storage::storage,
    types::{Dhcp, Hardware, Interface, Netboot},
};
use crate::{arch::Arch, mac::MacAddr};

/// Our `spec`, and what its interfaces say of their networks.
pub(super) fn hardware(
    theirs: &Hardware,
    original: &Value,
    reading: &mut Reading<'_>,
) -> (Value, Vec<Claim>) {
    let mut spec = Map::new();
    let mut claims = Vec::new();
    let interfaces = theirs.interfaces.as_deref().unwrap_or_default();
    let read = interfaces.iter().enumerate().collect::<Vec<_>>();
    let mut ours: Vec<Value> = Vec::new();
    for (n, interface) in &read {
        if let Some((value, claimed)) = one_interface(interface, *n, &ours, reading) {
            claims.extend(claimed);
            ours.push(value);
        }
    }
    if !ours.is_empty() {
        spec.insert("interfaces".to_owned(), ours.into());
    }
    machine(&mut spec, &read, reading);
    host_name(&mut spec, theirs, &read, reading);
    kernel_args(&mut spec, &read, reading);
    netboot::netboot(&mut spec, &read, reading);
    instance(&mut spec, theirs, reading);
    if let Some(storage) = storage(theirs, reading) {
        spec.insert("storage".to_owned(), storage);
    }
    spec.insert("tinkerbell".to_owned(), original.clone());
    reading.paths.add("spec.tinkerbell.agentID", "spec.agentID");
    (spec.into(), claims)
}

fn one_interface(
    interface: &Interface,
    n: usize,
    before: &[Value],
    reading: &mut Reading<'_>,
) -> Option<(Value, Option<Claim>)> {
    let theirs = format!("spec.interfaces[{n}]");
    let none = Dhcp::default();
    let dhcp = interface.dhcp.as_ref().unwrap_or(&none);
    let mac_path = format!("{theirs}.dhcp.mac");
    if dhcp.mac.as_deref().unwrap_or_default().is_empty() {
        reading.warn(&theirs, "an interface without `dhcp.mac` is not known here: it is left out");
        return None;
    }
    let mac: MacAddr = reading.parse(
        &mac_path,
        dhcp.mac.as_deref(),
        "MAC address: write six pairs of hexadecimal digits, as in 52:54:00:12:34:56",
    )?;
    let ours = format!("spec.interfaces[{}]", before.len());
    for (field, place) in [
        ("", ""),
        (".id", ".dhcp.iface_name"),
        (".mac", ".dhcp.mac"),
        (".ip", ".dhcp.ip.address"),
        (".network", ".dhcp.ip"),
        (".netboot", ".netboot.allowPXE"),
    ] {
        reading.paths.add(format!("{ours}{field}"), format!("{theirs}{place}"));
    }
    let named = |id: &str| before.iter().any(|other| other["id"] == id);
    let id = dhcp.iface_name.clone().filter(|id| !id.is_empty() && !named(id));
    let id = id.unwrap_or_else(|| free(&format!("nic{n}"), &named));
    let mut netboot = allows(interface.netboot.as_ref());
    let silent = interface.disable_dhcp == Some(true);
    let mut claimed = claim(dhcp, before.len(), &format!("{theirs}.dhcp"), reading);
    if silent {
        let message = "`disableDhcp`: the interface gets no answer, so it neither boots from the network nor is known by its address";
        reading.warn(&format!("{theirs}.disableDhcp"), message);
        (netboot, claimed) = (false, None);
    } else if netboot && claimed.is_none() {
        let message = "it is not known which network the interface is in, so it does not boot from it: write `dhcp.ip` with `address` and `netmask`";
        reading.warn(&theirs, message);
        netboot = false;
    }
    let mut value = json!({"id": id, "mac": mac, "netboot": netboot});
    if let Some(claim) = &claimed {
        value["ip"] = claim.address.to_string().into();
    }
    if let Some(routes) = netboot::routes(dhcp, &format!("{theirs}.dhcp"), reading) {
        value["dhcpOptions"] = routes;
        reading.paths.add(format!("{ours}.dhcpOptions"), format!("{theirs}.dhcp.classless_static_routes"));
    }
    Some((value, claimed))
}

/// Where nothing is said, Tinkerbell does not boot an interface either.
fn allows(netboot: Option<&Netboot>) -> bool {
    netboot.and_then(|netboot| netboot.allow_pxe) == Some(true)
}

fn free(id: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let mut id = id.to_owned();
    while taken(&id) {
        id.push('x');
    }
    id
}

/// What is said of each interface there and is of the machine here: `arch`, `firmware`, `hold`.
fn machine(spec: &mut Map<String, Value>, interfaces: &[(usize, &Interface)], reading: &mut Reading<'_>) {
    for (n, interface) in interfaces {
        let path = format!("spec.interfaces[{n}]");
        if interface.netboot.as_ref().and_then(|netboot| netboot.allow_workflow) == Some(false) {
            let place = format!("{path}.netboot.allowWorkflow");
            spec.insert("hold".to_owned(), format!("{place} is false").into());
            reading.paths.add("spec.hold", place);
        }
        let Some(dhcp) = &interface.dhcp else { continue };
        let place = format!("{path}.dhcp.arch");
        if let Some(arch) = dhcp.arch.as_deref().filter(|arch| !arch.is_empty()) {
            match serde_json::from_value::<Arch>(arch.into()) {
                Ok(arch) => one(spec, "arch", json!(arch), &place, reading),
                Err(_) => {
                    let message =
                        format!("`{arch}` is no architecture that is known here: it is not checked");
                    reading.warn(&place, message);
                }
            }
        }
        // `false` is what is not written, and nothing in Tinkerbell but a BMC's boot device depends on it.
        if dhcp.uefi == Some(true) {
            one(spec, "firmware", "uefi".into(), &format!("{path}.dhcp.uefi"), reading);
        }
    }
}

/// A field that a machine has once: the first that says it counts.
fn one(spec: &mut Map<String, Value>, key: &str, value: Value, place: &str, reading: &mut Reading<'_>) {
    match spec.get(key) {
        None => {
            spec.insert(key.to_owned(), value);
            reading.paths.add(format!("spec.{key}"), place);
        }
        Some(first) if *first != value => {
            let first = reading.paths.theirs(&format!("spec.{key}"));
            reading.warn(
                place,
                format_args!("a machine has one `{key}`, and {first} says another: that counts"),
            );
        }
        Some(_) => {}
    }
}

/// Of the interfaces that boot first, then of the others, then of the metadata.
fn host_name(
    spec: &mut Map<String, Value>,
    theirs: &Hardware,
    interfaces: &[(usize, &Interface)],
    reading: &mut Reading<'_>,
) {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let of = |booting: bool| {
        interfaces.iter().filter(move |(_, i)| allows(i.netboot.as_ref()) == booting).filter_map(
            move |(n, i)| {
                Some((format!("spec.interfaces[{n}].dhcp.hostname"), given(&i.dhcp.as_ref()?.hostname)?))
            },
        )
    };
    let instance = theirs.metadata.as_ref().and_then(|metadata| metadata.instance.as_ref());
    let metadata = instance.and_then(|instance| given(&instance.hostname));
    let metadata = metadata.map(|name| ("spec.metadata.instance.hostname".to_owned(), name));
    for (place, name) in of(true).chain(of(false)).chain(metadata) {
        one(spec, "hostname", name.into(), &place, reading);
    }
}

fn kernel_args(spec: &mut Map<String, Value>, interfaces: &[(usize, &Interface)], reading: &mut Reading<'_>) {
    for (n, interface) in interfaces {
        let osie = interface.netboot.as_ref().and_then(|netboot| netboot.osie.as_ref());
        let Some(params) =
            osie.and_then(|osie| osie.kernel_params.as_ref()).filter(|params| !params.is_empty())
        else {
            continue;
        };
        one(
            spec,
            "kernelArgs",
            json!(params),
            &format!("spec.interfaces[{n}].netboot.osie.kernelParams"),
            reading,
        );
    }
}

/// What metadata serves.
fn instance(spec: &mut Map<String, Value>, theirs: &Hardware, reading: &mut Reading<'_>) {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let instance = theirs.metadata.as_ref().and_then(|metadata| metadata.instance.as_ref());
    if let Some(text) = given(&theirs.user_data) {
        one(spec, "userData", text.into(), "spec.userData", reading);
    }
    if let Some(text) = given(&theirs.vendor_data) {
        one(spec, "vendorData", text.into(), "spec.vendorData", reading);
    }
    let Some(instance) = instance else { return };
    const AT: &str = "spec.metadata.instance";
    if let Some(text) = given(&instance.userdata) {
        one(spec, "userData", text.into(), &format!("{AT}.userdata"), reading);
    }
    if let Some(keys) = instance.ssh_keys.as_ref().filter(|keys| !keys.is_empty()) {
        for (n, _) in keys.iter().enumerate() {
            reading.paths.add(format!("spec.sshKeys[{n}]"), format!("{AT}.ssh_keys[{n}]"));
        }
        one(spec, "sshKeys", json!(keys), &format!("{AT}.ssh_keys"), reading);
    }
    if let Some(tags) = instance.tags.as_ref().filter(|tags| !tags.is_empty()) {
        one(spec, "instance", json!({"tags": tags}), &format!("{AT}.tags"), reading);
    }
}
