//! What an interface or VLAN has reserved, with the routes by it.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use bootcode_core::document::{Hardware, Network, Route};
use ipnet::Ipv4Net;

/// An address in its Network.
#[derive(Clone, Copy)]
pub(crate) struct Reservation<'a> {
    pub(crate) ip: Ipv4Addr,
    pub(crate) network: &'a Network,
    way_out: bool,
}

impl Reservation<'_> {
    /// The routes by it: the default one first, where it is the machine's, and none by the machine itself.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> {
        let gateway = self.network.spec.gateway.filter(|_| self.way_out);
        let default = gateway.map(|via| Route { to: Ipv4Net::default(), via });
        let ip = self.ip;
        default
            .into_iter()
            .chain(self.network.spec.routes.iter().copied())
            .filter(move |route| route.via != ip)
    }
}

/// What a machine has reserved, by the ids of its interfaces and VLANs. `networks` are by these ids too.
///
/// A machine has one default route, however many of its Networks have a router: by the interface that boots from the
/// network, else by the first that can.
pub(crate) fn reservations<'a>(
    hardware: &'a Hardware,
    networks: &'a BTreeMap<String, Arc<Network>>,
) -> BTreeMap<&'a str, Reservation<'a>> {
    let found = hardware.reservations().filter_map(|(id, ip)| {
        let network: &Network = networks.get(id)?;
        Some((id, Reservation { ip, network, way_out: false }))
    });
    let mut found: Vec<_> = found.collect();
    let boots = hardware.netboot_interface().map(|interface| interface.id.as_str());
    let leads = |(_, own): &&mut (&str, Reservation<'_>)| {
        own.network.spec.gateway.is_some_and(|gateway| gateway != own.ip)
    };
    let mut ways: Vec<_> = found.iter_mut().filter(leads).collect();
    ways.sort_by_key(|(id, _)| Some(*id) != boots);
    if let Some((_, own)) = ways.into_iter().next() {
        own.way_out = true;
    }
    found.into_iter().collect()
}
