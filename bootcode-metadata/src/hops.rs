//! How far the packets of a connection go.

use std::{
    num::NonZeroU8,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// The hop limit (IP's time to live) of the connection that a request came by, for answers that must not go further than the machine:
/// EC2's sessions where the machine has `instance.httpPutResponseHopLimit`.
///
/// The front that accepts connections puts one into each request's extensions, and before it writes to a connection gives the socket
/// this limit. Where there is none, such answers are refused. Clones are of the same connection.
#[derive(Debug, Clone, Default)]
pub struct HopLimit(Arc<AtomicU8>);

impl HopLimit {
    /// What the connection's packets may go from now on; `None` is as far as the system lets them.
    #[must_use]
    pub fn get(&self) -> Option<NonZeroU8> {
        NonZeroU8::new(self.0.load(Ordering::Acquire))
    }

    /// So many hops, until the connection ends: 1 is the machine that asks, and not what it forwards to.
    pub fn set(&self, hops: NonZeroU8) {
        self.0.store(hops.get(), Ordering::Release);
    }
}
