//! A network interface: its name, hardware address and IPv4 addresses.

use std::net::Ipv4Addr;

use bootcode_core::mac::MacAddr;
use nix::{
    ifaddrs::getifaddrs,
    net::if_::if_nametoindex,
    sys::socket::{LinkAddr, SockaddrStorage},
};

use super::BindError;

/// The IPv4 addresses of an interface, in the system's order: what a site's addresses are by default.
///
/// # Errors
/// [`BindError::UnknownInterface`] and [`BindError::Interfaces`].
pub fn interface_addresses(name: &str) -> Result<Vec<Ipv4Addr>, BindError> {
    Link::find(name).map(|link| link.addresses)
}

/// An interface as it was at start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    /// The system's number of it; another one when an interface of that name was made anew.
    pub(super) index: u32,
    pub(super) addresses: Vec<Ipv4Addr>,
    /// Its hardware address and index; `None` for interfaces without frames, such as tunnels.
    pub(super) hardware: Option<(MacAddr, LinkAddr)>,
}

impl Link {
    pub(super) fn find(name: &str) -> Result<Self, BindError> {
        let all = getifaddrs().map_err(|source| BindError::Interfaces { source: source.into() })?;
        let index = if_nametoindex(name).unwrap_or(0);
        let mut link = Self { name: name.to_owned(), index, addresses: Vec::new(), hardware: None };
        let mut available = Vec::new();
        for entry in all {
            if !available.contains(&entry.interface_name) {
                available.push(entry.interface_name.clone());
            }
            if entry.interface_name != name {
                continue;
            }
            let address: Option<SockaddrStorage> = entry.address;
            let Some(address) = address else { continue };
            if let Some(ip) = address.as_sockaddr_in() {
                link.addresses.push(ip.ip());
            } else if let Some(frame) = address.as_link_addr()
                && let Some(mac) = frame.addr().filter(|_| frame.halen() == 6)
            {
                link.hardware = Some((MacAddr(mac), *frame));
            }
        }
        if available.iter().any(|have| have == name) {
            Ok(link)
        } else {
            Err(BindError::UnknownInterface { interface: name.to_owned(), available })
        }
    }
}
