//! cloud-init's NoCloud data source: four small files. Written as JSON, which is YAML and needs no quoting rules of its own.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use bootcode_core::{
    document::{Hardware, Network},
    template::Variable,
};
use serde_json::{Map, Value, json};

use crate::reservation::{Reservation, reservations};

/// One of the four files. No other name is looked at, so nothing that a machine makes up reaches a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedFile {
    /// Who the instance is.
    MetaData,
    /// What its owner wants done.
    UserData,
    /// What its provider wants done.
    VendorData,
    /// Its interfaces.
    NetworkConfig,
}

/// A name that is none of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("NoCloud has meta-data, user-data, vendor-data and network-config")]
pub struct UnknownSeedFile;

impl SeedFile {
    /// The name that cloud-init asks for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MetaData => "meta-data",
            Self::UserData => "user-data",
            Self::VendorData => "vendor-data",
            Self::NetworkConfig => "network-config",
        }
    }
}

impl FromStr for SeedFile {
    type Err = UnknownSeedFile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::MetaData, Self::UserData, Self::VendorData, Self::NetworkConfig];
        all.into_iter().find(|file| file.name() == text).ok_or(UnknownSeedFile)
    }
}

/// `meta-data`: instance id, host name and the keys that are let in.
#[must_use]
pub fn meta_data(instance_id: &str, hostname: &str, keys: &[String]) -> String {
    let mut value = json!({"instance-id": instance_id, "local-hostname": hostname});
    if !keys.is_empty() {
        value["public-keys"] = json!(keys);
    }
    format!("{value:#}\n")
}

/// `user-data` as declared; an empty cloud-config where there is none.
#[must_use]
pub fn user_data(hardware: &Hardware) -> String {
    let text = hardware.spec.user_data.as_deref().and_then(Variable::as_text);
    text.unwrap_or("#cloud-config\n{}\n").to_owned()
}

/// `vendor-data` as declared; empty where there is none.
#[must_use]
pub fn vendor_data(hardware: &Hardware) -> String {
    hardware.spec.vendor_data.as_deref().and_then(Variable::as_text).unwrap_or_default().to_owned()
}

/// `network-config`, version 2: each interface told by its MAC, with its reservation or by DHCP; bonds and VLANs over them.
///
/// `networks` are those of the machine, by the ids of its interfaces and VLANs. The default route is written as a route:
/// `gateway4` is deprecated in netplan, and every renderer of cloud-init 22.4 and later knows `routes`. An interface
/// without a reservation is `optional`, or a cable that is not plugged in would hold the boot for two minutes.
#[must_use]
pub fn network_config(hardware: &Hardware, networks: &BTreeMap<String, Arc<Network>>) -> Value {
    let (mut ethernets, mut bonds, mut vlans) = (Map::new(), Map::new(), Map::new());
    let reserved = reservations(hardware, networks);
    let links = hardware.links();
    let bonded = |id: &str| links.bonds.iter().any(|bond| bond.interfaces.iter().any(|member| member == id));
    for interface in &hardware.spec.interfaces {
        let id = interface.id.as_str();
        let mut ethernet = json!({"match": {"macaddress": interface.mac}});
        if bonded(id) {
            ethernet["optional"] = Value::Bool(true);
        } else {
            address(&mut ethernet, reserved.get(id), interface.netboot);
        }
        ethernets.insert(id.to_owned(), ethernet);
    }
    for bond in &links.bonds {
        let mut config = json!({
            "interfaces": bond.interfaces,
            "parameters": {"mode": bond.mode, "mii-monitor-interval": MONITOR_MS},
        });
        let members = hardware.bonded(bond);
        if let Some(first) = members.first() {
            config["macaddress"] = json!(first.mac);
            let netboot = members.iter().any(|member| member.netboot);
            address(&mut config, reserved.get(first.id.as_str()), netboot);
        }
        bonds.insert(bond.id.clone(), config);
    }
    for vlan in &links.vlans {
        let mut config = json!({"id": vlan.vlan, "link": vlan.link});
        address(&mut config, reserved.get(vlan.id.as_str()), vlan.network.is_some());
        vlans.insert(vlan.id.clone(), config);
    }
    let mut config = json!({"version": 2, "ethernets": ethernets});
    for (kind, links) in [("bonds", bonds), ("vlans", vlans)] {
        if !links.is_empty() {
            config[kind] = links.into();
        }
    }
    config
}

/// Milliseconds between looks at a bond's cables: without any a bond goes on with one that is cut.
pub(crate) const MONITOR_MS: u32 = 100;

/// The reservation of an interface, or whether it asks for a lease.
fn address(interface: &mut Value, reserved: Option<&Reservation<'_>>, dhcp: bool) {
    let Some(reserved) = reserved else {
        interface["dhcp4"] = Value::Bool(dhcp);
        interface["optional"] = Value::Bool(true);
        return;
    };
    let network = reserved.network;
    interface["addresses"] = json!([format!("{}/{}", reserved.ip, network.spec.cidr.prefix_len())]);
    let routes: Vec<Value> =
        reserved.routes().map(|route| json!({"to": route.to, "via": route.via})).collect();
    if !routes.is_empty() {
        interface["routes"] = routes.into();
    }
    if let Some(mtu) = network.spec.mtu {
        interface["mtu"] = mtu.into();
    }
    let dns = &network.spec.dns;
    if !dns.servers.is_empty() {
        interface["nameservers"] = json!({"addresses": dns.servers, "search": dns.search});
    }
}
