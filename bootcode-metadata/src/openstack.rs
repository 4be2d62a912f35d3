//! OpenStack's metadata, as its data source of cloud-init reads it.

use std::{collections::BTreeMap, sync::Arc};

use bootcode_core::document::{Hardware, Network};
use serde_json::{Value, json};

use crate::ec2::facility;

/// The versions that are served; cloud-init takes the newest that it knows.
pub const VERSIONS: [&str; 5] = ["2012-08-10", "2013-10-17", "2015-10-15", "2018-08-27", "latest"];
/// The files of a version.
pub const FILES: [&str; 4] = ["meta_data.json", "network_data.json", "user_data", "vendor_data.json"];

/// `meta_data.json`: who the instance is, and the keys that are let in.
#[must_use]
pub fn meta_data(hardware: &Hardware) -> Value {
    let keys = hardware.spec.ssh_keys.iter().enumerate();
    let names: BTreeMap<String, &String> = keys.clone().map(|(at, key)| (format!("key-{at}"), key)).collect();
    let list: Vec<Value> =
        keys.map(|(at, key)| json!({"name": format!("key-{at}"), "type": "ssh", "data": key})).collect();
    json!({
        "uuid": hardware.instance_id(),
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

/// `network_data.json`: each interface with its reservation, or by DHCP where it boots from the network.
///
/// `networks` are those of the machine, by the ids of its interfaces.
#[must_use]
pub fn network_data(hardware: &Hardware, networks: &BTreeMap<String, Arc<Network>>) -> Value {
    let (mut links, mut addresses, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for interface in &hardware.spec.interfaces {
        let id = &interface.id;
        links.push(json!({
            "id": id, "vif_id": id, "type": "phy", "ethernet_mac_address": interface.mac, "mtu": null,
        }));
        let Some((ip, network)) = interface.ip.zip(networks.get(id.as_str())) else {
            if interface.netboot {
                addresses.push(json!({"id": id, "network_id": id, "link": id, "type": "ipv4_dhcp"}));
            }
            continue;
        };
        let gateway = network.spec.gateway.filter(|gateway| *gateway != ip);
        let routes: Vec<Value> = gateway
            .map(|gateway| json!({"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": gateway}))
            .into_iter()
            .collect();
        addresses.push(json!({
            "id": id, "network_id": network.name, "link": id, "type": "ipv4",
            "ip_address": ip, "netmask": network.spec.cidr.netmask(), "routes": routes,
        }));
        for server in &network.spec.dns.servers {
            let service = json!({"type": "dns", "address": server});
            if !services.contains(&service) {
                services.push(service);
            }
        }
    }
    json!({"links": links, "networks": addresses, "services": services})
}
