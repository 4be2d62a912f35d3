//! What an interface of Tinkerbell's says of the network that it is in.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{reading::Reading, types::Dhcp};

/// What one interface says; a Network of ours says it for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::document) struct Claim {
    /// Which interface of the machine, as ours are counted.
    pub(super) interface: usize,
    /// Their path of it: `spec.interfaces[0].dhcp`.
    pub(super) path: String,
    pub(super) address: Ipv4Addr,
    /// Where the netmask is written and one.
    pub(super) network: Option<Ipv4Net>,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) servers: Vec<Ipv4Addr>,
    pub(super) search: Vec<String>,
    pub(super) ntp: Vec<Ipv4Addr>,
    pub(super) lease_s: Option<u32>,
}

/// Shorter leases are refused of any Network, and these would be of one that nobody wrote.
const SHORTEST_LEASE_S: i64 = 60;

/// `None` where no address is written that is one.
pub(super) fn claim(dhcp: &Dhcp, interface: usize, path: &str, reading: &mut Reading<'_>) -> Option<Claim> {
    let at = |field: &str| format!("{path}.{field}");
    let ip = dhcp.ip.as_ref()?;
    if ip.family == Some(6) || ip.address.as_deref().is_some_and(|address| address.contains(':')) {
        reading.warn(&at("ip"), "IPv6 is not served: the interface is left without an address");
        return None;
    }
    let address: Ipv4Addr =
        reading.parse(&at("ip.address"), ip.address.as_deref(), "IPv4 address, as in 192.168.1.10")?;
    let mask: Option<Ipv4Addr> =
        reading.parse(&at("ip.netmask"), ip.netmask.as_deref(), "netmask, as in 255.255.255.0");
    let network = mask.and_then(|mask| match Ipv4Net::with_netmask(address, mask) {
        Ok(network) => Some(network.trunc()),
        Err(_) => {
            let message = format!("`{mask}` is no netmask: its ones are not together, as in 255.255.255.0");
            reading.fault(&at("ip.netmask"), message);
            None
        }
    });
    let gateway = reading.parse(&at("ip.gateway"), ip.gateway.as_deref(), "IPv4 address of a router");
    let lease_s = dhcp.lease_time.filter(|seconds| *seconds != 0).and_then(|seconds| {
        let lease = u32::try_from(seconds).ok().filter(|_| seconds >= SHORTEST_LEASE_S);
        if lease.is_none() {
            let message =
                format!("no lease runs {seconds} seconds: a day is taken, as where nothing is written");
            reading.warn(&at("lease_time"), message);
        }
        lease
    });
    let search = dhcp.domain_name.clone().filter(|name| !name.is_empty()).into_iter().collect();
    Some(Claim {
        interface,
        path: path.to_owned(),
        address,
        network,
        gateway,
        servers: addresses(dhcp.name_servers.as_deref(), &at("name_servers"), reading),
        search,
        ntp: addresses(dhcp.time_servers.as_deref(), &at("time_servers"), reading),
        lease_s,
    })
}

fn addresses(texts: Option<&[String]>, path: &str, reading: &mut Reading<'_>) -> Vec<Ipv4Addr> {
    let mut addresses = Vec::new();
    for (n, text) in texts.unwrap_or_default().iter().enumerate() {
        match text.trim().parse() {
            Ok(address) => addresses.push(address),
            Err(_) => {
                let message =
                    format!("`{text}` is no IPv4 address, and DHCP tells those only: it is left out");
                reading.warn(&format!("{path}[{n}]"), message);
            }
        }
    }
    addresses
}
