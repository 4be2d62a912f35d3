//! Replies on their way out. Those to a batch of questions leave together, by one system call.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bootcode_core::mac::MacAddr;

use crate::wire::ReplyType;

/// A reply as a datagram.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    /// Unspecified where the system shall choose.
    pub(super) from: Ipv4Addr,
    pub(super) to: SocketAddrV4,
    pub(super) kind: ReplyType,
    pub(super) mac: MacAddr,
}

/// What waits to be sent on one port.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    replies: Vec<Outgoing>,
    gathering: bool,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on replies wait for [`Self::take`].
    pub(super) fn gather(&self) {
        self.lock().gathering = true;
    }

    /// Whether it waits; else whoever puts it here has to take it.
    pub(super) fn put(&self, reply: Outgoing) -> bool {
        let mut waiting = self.lock();
        waiting.replies.push(reply);
        waiting.gathering
    }

    /// All that waits; what comes from now on waits for nothing.
    pub(super) fn take(&self) -> Vec<Outgoing> {
        let mut waiting = self.lock();
        waiting.gathering = false;
        std::mem::take(&mut waiting.replies)
    }
}
