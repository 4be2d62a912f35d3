//! OpenStack's metadata, as its data source of cloud-init reads it.

use std::{collections::BTreeMap, sync::Arc};

use bootcode_core::document::{Hardware, Network, Route};
use serde_json::{Value, json};

use crate::{ec2::facility, nocloud::routes};

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
        let network = networks.get(id.as_str());
        let mtu = network.and_then(|network| network.spec.mtu);
        links.push(json!({
            "id": id, "vif_id": id, "type": "phy", "ethernet_mac_address": interface.mac, "mtu": mtu,
        }));
        let Some((ip, network)) = interface.ip.zip(network) else {
            if interface.netboot {
                addresses.push(json!({"id": id, "network_id": id, "link": id, "type": "ipv4_dhcp"}));
            }
            continue;
        };
        let route = |route: Route| json!({"network": route.to.network(), "netmask": route.to.netmask(), "gateway": route.via});
        let mut address = json!({
            "id": id, "network_id": network.name, "link": id, "type": "ipv4",
            "ip_address": ip, "netmask": network.spec.cidr.netmask(),
            "routes": routes(network, ip).into_iter().map(route).collect::<Vec<_>>(),
        });
        // Nova has no search domains; cloud-init takes them from here.
        if !network.spec.dns.search.is_empty() {
            address["dns_search"] = json!(network.spec.dns.search);
        }
        addresses.push(address);
        for server in &network.spec.dns.servers {
            let service = json!({"type": "dns", "address": server});
            if !services.contains(&service) {
                services.push(service);
            }
        }
    }
    json!({"links": links, "networks": addresses, "services": services})
}
