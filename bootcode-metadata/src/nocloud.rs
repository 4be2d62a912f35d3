//! cloud-init's NoCloud data source: four small files. Written as JSON, which is YAML and needs no quoting rules of its own.

use std::{collections::BTreeMap, net::Ipv4Addr, str::FromStr, sync::Arc};

use bootcode_core::{
    document::{Hardware, Network, Route},
    template::Variable,
};
use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

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

/// The routes of a machine whose address is `ip`: the default one first, and none by itself.
pub(crate) fn routes(network: &Network, ip: Ipv4Addr) -> Vec<Route> {
    let default = network.spec.gateway.map(|via| Route { to: Ipv4Net::default(), via });
    default.into_iter().chain(network.spec.routes.iter().copied()).filter(|route| route.via != ip).collect()
}

/// `network-config`, version 2: each interface told by its MAC, with its reservation or by DHCP.
///
/// `networks` are those of the machine, by the ids of its interfaces. The default route is written as a route:
/// `gateway4` is deprecated in netplan, and every renderer of cloud-init 22.4 and later knows `routes`. An interface
/// without a reservation is `optional`, or a cable that is not plugged in would hold the boot for two minutes.
#[must_use]
pub fn network_config(hardware: &Hardware, networks: &BTreeMap<String, Arc<Network>>) -> String {
    let mut ethernets = Map::new();
    for interface in &hardware.spec.interfaces {
        let mut ethernet = json!({"match": {"macaddress": interface.mac}});
        match interface.ip.zip(networks.get(interface.id.as_str())) {
            Some((ip, network)) => {
                ethernet["addresses"] = json!([format!("{ip}/{}", network.spec.cidr.prefix_len())]);
                let routes = routes(network, ip);
                if !routes.is_empty() {
                    let routes = routes.iter().map(|route| json!({"to": route.to, "via": route.via}));
                    ethernet["routes"] = routes.collect();
                }
                if let Some(mtu) = network.spec.mtu {
                    ethernet["mtu"] = mtu.into();
                }
                let dns = &network.spec.dns;
                if !dns.servers.is_empty() {
                    ethernet["nameservers"] = json!({"addresses": dns.servers, "search": dns.search});
                }
            }
            None => {
                ethernet["dhcp4"] = Value::Bool(interface.netboot);
                ethernet["optional"] = Value::Bool(true);
            }
        }
        ethernets.insert(interface.id.to_string(), ethernet);
    }
    format!("{:#}\n", json!({"version": 2, "ethernets": ethernets}))
}
