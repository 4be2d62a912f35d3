//! Router solicitations of known machines, answered where the Network document says that there is no IPv6 router.

use std::{
    io,
    net::{SocketAddr, SocketAddrV6},
};

use bootcode_core::{
    document::DhcpMode,
    source::{HardwareKey, NetworkKey},
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use super::{Sources, link::Link};
use crate::{
    limits,
    solicitation::{ALL_ROUTERS, HOP_LIMIT, NO_ROUTER, soliciting},
};

/// Serves one interface until dropped, also one of its name that is made anew. Nothing is sent, not even a report of group membership,
/// before a Network document asks for it.
pub(super) async fn serve(interface: &str, sources: &Sources) {
    let mut failed = false;
    loop {
        if let Some((link, index)) = wanting(interface, sources).await {
            match open(interface, index) {
                Ok(socket) => {
                    failed = false;
                    answer(&socket, index, &link, sources).await;
                }
                Err(error) if !std::mem::replace(&mut failed, true) => warn!(
                    %interface, %error,
                    "router solicitations cannot be heard (CAP_NET_RAW, and IPv6 on the interface): iPXE waits about 15 s for a router in each boot; trying again"
                ),
                Err(_) => (),
            }
        }
        tokio::time::sleep(limits::SOLICITATION_LOOK).await;
    }
}

/// The interface as it is now, if it has frames and its Network wants us.
async fn wanting(interface: &str, sources: &Sources) -> Option<(Link, u32)> {
    let link = Link::find(interface).ok()?;
    let index = u32::try_from(link.hardware.as_ref()?.1.ifindex()).ok()?;
    wanted(&link, sources).await.then_some((link, index))
}

/// Whether a Network of this interface says that it has no IPv6 router, and has DHCP of ours.
async fn wanted(link: &Link, sources: &Sources) -> bool {
    for &address in &link.addresses {
        let network = sources.networks.network(NetworkKey::Interface(address)).await;
        if let Ok(Some(network)) = network
            && network.spec.dhcp.no_ipv6_router
            && network.spec.dhcp.mode != DhcpMode::None
        {
            return true;
        }
    }
    false
}

/// Answers until no Network wants it any more, or the interface is another.
async fn answer(socket: &UdpSocket, index: u32, link: &Link, sources: &Sources) {
    let mut buffer = [0; limits::SOLICITATION_MAX_BYTES];
    let mut watch = interval(limits::LINK_WATCH);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = watch.tick() => match Link::find(&link.name) {
                Ok(now) if now == *link => continue,
                _ => return,
            },
        };
        let (length, source) = match received {
            Ok((length, SocketAddr::V6(source))) => (length, *source.ip()),
            Ok((_, SocketAddr::V4(_))) => continue,
            Err(error) => {
                debug!(interface = %link.name, %error, "receiving ICMPv6 failed; trying again");
                tokio::time::sleep(limits::RECEIVE_RETRY).await;
                continue;
            }
        };
        let Some(mac) = soliciting(&buffer[..length], source) else { continue };
        if !wanted(link, sources).await {
            return;
        }
        // An answer to strangers would be one to a whole building.
        match sources.hardware.find(&HardwareKey::Mac(mac)).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => continue,
        }
        let to = SocketAddrV6::new(source, 0, 0, index);
        match socket.send_to(&NO_ROUTER, to).await {
            Ok(_) => debug!(%mac, to = %source, "the machine is told that there is no IPv6 router"),
            Err(error) => debug!(%mac, to = %source, %error, "telling that there is no IPv6 router failed"),
        }
    }
}

/// A raw socket in the type of a UDP socket, which has what raw ones share with it: datagrams with an address.
fn open(interface: &str, index: u32) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.join_multicast_v6(&ALL_ROUTERS, index)?;
    socket.set_unicast_hops_v6(HOP_LIMIT)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}
