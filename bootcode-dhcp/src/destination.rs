//! Where a reply goes: RFC 2131 4.1 as a closed list.

use std::net::{Ipv4Addr, SocketAddrV4};

use bootcode_core::{document::Network, mac::MacAddr};

use crate::{
    query::{Query, ServerPort},
    wire::ReplyType,
};

/// Where a reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// `giaddr` is not zero: to the relay agent, port 67.
    Relay(Ipv4Addr),
    /// `ciaddr` is not zero: to the client, port 68, by its address.
    Configured(Ipv4Addr),
    /// To an address that the client does not answer ARP for yet: a frame to `chaddr`, port 68.
    Unconfigured {
        /// Of the frame.
        mac: MacAddr,
        /// `yiaddr`.
        ip: Ipv4Addr,
    },
    /// To 255.255.255.255, port 68.
    Broadcast,
    /// Back to where a question to port 4011 came from.
    Peer(SocketAddrV4),
}

/// Whether one machine of this Network can have this address: a reply to another would go elsewhere, or to all of them.
pub(crate) fn is_host(network: &Network, ip: Ipv4Addr) -> bool {
    let cidr = network.spec.cidr;
    // RFC 3021: a link of two has neither address.
    let of_all = cidr.prefix_len() < 31 && (ip == cidr.network() || ip == cidr.broadcast());
    cidr.contains(&ip) && !of_all
}

/// Decides where a reply of this kind goes.
pub(crate) fn destination(query: &Query, kind: ReplyType, yiaddr: Ipv4Addr) -> Destination {
    if query.rx.port == ServerPort::Proxy {
        return Destination::Peer(query.rx.source);
    }
    if !query.giaddr.is_unspecified() {
        return Destination::Relay(query.giaddr);
    }
    // "In all cases, when 'giaddr' is zero, the server broadcasts any DHCPNAK messages to 0xffffffff."
    if kind == ReplyType::Nak {
        return Destination::Broadcast;
    }
    // A DISCOVER has no ciaddr; one that has is not believed, since its sender does not answer ARP for it.
    if kind == ReplyType::Ack && !query.ciaddr.is_unspecified() {
        return Destination::Configured(query.ciaddr);
    }
    if query.broadcast() || yiaddr.is_unspecified() {
        return Destination::Broadcast;
    }
    Destination::Unconfigured { mac: query.mac, ip: yiaddr }
}
