//! The system calls: receiving with the address that was asked, sending several blocks in one call.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd as _,
};

use nix::{
    errno::Errno,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};

use crate::limits;

/// A datagram's outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) len: usize,
    pub(super) peer: SocketAddr,
    /// The address of ours that was asked; `None` for a broadcast, which must not be answered (RFC 1123 4.2.3.5).
    pub(super) asked: Option<IpAddr>,
}

/// The socket that requests arrive at.
pub(super) fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    if setsockopt(&socket, sockopt::RcvBufForce, &limits::LISTEN_BUFFER_BYTES).is_err() {
        // Without CAP_NET_ADMIN the system's own bound holds; that is slower at a thousand machines, not wrong.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &limits::LISTEN_BUFFER_BYTES);
    }
    match address {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    UdpSocket::from_std(socket)
}

/// The next datagram; longer ones than `buffer` are dropped.
pub(super) async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    loop {
        if let Some(received) = socket.async_io(Interest::READABLE, || receive_now(socket, buffer)).await? {
            return Ok(received);
        }
    }
}

fn receive_now(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    let mut control = nix::cmsg_space!(nix::libc::in6_pktinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty())?;
    let (len, flags) = (message.bytes, message.flags);
    let Some(peer) = message.address.as_ref().and_then(socket_address) else { return Ok(None) };
    if flags.contains(MsgFlags::MSG_TRUNC) {
        return Ok(None);
    }
    let asked = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) if info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr => {
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr))
            .filter(|address| !address.is_multicast())
            .map(IpAddr::V6),
        _ => None,
    });
    Ok(Some(Received { len, peer, asked }))
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()))
        .or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

/// A transfer's own socket, which hears its client only.
pub(super) async fn connect(ours: IpAddr, peer: SocketAddr) -> io::Result<UdpSocket> {
    let mut local = SocketAddr::new(ours, 0);
    if let (SocketAddr::V6(local), SocketAddr::V6(peer)) = (&mut local, &peer)
        && local.ip().is_unicast_link_local()
    {
        local.set_scope_id(peer.scope_id());
    }
    let socket = UdpSocket::bind(local).await?;
    socket.connect(peer).await?;
    Ok(socket)
}

/// Where a datagram of the shared socket goes, and the address of ours that it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct To {
    pub(super) peer: SocketAddr,
    pub(super) ours: IpAddr,
}

/// Sends datagrams that lie behind each other, all `datagram` bytes long but the last one; `to` where the socket is not connected.
///
/// `segmented` is whether one call for all of them is worth trying; a path that cannot do it turns it off.
pub(super) async fn send(
    socket: &UdpSocket,
    to: Option<To>,
    bytes: &[u8],
    datagram: usize,
    segmented: &mut bool,
) -> io::Result<()> {
    let one = async |bytes: &[u8]| match to {
        None => socket.send(bytes).await.map(drop),
        Some(_) => socket.async_io(Interest::WRITABLE, || send_now(socket, to, bytes, None)).await,
    };
    let per_call = if *segmented { (MAX_UDP_BYTES / datagram).clamp(1, MAX_SEGMENTS) } else { 1 };
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(per_call * datagram));
        if now.len() <= datagram {
            one(now).await?;
        } else {
            let size = Some(u16::try_from(datagram).map_err(|_| Errno::EINVAL)?);
            match socket.async_io(Interest::WRITABLE, || send_now(socket, to, now, size)).await {
                Ok(()) => {}
                Err(error) if refuses_segments(&error) => {
                    *segmented = false;
                    for datagram in now.chunks(datagram) {
                        one(datagram).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        rest = later;
    }
    Ok(())
}

/// The most that one UDP datagram, and with it one segmented send, may hold.
const MAX_UDP_BYTES: usize = 65_507;
/// UDP_MAX_SEGMENTS of kernels before 6.9.
const MAX_SEGMENTS: usize = 64;

fn send_now(socket: &UdpSocket, to: Option<To>, bytes: &[u8], segment: Option<u16>) -> io::Result<()> {
    let (v4, v6) = to.map_or((None, None), source);
    let control: Vec<ControlMessage<'_>> = [
        v4.as_ref().map(ControlMessage::Ipv4PacketInfo),
        v6.as_ref().map(ControlMessage::Ipv6PacketInfo),
        segment.as_ref().map(ControlMessage::UdpGsoSegments),
    ]
    .into_iter()
    .flatten()
    .collect();
    let peer = to.map(|to| SockaddrStorage::from(to.peer));
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), peer.as_ref())?;
    Ok(())
}

/// The address that a datagram comes from: the one that was asked, whatever the route to the client.
fn source(to: To) -> (Option<nix::libc::in_pktinfo>, Option<nix::libc::in6_pktinfo>) {
    match to.ours {
        IpAddr::V4(ours) => {
            let ours = nix::libc::in_addr { s_addr: u32::from(ours).to_be() };
            let unset = nix::libc::in_addr { s_addr: 0 };
            (Some(nix::libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: ours, ipi_addr: unset }), None)
        }
        IpAddr::V6(ours) => {
            let scope = match to.peer {
                SocketAddr::V6(peer) => peer.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            let ours = nix::libc::in6_addr { s6_addr: ours.octets() };
            (None, Some(nix::libc::in6_pktinfo { ipi6_addr: ours, ipi6_ifindex: scope }))
        }
    }
}

/// What kernels and drivers say where they cannot segment: EIO without checksum offload, EINVAL and EMSGSIZE above the MTU.
fn refuses_segments(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE | Errno::EOPNOTSUPP | Errno::ENOPROTOOPT)
    )
}
