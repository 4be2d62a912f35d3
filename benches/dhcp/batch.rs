//! Many datagrams by one system call, each way: the load shall not be what holds a server back.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::UdpSocket,
    os::fd::AsRawFd as _,
};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

const AT_ONCE: usize = 64;
const ROOM: usize = 1500;

/// What was received together.
pub(crate) struct Received {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Received {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; AT_ONCE * ROOM], lengths: Vec::new() }
    }

    /// Waits for a first datagram, as long as the socket's time-out, and takes what is there besides.
    pub(crate) fn fill(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.lengths.clear();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(AT_ONCE, None);
        let mut parts: Vec<_> =
            self.bytes.chunks_exact_mut(ROOM).map(|room| [IoSliceMut::new(room)]).collect();
        match recvmmsg(socket.as_raw_fd(), &mut headers, parts.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
            Ok(messages) => self.lengths.extend(messages.map(|message| message.bytes)),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => (),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(ROOM).zip(&self.lengths).map(|(room, length)| &room[..*length])
    }
}

/// Sends all of them on a connected socket that waits.
pub(crate) fn send(socket: &UdpSocket, out: &mut Vec<Vec<u8>>) -> io::Result<()> {
    for some in out.chunks(AT_ONCE) {
        let parts: Vec<_> = some.iter().map(|bytes| [IoSlice::new(bytes)]).collect();
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(some.len(), None);
        sendmmsg(socket.as_raw_fd(), &mut headers, &parts, vec![None; some.len()], [], MsgFlags::empty())?;
    }
    out.clear();
    Ok(())
}
