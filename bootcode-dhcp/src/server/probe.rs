//! Asks the wire who has an address before it is offered (RFC 2131 4.4.1): ARP where the client is, ICMP echo behind a relay.
//!
//! One task an interface. A question waits 300 ms: its probe leaves at once and, in case that is lost, after 100 ms again. A host on the
//! wire answers in less than a millisecond, one that dozes in some ten; firmware waits at least a second for its first offer. A machine
//! that had its address lately is not asked about, so this is paid once a machine.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd as _,
    sync::Arc,
};

use bootcode_core::{
    document::Network,
    mac::MacAddr,
    timeline::{BootEvent, BootEventKind, Reason, Subject},
};
use nix::sys::socket::LinkAddr;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use super::{Found, Shell, arp, echo, link::Link, socket::Port};
use crate::{limits, query::Query};

/// A question that waits for its address to be found free.
pub(super) struct Doubt {
    pub(super) query: Query,
    pub(super) found: Found,
    pub(super) port: Arc<Port>,
    pub(super) ip: Ipv4Addr,
    /// Addresses that were found in use for it already.
    pub(super) tried: u32,
}

/// Where doubts of one interface are brought.
pub(super) type Doubts = mpsc::Sender<Box<Doubt>>;

/// The task of one interface.
pub(super) struct Prober {
    interface: String,
    /// Its address and place when `arp` was opened.
    hardware: (MacAddr, LinkAddr),
    // Neither is UDP: this is the runtime's type for a datagram socket, of which `send` and `recv` know no protocol.
    arp: UdpSocket,
    echo: UdpSocket,
    doubts: mpsc::Receiver<Box<Doubt>>,
    open: HashMap<Ipv4Addr, Box<Doubt>>,
    /// When probes are repeated, and when silence is an answer; each in order, since all wait equally long.
    again: VecDeque<(Instant, Ipv4Addr)>,
    ends: VecDeque<(Instant, Ipv4Addr)>,
}

