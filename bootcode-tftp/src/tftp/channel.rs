//! The way between one transfer and its client: a port of its own, or the server's port shared with all others.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd as _,
    sync::Arc,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use tokio::{net::UdpSocket, sync::mpsc};

use super::{
    Packet,
    socket::{self, To},
};

/// How a transfer reaches its client.
pub(super) enum Channel {
    /// A connected socket (RFC 1350 section 4: a transfer identifier of its own).
    Own(UdpSocket),
    /// The listening socket; what came from the client's address and port arrives by a queue.
    Shared {
        /// The listening socket.
        socket: Arc<UdpSocket>,
        /// The client, and the address of ours that it asked.
        to: To,
        /// Its packets.
        inbox: mpsc::Receiver<Box<[u8]>>,
    },
}

impl Channel {
    pub(super) async fn own(ours: IpAddr, peer: SocketAddr) -> io::Result<Self> {
        Ok(Self::Own(socket::connect(ours, peer).await?))
    }

    /// The next packet, as much of it as `buffer` holds.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Own(socket) => socket.recv(buffer).await,
            Self::Shared { inbox, .. } => match inbox.recv().await {
                Some(packet) => Ok(copied(&packet, buffer)),
                // The server let go of this transfer and cancels it.
                None => std::future::pending().await,
            },
        }
    }

    /// A packet that is there already, whether or not the runtime has noticed it.
    pub(super) fn receive_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Own(socket) => match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(len) => Ok(Some(len)),
                Err(Errno::EAGAIN) => Ok(None),
                Err(errno) => Err(errno.into()),
            },
            Self::Shared { inbox, .. } => Ok(inbox.try_recv().ok().map(|packet| copied(&packet, buffer))),
        }
    }

    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.send_blocks(bytes, bytes.len(), &mut false).await
    }

    /// Sends datagrams that lie behind each other; see [`socket::send`].
    pub(super) async fn send_blocks(
        &self,
        bytes: &[u8],
        datagram: usize,
        segmented: &mut bool,
    ) -> io::Result<()> {
        match self {
            Self::Own(socket) => socket::send(socket, None, bytes, datagram, segmented).await,
            Self::Shared { socket, to, .. } => {
                socket::send(socket, Some(*to), bytes, datagram, segmented).await
            }
        }
    }

    /// One packet that nobody acknowledges; if it is lost, the client's own timer ends the transfer.
    pub(super) async fn tell(&self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        let _ = self.send(&bytes).await;
    }
}

fn copied(packet: &[u8], buffer: &mut [u8]) -> usize {
    let len = packet.len().min(buffer.len());
    buffer[..len].copy_from_slice(&packet[..len]);
    len
}
