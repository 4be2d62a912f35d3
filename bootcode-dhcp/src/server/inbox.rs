//! Packets as they arrive: many by one system call.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::RawFd,
};

use nix::{
    libc::in_pktinfo,
    sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg},
};

use crate::limits;

/// Room for one more byte than a message may have, so that a longer one is known.
const ROOM: usize = limits::MESSAGE_MAX_BYTES + 1;

/// What was read by one call.
pub(super) struct Inbox {
    bytes: Vec<u8>,
    received: Vec<Received>,
}

/// One packet of an [`Inbox`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) length: usize,
    pub(super) source: SocketAddrV4,
    /// The address in the packet's header: ours, or a broadcast.
    pub(super) to: Option<Ipv4Addr>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; limits::AT_ONCE * ROOM], received: Vec::with_capacity(limits::AT_ONCE) }
    }

    /// Reads what has arrived, as much as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has.
    pub(super) fn fill(&mut self, socket: RawFd) -> io::Result<()> {
        self.received.clear();
        let mut headers =
            MultiHeaders::<SockaddrIn>::preallocate(limits::AT_ONCE, Some(nix::cmsg_space!(in_pktinfo)));
        let mut parts: Vec<_> =
            self.bytes.chunks_exact_mut(ROOM).map(|room| [IoSliceMut::new(room)]).collect();
        let messages = recvmmsg(socket, &mut headers, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        for message in messages {
            let source = message.address.map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), Into::into);
            let to = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()))
                }
                _ => None,
            });
            self.received.push(Received { length: message.bytes, source, to });
        }
        Ok(())
    }

    /// Whether there may be more than there was room for.
    pub(super) fn is_full(&self) -> bool {
        self.received.len() == limits::AT_ONCE
    }

    /// The packets in the order they came.
    pub(super) fn packets(&self) -> impl Iterator<Item = (&[u8], Received)> {
        let bytes = self.bytes.chunks_exact(ROOM).zip(&self.received);
        bytes.map(|(room, received)| (&room[..received.length.min(ROOM)], *received))
    }
}
