//! Other DHCP servers on a wire: what is asked to find them, what they say, and what of it is news.
//!
//! A search is a DHCPDISCOVER of no machine. Its vendor class names us and our address, so that another Bootcode offers it nothing,
//! and knows from the search itself that somebody else leases on this wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use bootcode_core::mac::MacAddr;

use crate::{
    limits,
    wire::{BOOTREPLY, BOOTREQUEST, BROADCAST, ETHERNET, MAGIC, Packet, code},
};

/// How the vendor class of a search begins; our address follows.
const VENDOR_CLASS: &str = "Bootcode searches from ";
const DISCOVER: u8 = 1;
const OFFER: &[u8] = &[2];

/// The hardware address that a search is made for: locally administered, and the same each time, so that another server spends one
/// address of its pool on it and not one each time.
pub(crate) const fn searcher(card: MacAddr) -> MacAddr {
    let [_, _, _, a, b, c] = card.0;
    MacAddr([0x06, 0xb0, 0x07, a, b, c])
}

/// The message, to be broadcast; its answer is to be broadcast too, since nobody has its hardware address.
pub(crate) fn search(xid: u32, mac: MacAddr, server: Ipv4Addr) -> Vec<u8> {
    let mut bytes = vec![0; limits::MESSAGE_MIN_BYTES];
    bytes[..3].copy_from_slice(&[BOOTREQUEST, ETHERNET, 6]);
    bytes[4..8].copy_from_slice(&xid.to_be_bytes());
    bytes[10..12].copy_from_slice(&BROADCAST.to_be_bytes());
    bytes[28..34].copy_from_slice(&mac.0);
    bytes[236..240].copy_from_slice(&MAGIC);
    let class = format!("{VENDOR_CLASS}{server}");
    bytes.extend_from_slice(&[code::MESSAGE_TYPE, 1, DISCOVER]);
    bytes.extend_from_slice(&[code::PARAMETER_LIST, 2, code::SUBNET_MASK, code::ROUTER]);
    // 38 bytes at most.
    bytes.extend_from_slice(&[code::VENDOR_CLASS, class.len() as u8]);
    bytes.extend_from_slice(class.as_bytes());
    bytes.push(255);
    bytes.resize(limits::REPLY_MIN_BYTES, 0);
    bytes
}

/// Whether a Bootcode made this to find other servers.
pub(crate) fn is_search(packet: &Packet<'_>) -> bool {
    packet.op == BOOTREQUEST
        && packet.option(code::VENDOR_CLASS).is_some_and(|class| class.starts_with(VENDOR_CLASS.as_bytes()))
}

/// The Bootcode on this wire that made it; a relayed one is on another wire.
pub(crate) fn searching(packet: &Packet<'_>) -> Option<Ipv4Addr> {
    let class = packet.option(code::VENDOR_CLASS).filter(|_| packet.giaddr.is_unspecified())?;
    let server = std::str::from_utf8(class.strip_prefix(VENDOR_CLASS.as_bytes())?).ok()?;
    server.parse().ok().filter(host)
}

/// Who offers what with this message, if it answers our search. A proxy offers no address and is nobody's rival.
pub(crate) fn offer(bytes: &[u8], xid: u32, mac: MacAddr) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let packet = Packet::decode(bytes).ok()?;
    let ours = packet.op == BOOTREPLY && packet.xid == xid && packet.chaddr[..6] == mac.0;
    let offers = ours && packet.option(code::MESSAGE_TYPE) == Some(OFFER);
    let server = packet.address(code::SERVER_ID).filter(|_| offers)?;
    (host(&server) && host(&packet.yiaddr)).then_some((server, packet.yiaddr))
}

const fn host(ip: &Ipv4Addr) -> bool {
    !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast() && !ip.is_loopback()
}

/// The other servers of one wire, as they are known by now.
#[derive(Debug, Default)]
pub(crate) struct Rivals(BTreeMap<Ipv4Addr, Rival>);

#[derive(Debug, Clone, Copy)]
struct Rival {
    heard: Instant,
    /// Searches in a row that it did not answer; of one that makes searches itself there is only the time.
    missed: u32,
    offers: bool,
}

/// What an operator is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// There is one that nobody knew of, and the address that it offered; a Bootcode offers none.
    Found(Ipv4Addr, Option<Ipv4Addr>),
    /// It is there no more.
    Gone(Ipv4Addr),
}

impl Rivals {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Another Bootcode made a search.
    pub(crate) fn heard(&mut self, server: Ipv4Addr, now: Instant) -> Option<Change> {
        self.note(server, None, now)
    }

    /// A search of ours has ended, and these answered.
    pub(crate) fn searched(&mut self, offers: &[(Ipv4Addr, Ipv4Addr)], now: Instant) -> Vec<Change> {
        let mut changes: Vec<_> =
            offers.iter().filter_map(|(server, ip)| self.note(*server, Some(*ip), now)).collect();
        let answered: BTreeSet<_> = offers.iter().map(|(server, _)| *server).collect();
        self.0.retain(|server, rival| {
            let stays = if rival.offers {
                rival.missed = if answered.contains(server) { 0 } else { rival.missed + 1 };
                rival.missed < limits::RIVAL_MISSES
            } else {
                now.duration_since(rival.heard) < limits::RIVAL_SILENT
            };
            if !stays {
                changes.push(Change::Gone(*server));
            }
            stays
        });
        changes
    }

    /// When it is searched again: soon where one that was known did not answer.
    pub(crate) fn next(&self) -> Duration {
        let doubt = self.0.values().any(|rival| rival.missed > 0);
        if doubt { limits::RIVAL_AGAIN } else { limits::RIVAL_PERIOD }
    }

    fn note(&mut self, server: Ipv4Addr, offered: Option<Ipv4Addr>, now: Instant) -> Option<Change> {
        if let Some(rival) = self.0.get_mut(&server) {
            rival.heard = now;
            rival.offers |= offered.is_some();
            return None;
        }
        // Of more nothing new is said: whoever forges them shall not fill memory or the log.
        if self.0.len() >= limits::RIVALS {
            return None;
        }
        self.0.insert(server, Rival { heard: now, missed: 0, offers: offered.is_some() });
        Some(Change::Found(server, offered))
    }
}

#[cfg(test)]
#[path = "rival/tests.rs"]
mod tests;