impl Prober {
    /// Opens the sockets; `None` for interfaces without frames.
    pub(super) fn open(link: &Link) -> Option<(Doubts, Self)> {
        let hardware = link.hardware?;
        let sockets = open_arp(&hardware.1).and_then(|arp| Ok((arp, open_echo()?)));
        match sockets {
            Ok((arp, echo)) => {
                let (sender, doubts) = mpsc::channel(limits::PROBES);
                let (interface, open) = (link.name.clone(), HashMap::new());
                let (again, ends) = (VecDeque::new(), VecDeque::new());
                Some((sender, Self { interface, hardware, arp, echo, doubts, open, again, ends }))
            }
            Err(error) => {
                warn!(interface = %link.name, %error, "no raw sockets (CAP_NET_RAW): addresses of pools are offered without asking who has them");
                None
            }
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self, shell: Arc<Shell>) {
        let mut watch = interval(limits::LINK_WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = [self.again.front(), self.ends.front()].into_iter().flatten().map(|(at, _)| *at).min();
            let claims = tokio::select! {
                Some(doubt) = self.doubts.recv() => {
                    self.ask(doubt);
                    continue;
                }
                claims = heard(&self.arp, arp::claim) => claims,
                claims = heard(&self.echo, |bytes| echo::answered(bytes).map(|ip| (ip, MacAddr([0; 6])))) => claims,
                () = until(next) => {
                    self.due(&shell).await;
                    continue;
                }
                _ = watch.tick() => {
                    self.follow();
                    continue;
                }
            };
            match claims {
                Ok(claims) => self.claimed(&shell, claims).await,
                Err(error) => {
                    debug!(interface = %self.interface, %error, "probes cannot be heard; trying again");
                    tokio::time::sleep(limits::RECEIVE_RETRY).await;
                }
            }
        }
    }

    /// Where the interface was made anew its ARP is heard there.
    fn follow(&mut self) {
        let Ok(Link { hardware: Some(hardware), .. }) = Link::find(&self.interface) else { return };
        if hardware == self.hardware {
            return;
        }
        match open_arp(&hardware.1) {
            Ok(arp) => (self.arp, self.hardware) = (arp, hardware),
            Err(error) => warn!(
                interface = %self.interface, %error,
                "an interface has changed, and who has an address cannot be asked there; trying again"
            ),
        }
    }

    fn ask(&mut self, doubt: Box<Doubt>) {
        let (ip, now) = (doubt.ip, Instant::now());
        if !self.send(&doubt) {
            // Its interface may have been made anew since the last look.
            self.follow();
            self.send(&doubt);
        }
        // A client that asks again meanwhile does not begin anew: its newer question gets the answer.
        if self.open.insert(ip, doubt).is_none() {
            self.again.push_back((now + limits::PROBE_AGAIN, ip));
            self.ends.push_back((now + limits::PROBE_WAIT, ip));
        }
    }

    /// A probe that cannot be sent is one that nobody answers; a full queue of the interface is why there are two. `false` where the
    /// socket is of no use.
    fn send(&self, doubt: &Doubt) -> bool {
        let sent = if doubt.query.giaddr.is_unspecified() {
            self.arp.try_send(&arp::probe(self.hardware.0, doubt.ip))
        } else {
            self.echo.try_send_to(&echo::request(doubt.ip), SocketAddrV4::new(doubt.ip, 0).into())
        };
        match sent {
            Ok(_) => true,
            Err(error) => {
                debug!(ip = %doubt.ip, %error, "a probe could not be sent");
                error.kind() == io::ErrorKind::WouldBlock
            }
        }
    }

    async fn due(&mut self, shell: &Shell) {
        let now = Instant::now();
        while let Some((_, ip)) = self.again.pop_front_if(|(at, _)| *at <= now) {
            if let Some(doubt) = self.open.get(&ip) {
                self.send(doubt);
            }
        }
        while let Some((_, ip)) = self.ends.pop_front_if(|(at, _)| *at <= now) {
            let Some(doubt) = self.open.remove(&ip) else { continue };
            let Doubt { query, found, port, tried, .. } = *doubt;
            if let Some(leases) = &shell.leases {
                leases.clear(&found, ip, query.mac);
            }
            shell.answer(query, &port, tried).await;
        }
    }

    async fn claimed(&mut self, shell: &Shell, claims: Vec<(Ipv4Addr, MacAddr)>) {
        for (ip, mac) in claims {
            // The machine itself may have its address still, from the stage before.
            let anothers = |doubt: &Doubt| mac != doubt.query.mac && mac != self.hardware.0;
            if !self.open.get(&ip).is_some_and(|doubt| anothers(doubt)) {
                continue;
            }
            let Some(doubt) = self.open.remove(&ip) else { continue };
            // Its place in the queues goes with it: the address may be asked about anew before they come to it.
            self.again.retain(|(_, other)| *other != ip);
            self.ends.retain(|(_, other)| *other != ip);
            let Doubt { query, found, port, tried, .. } = *doubt;
            let Some((leases, network)) = shell.leases.as_ref().zip(found.network.as_ref()) else { continue };
            in_use(shell, &query, &found, network, (ip, mac));
            leases.quarantine(network, ip, query.mac, shell.sources.clock.now());
            shell.answer(query, &port, tried + 1).await;
        }
    }
}

/// Somebody has the address of a pool.
fn in_use(shell: &Shell, query: &Query, found: &Found, network: &Network, (ip, by): (Ipv4Addr, MacAddr)) {
    let by = if by == MacAddr([0; 6]) { "a machine behind the relay".to_owned() } else { by.to_string() };
    warn!(%ip, %by, network = network.name, mac = %query.mac, "an address of the pool is in use by another machine; it gets the next one");
    if found.hardware.is_some() {
        let kind = BootEventKind::Ignored { reason: Reason::AddressInUse };
        let at = shell.sources.clock.now();
        shell.sources.recorder.record(BootEvent { at, subject: Subject::Mac(query.mac), kind });
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits until something is heard, and takes all of it.
async fn heard(
    socket: &UdpSocket,
    read: impl Fn(&[u8]) -> Option<(Ipv4Addr, MacAddr)>,
) -> io::Result<Vec<(Ipv4Addr, MacAddr)>> {
    socket.readable().await?;
    let mut buffer = [0; limits::PROBE_BYTES];
    let mut claims = Vec::new();
    for _ in 0..limits::PROBES_HEARD {
        match socket.try_recv(&mut buffer) {
            Ok(length) => claims.extend(read(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(claims)
}

fn open_arp(interface: &LinkAddr) -> io::Result<UdpSocket> {
    let protocol = Protocol::from(i32::from(arp::ETHERTYPE.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    nix::sys::socket::bind(socket.as_raw_fd(), interface)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

fn open_echo() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}
