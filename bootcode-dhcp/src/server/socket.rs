//! The sockets of one port on one interface.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd,
    sync::Arc,
};

use bootcode_core::mac::MacAddr;
use nix::{
    libc::{in_addr, in_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
    },
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};
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

    /// Returns when there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.udp.readable().await
    }

    /// One packet that has arrived; `None` where no more has.
    pub(super) fn read(&self, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Option<Received>> {
        let read = self.udp.try_io(Interest::READABLE, || {
            let mut parts = [IoSliceMut::new(buffer)];
            let fd = self.udp.as_raw_fd();
            let message = recvmsg::<SockaddrIn>(fd, &mut parts, Some(control), MsgFlags::MSG_DONTWAIT)?;
            let source = message.address.map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), Into::into);
            let to = message.cmsgs()?.find_map(|control| match control {
                // The address in the packet's header: ours, or a broadcast.
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()))
                }
                _ => None,
            });
            Ok((message.bytes, source, to))
        });
        match read {
            Ok((length, source, to)) => {
                let to = to.filter(|to| self.link.addresses.contains(to));
                Ok(Some(Received { length, source, to }))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
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
        self.send_from(bytes, server, address).await
    }

    /// By this interface, and from this address where it has it.
    async fn send_from(&self, bytes: &[u8], from: Ipv4Addr, to: SocketAddrV4) -> io::Result<()> {
        let address = if self.link.addresses.contains(&from) { from } else { Ipv4Addr::UNSPECIFIED };
        let info = in_pktinfo {
            ipi_ifindex: i32::try_from(self.link.index).unwrap_or(0),
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let (parts, to) = ([IoSlice::new(bytes)], SockaddrIn::from(to));
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let send = || {
            sendmsg(self.udp.as_raw_fd(), &parts, &control, MsgFlags::MSG_DONTWAIT, Some(&to))
                .map_err(io::Error::from)
        };
        match self.udp.try_io(Interest::WRITABLE, send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::timeout(limits::SEND_WAIT, self.udp.async_io(Interest::WRITABLE, send))
                    .await?
                    .map(drop)
            }
            sent => sent.map(drop),
        }
    }
}

/// What was read into the buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) length: usize,
    pub(super) source: SocketAddrV4,
    /// Our address that it was sent to; `None` for a broadcast.
    pub(super) to: Option<Ipv4Addr>,
}

/// Room for what the system says of a packet.
pub(super) fn control_buffer() -> Vec<u8> {
    nix::cmsg_space!(in_pktinfo)
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
