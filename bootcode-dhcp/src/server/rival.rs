//! Looks for other DHCP servers on a wire that we lease on: at start, when its Network turns authoritative, and now and then.

use std::{collections::HashMap, io, net::Ipv4Addr, os::fd::AsRawFd as _, time::Instant};

use bootcode_core::{document::DhcpMode, mac::MacAddr};
use nix::{libc, sys::socket::LinkAddr};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, info, warn};

use super::{
    Shell,
    frame::{Ends, frame, payload},
    link::Link,
};
use crate::{
    limits,
    query::ServerPort,
    rival::{Change, Rivals, offer, search, searcher},
};

/// Ethernet's type of IPv4.
const ETHERTYPE: u16 = 0x0800;
const CLIENT_PORT: u16 = 68;

/// Where the searches of other Bootcodes are brought, by interface.
pub(super) type Searches = HashMap<String, mpsc::Sender<Ipv4Addr>>;

/// A wire that we lease on.
#[derive(PartialEq)]
struct Wire {
    network: String,
    /// Our address there.
    server: Ipv4Addr,
    link: Link,
}

/// Watches one interface until dropped. Serving goes on meanwhile, and nothing is sent where the mode is another.
pub(super) async fn watch(shell: &Shell, interface: &str, mut searches: mpsc::Receiver<Ipv4Addr>) {
    let (mut known, mut wire, mut due, mut failed) = (Rivals::default(), None::<Wire>, Instant::now(), false);
    let mut look = interval_of_looks();
    loop {
        tokio::select! {
            Some(server) = searches.recv() => {
                let Some(wire) = wire.as_ref().filter(|wire| !shell.own(&wire.link, server)) else { continue };
                if let Some(change) = known.heard(server, Instant::now()) {
                    tell(change, interface, wire);
                    // It shall know of us too, before its next search.
                    due = Instant::now();
                }
            }
            _ = look.tick() => {
                // Where documents or the interface cannot be read, all stays as it was.
                let Ok(found) = leasing(shell, interface).await else { continue };
                if found != wire {
                    (wire, due) = (found, Instant::now());
                    if wire.is_none() {
                        known = Rivals::default();
                    }
                }
            }
        }
        if let Some(wire) = wire.as_ref().filter(|_| due <= Instant::now()) {
            let found = look_around(wire).await;
            let now = Instant::now();
            due = now + limits::RIVAL_AGAIN;
            match found {
                Ok(mut offers) => {
                    offers.retain(|(server, _)| !shell.own(&wire.link, *server));
                    for change in known.searched(&offers, now) {
                        tell(change, interface, wire);
                    }
                    (due, failed) = (now + known.next(), false);
                }
                Err(error) if !std::mem::replace(&mut failed, true) => {
                    warn!(%interface, %error, "other DHCP servers cannot be looked for (CAP_NET_RAW, and the interface up); trying again");
                }
                Err(error) => debug!(%interface, %error, "other DHCP servers cannot be looked for"),
            }
        }
        shell.metrics.other_servers(interface, known.count());
    }
}

fn interval_of_looks() -> tokio::time::Interval {
    let mut look = interval(limits::RIVAL_LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// The wire, if its Network is authoritative and there are frames on it; `Err` where that cannot be told.
async fn leasing(shell: &Shell, interface: &str) -> Result<Option<Wire>, ()> {
    let link = Link::find(interface).map_err(drop)?;
    let network = shell.network_of(&link).await.map_err(drop)?;
    let network = network.filter(|network| network.spec.dhcp.mode == DhcpMode::Authoritative);
    Ok(network.filter(|_| link.hardware.is_some()).map(|network| Wire {
        network: network.name.clone(),
        server: shell.config.site.address(Some(&network)),
        link,
    }))
}

fn tell(change: Change, interface: &str, wire: &Wire) {
    let network = &wire.network;
    match change {
        Change::Found(server, Some(offered)) => warn!(
            %server, %offered, %interface, %network,
            "another DHCP server leases on this wire, whose Network is authoritative: machines take the address of either; write `dhcp: {{mode: proxy}}` in the Network, or switch the other server off"
        ),
        Change::Found(server, None) => warn!(
            %server, %interface, %network,
            "another Bootcode is authoritative on this wire: machines take the address of either; write `dhcp: {{mode: none}}` or `{{mode: proxy}}` in the Network of one of the two, or stop one"
        ),
        Change::Gone(server) => {
            info!(%server, %interface, %network, "the other DHCP server is gone from this wire");
        }
    }
}

/// One search: who offered which address.
async fn look_around(wire: &Wire) -> io::Result<Vec<(Ipv4Addr, Ipv4Addr)>> {
    let Some((card, address)) = &wire.link.hardware else { return Ok(Vec::new()) };
    let mac = searcher(*card);
    let xid = transaction();
    let socket = open(address)?;
    // From the card's own address: switches close ports where another appears.
    let ends = Ends {
        from: (*card, Ipv4Addr::UNSPECIFIED, CLIENT_PORT),
        to: (MacAddr([0xff; 6]), Ipv4Addr::BROADCAST, ServerPort::Dhcp.number()),
    };
    let frame = frame(&ends, &search(xid, mac, wire.server)).ok_or(io::ErrorKind::InvalidInput)?;
    socket.send(&frame).await?;
    let mut offers = Vec::new();
    let heard = async {
        let mut buffer = [0; limits::MESSAGE_MAX_BYTES];
        while offers.len() < limits::RIVALS {
            let length = socket.recv(&mut buffer).await?;
            offers.extend(payload(&buffer[..length], CLIENT_PORT).and_then(|bytes| offer(bytes, xid, mac)));
        }
        io::Result::Ok(())
    };
    match tokio::time::timeout(limits::RIVAL_WAIT, heard).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(offers),
    }
}

/// One that nobody else on the wire has by accident.
fn transaction() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    // The low half: each state has keys of its own.
    RandomState::new().hash_one(0) as u32
}

/// Hears UDP to port 68 on one interface, and sends frames.
fn open(interface: &LinkAddr) -> io::Result<UdpSocket> {
    let protocol = Protocol::from(i32::from(ETHERTYPE.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    socket.attach_filter(&to_clients())?;
    nix::sys::socket::bind(socket.as_raw_fd(), interface)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// Classic BPF: no fragment of IPv4, UDP to port 68. Images pass this interface too, and none of them shall be copied here.
fn to_clients() -> [SockFilter; 9] {
    let op = |code: u32, k: u32, jt: u8, jf: u8| SockFilter::new(code as u16, jt, jf, k);
    let (load, jump) = (libc::BPF_LD | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_K);
    [
        op(load | libc::BPF_B, 23, 0, 0),
        op(jump | libc::BPF_JEQ, 17, 0, 6),
        op(load | libc::BPF_H, 20, 0, 0),
        op(jump | libc::BPF_JSET, 0x1fff, 4, 0),
        op(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 14, 0, 0),
        op(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, 16, 0, 0),
        op(jump | libc::BPF_JEQ, u32::from(CLIENT_PORT), 0, 1),
        op(libc::BPF_RET | libc::BPF_K, limits::MESSAGE_MAX_BYTES as u32, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}
