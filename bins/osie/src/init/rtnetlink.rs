//! The kernel's network settings, asked over a netlink socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

use super::error::InitError;
use crate::limits::NETLINK_REPLY_BYTES;
use crate::netlink::acknowledged;

/// A socket to the kernel's network settings.
pub(super) struct Rtnetlink {
    socket: OwnedFd,
}

impl Rtnetlink {
    /// Opens the socket.
    ///
    /// # Errors
    /// The kernel gives none.
    pub(super) fn open() -> Result<Self, InitError> {
        let family = AddressFamily::Netlink;
        let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .map_err(InitError::call("opening a netlink socket"))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))
            .map_err(InitError::call("binding a netlink socket"))?;
        Ok(Self { socket })
    }

    /// Sends one message of `crate::netlink` and waits for the kernel's answer; one that is done
    /// already (EEXIST) counts as done.
    ///
    /// # Errors
    /// What the kernel refused, with `what` to name it.
    pub(super) fn ask(&self, what: impl Into<String>, message: &[u8]) -> Result<(), InitError> {
        let refused = |source: io::Error, what: String| InitError::Network { what, source };
        let outcome = self.exchange(message);
        match outcome {
            Ok(0) => Ok(()),
            Ok(errno) if errno == nix::Error::EEXIST as i32 => Ok(()),
            Ok(errno) => Err(refused(io::Error::from_raw_os_error(errno), what.into())),
            Err(errno) => Err(refused(errno.into(), what.into())),
        }
    }

    fn exchange(&self, message: &[u8]) -> nix::Result<i32> {
        send(self.socket.as_raw_fd(), message, MsgFlags::empty())?;
        let mut reply = vec![0; NETLINK_REPLY_BYTES];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut reply, MsgFlags::empty())?;
            if let Some(errno) = acknowledged(&reply[..length]) {
                return Ok(errno);
            }
        }
    }
}
