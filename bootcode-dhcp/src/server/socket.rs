//! The sockets of one port on one interface.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::AsRawFd,
    sync::Arc,
};

use bootcode_core::mac::MacAddr;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tracing::warn;

use super::{
    BindError,
    frame::{Ends, frame},
    link::Link,
};
use crate::{destination::Destination, limits, query::ServerPort};

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
        Ok(Self { link: Arc::clone(link), number, udp, frames })
    }

    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.udp.recv_from(buffer).await
    }

    /// Sends a reply by its destination.
    pub(super) async fn send(&self, bytes: &[u8], server: Ipv4Addr, to: Destination) -> io::Result<()> {
        let address = match to {
            Destination::Relay(relay) => SocketAddrV4::new(relay, RELAY_PORT),
            Destination::Configured(ip) => SocketAddrV4::new(ip, CLIENT_PORT),
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
            Destination::Peer(peer) => peer,
            Destination::Unconfigured { mac, ip } => {
                if let Some(frames) = &self.frames
                    && frames.send(bytes, server, (mac, ip)).is_ok()
                {
                    return Ok(());
                }
                // RFC 2131 4.1 allows it for every client, whatever its flag says.
                SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
            }
        };
        self.udp.send_to(bytes, address).await.map(drop)
    }
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
