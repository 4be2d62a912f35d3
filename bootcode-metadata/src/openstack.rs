//! OpenStack's metadata, as its data source of cloud-init reads it.

use std::{collections::BTreeMap, sync::Arc};

use bootcode_core::{
    document::{Hardware, Network, Route},
    mac::MacAddr,
};
use serde_json::{Value, json};

use crate::{
    ec2::facility,
    nocloud::MONITOR_MS,
    reservation::{Reservation, reservations},
};

/// The versions that are served; cloud-init takes the newest that it knows.
pub const VERSIONS: [&str; 5] = ["2012-08-10", "2013-10-17", "2015-10-15", "2018-08-27", "latest"];

/// The files of a version: Nova lists `user_data` only where there are any.
#[must_use]
pub fn files(hardware: &Hardware) -> Vec<&'static str> {
    let user_data = hardware.spec.user_data.as_ref().map(|_| "user_data");
    ["meta_data.json", "network_data.json"].into_iter().chain(user_data).chain(["vendor_data.json"]).collect()
}

/// `meta_data.json`: who the instance is, and the keys that are let in.
#[must_use]
pub fn meta_data(hardware: &Hardware, instance_id: &str) -> Value {
    let keys = hardware.spec.ssh_keys.iter().enumerate();
    let names: BTreeMap<String, &String> = keys.clone().map(|(at, key)| (format!("key-{at}"), key)).collect();
    let list: Vec<Value> =
        keys.map(|(at, key)| json!({"name": format!("key-{at}"), "type": "ssh", "data": key})).collect();
    json!({
        "uuid": instance_id,
        "name": hardware.name,
        "hostname": hardware.hostname(),
        "launch_index": 0,
        "availability_zone": facility(hardware),
        "public_keys": names,
        "keys": list,
        "meta": hardware.labels,
        "tags": hardware.spec.instance.tags,
    })
}

/// `vendor_data.json`: what is declared, under the key that cloud-init reads.
#[must_use]
pub fn vendor_data(text: Option<&str>) -> Value {
    text.map_or_else(|| json!({}), |text| json!({"cloud-init": text}))
}

/// `network_data.json`: each interface with its reservation, or by DHCP where it boots from the network; bonds and VLANs.
///
/// `networks` are those of the machine, by the ids of its interfaces and VLANs.
#[must_use]
pub fn network_data(hardware: &Hardware, networks: &BTreeMap<String, Arc<Network>>) -> Value {
    let mut data = NetworkData::default();
    let reserved = reservations(hardware, networks);
    let declared = hardware.links();
    let bonded =
        |id: &str| declared.bonds.iter().any(|bond| bond.interfaces.iter().any(|member| member == id));
    for interface in &hardware.spec.interfaces {
        let id = interface.id.as_str();
        let network = networks.get(id);
        data.link(
            network,
            json!({
                "id": id, "vif_id": id, "type": "phy", "ethernet_mac_address": interface.mac,
            }),
        );
        if !bonded(id) {
            data.address(id, reserved.get(id), interface.netboot);
        }
    }
    for bond in &declared.bonds {
        let members = hardware.bonded(bond);
        let Some(first) = members.first() else { continue };
        let network = networks.get(first.id.as_str());
        data.link(
            network,
            json!({
                "id": bond.id, "vif_id": bond.id, "type": "bond", "ethernet_mac_address": first.mac,
                "bond_links": bond.interfaces, "bond_mode": bond.mode, "bond_miimon": MONITOR_MS,
            }),
        );
        data.address(&bond.id, reserved.get(first.id.as_str()), members.iter().any(|member| member.netboot));
    }
    for vlan in &declared.vlans {
        let network = networks.get(&vlan.id);
        data.link(network, json!({
            "id": vlan.id, "vif_id": vlan.id, "type": "vlan", "vlan_link": vlan.link, "vlan_id": vlan.vlan,
            "vlan_mac_address": below(hardware, &vlan.link),
        }));
        data.address(&vlan.id, reserved.get(vlan.id.as_str()), vlan.network.is_some());
    }
    json!({"links": data.links, "networks": data.networks, "services": data.services})
}

/// The hardware address of an interface or a bond.
fn below(hardware: &Hardware, id: &str) -> Option<MacAddr> {
    let bond = hardware.links().bonds.iter().find(|bond| bond.id == id);
    match bond {
        Some(bond) => hardware.bonded(bond).first().map(|first| first.mac),
        None => hardware.spec.interfaces.iter().find(|nic| nic.id == id).map(|nic| nic.mac),
    }
}

/// Its three lists.
#[derive(Default)]
struct NetworkData {
    links: Vec<Value>,
    networks: Vec<Value>,
    services: Vec<Value>,
}

impl NetworkData {
    fn link(&mut self, network: Option<&Arc<Network>>, mut link: Value) {
        link["mtu"] = json!(network.and_then(|network| network.spec.mtu));
        self.links.push(link);
    }

    /// The reservation of a link, or whether it asks for a lease.
    fn address(&mut self, id: &str, reserved: Option<&Reservation<'_>>, dhcp: bool) {
        let Some(reserved) = reserved else {
            if dhcp {
                self.networks.push(json!({"id": id, "network_id": id, "link": id, "type": "ipv4_dhcp"}));
            }
            return;
        };
        let network = reserved.network;
        let route = |route: Route| json!({"network": route.to.network(), "netmask": route.to.netmask(), "gateway": route.via});
        let mut address = json!({
            "id": id, "network_id": network.name, "link": id, "type": "ipv4",
            "ip_address": reserved.ip, "netmask": network.spec.cidr.netmask(),
            "routes": reserved.routes().map(route).collect::<Vec<_>>(),
        });
        // Nova has no search domains; cloud-init takes them from here.
        if !network.spec.dns.search.is_empty() {
            address["dns_search"] = json!(network.spec.dns.search);
        }
        self.networks.push(address);
        for server in &network.spec.dns.servers {
            let service = json!({"type": "dns", "address": server});
            if !self.services.contains(&service) {
                self.services.push(service);
            }
        }
    }
}
