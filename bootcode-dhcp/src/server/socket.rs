//! The sockets of one port on one interface.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd as _, AsRawFd as _},
    sync::Arc,
};

use bootcode_core::mac::MacAddr;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};
use tracing::warn;

use super::{
    BindError, DhcpMetrics,
    frame::{Ends, frame},
    inbox::Inbox,
    link::Link,
    outbox::{Outbox, Outgoing},
    sendmmsg::send_many,
};
use crate::{destination::Destination, limits, query::ServerPort, wire::ReplyType};

/// Where clients listen.
const CLIENT_PORT: u16 = 68;
/// Where relay agents listen.
const RELAY_PORT: u16 = 67;

/// One port of one interface.
pub(super) struct Port {
    pub(super) link: Arc<Link>,
    pub(super) number: ServerPort,
    udp: UdpSocket,
    frames: Option<Frames>,
    outbox: Outbox,
}

/// A way around ARP.
struct Frames {
    socket: Socket,
    mac: MacAddr,
}

impl Port {
    pub(super) fn open(link: &Arc<Link>, number: ServerPort) -> Result<Self, BindError> {
        let fail = |source| BindError::Port { port: number.number(), interface: link.name.clone(), source };
        let udp = open_udp(&link.name, number.number()).map_err(fail)?;
        let frames = match (number, &link.hardware) {
            (ServerPort::Dhcp, Some((mac, address))) => match open_frames(address) {
                Ok(socket) => Some(Frames { socket, mac: *mac }),
                Err(error) => {
                    warn!(interface = %link.name, %error, "no raw frames (CAP_NET_RAW): replies to machines without an address are broadcast");
                    None
                }
            },
            _ => None,
        };
        Ok(Self { link: Arc::clone(link), number, udp, frames, outbox: Outbox::default() })
    }

    /// Returns when there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.udp.readable().await
    }

    /// Packets that have arrived; whether there were any.
    pub(super) fn read(&self, inbox: &mut Inbox) -> io::Result<bool> {
        match self.udp.try_io(Interest::READABLE, || inbox.fill(self.udp.as_raw_fd())) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// From now on replies wait for [`Self::flush`].
    pub(super) fn gather(&self) {
        self.outbox.gather();
    }

    /// Sends a reply by its destination, at once or with those of its batch.
    pub(super) async fn send(&self, reply: Addressed, metrics: &DhcpMetrics) {
        let Addressed { bytes, server, to, kind, mac } = reply;
        let to = match to {
            Destination::Relay(relay) => SocketAddrV4::new(relay, RELAY_PORT),
            Destination::Configured(ip) => SocketAddrV4::new(ip, CLIENT_PORT),
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
            Destination::Peer(peer) => peer,
            Destination::Unconfigured { mac, ip } => {
                if let Some(frames) = &self.frames
                    && frames.send(&bytes, server, (mac, ip)).is_ok()
                {
                    return metrics.answered(kind);
                }
                // RFC 2131 4.1 allows it for every client, whatever its flag says.
                SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
            }
        };
        // From this address where the interface has it.
        let from = if self.link.addresses.contains(&server) { server } else { Ipv4Addr::UNSPECIFIED };
        if !self.outbox.put(Outgoing { bytes, from, to, kind, mac }) {
            self.flush(metrics).await;
        }
    }

    /// Sends what waits.
    pub(super) async fn flush(&self, metrics: &DhcpMetrics) {
        let waiting = self.outbox.take();
        let mut rest = &waiting[..];
        while let Some((first, others)) = rest.split_first() {
            let alike = others.iter().take_while(|other| other.from == first.from).count();
            let together = &rest[..limits::AT_ONCE.min(1 + alike)];
            match self.send_together(first.from, together).await {
                Ok(sent) => {
                    rest[..sent].iter().for_each(|reply| metrics.answered(reply.kind));
                    rest = &rest[sent..];
                }
                Err(error) => {
                    metrics.unsent.inc();
                    warn!(mac = %first.mac, to = %first.to, %error, "sending a DHCP reply failed");
                    rest = others;
                }
            }
        }
    }

    /// How many were sent.
    async fn send_together(&self, from: Ipv4Addr, replies: &[Outgoing]) -> io::Result<usize> {
        let send = || {
            let datagrams = replies.iter().map(|reply| (&reply.bytes[..], reply.to));
            send_many(self.udp.as_fd(), self.link.index, from, datagrams)
        };
        match self.udp.try_io(Interest::WRITABLE, send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::timeout(limits::SEND_WAIT, self.udp.async_io(Interest::WRITABLE, send)).await?
            }
            sent => sent,
        }
    }
}

/// A reply and where it goes.
pub(super) struct Addressed {
    pub(super) bytes: Vec<u8>,
    /// Our address that it comes from.
    pub(super) server: Ipv4Addr,
    pub(super) to: Destination,
    pub(super) kind: ReplyType,
    pub(super) mac: MacAddr,
}

impl Frames {
    fn send(&self, bytes: &[u8], server: Ipv4Addr, (mac, ip): (MacAddr, Ipv4Addr)) -> io::Result<()> {
        let ends = Ends { from: (self.mac, server, ServerPort::Dhcp.number()), to: (mac, ip, CLIENT_PORT) };
        let frame = frame(&ends, bytes).ok_or(io::ErrorKind::InvalidInput)?;
        self.socket.send(&frame).map(drop)
    }
}

fn open_udp(interface: &str, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // One socket an interface on the same port, and a server may run beside us where we are a proxy.
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    // Past the system's bound where we may, up to it where we may not.
    if setsockopt(&socket, sockopt::RcvBufForce, &limits::RECEIVE_BUFFER_BYTES).is_err() {
        socket.set_recv_buffer_size(limits::RECEIVE_BUFFER_BYTES)?;
    }
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    UdpSocket::from_std(socket.into())
}

/// A socket that sends frames from one interface and receives none, since it is bound to no protocol.
fn open_frames(interface: &nix::sys::socket::LinkAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    nix::sys::socket::bind(socket.as_raw_fd(), interface)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
