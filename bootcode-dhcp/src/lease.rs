//! Addresses of pools: who has which, who may have which, and what is written of it.
//!
//! ```text
//!  DISCOVER  --LeaseTable::standing--> May { clear: false } --probe--> clear --> OFFER (held in memory for 120 s)
//!  REQUEST   --------------------------> May -----------> LeaseChange --store, fsync--> settle --> ACK
//!  DECLINE, or a probe that is answered --> quarantine (an hour); RELEASE --> free, remembered for its machine
//! ```
//!
//! A machine is its hardware address, and has one address in a network through all of its stages: firmware, iPXE and the system send
//! different client identifiers (option 61), which are noted and never looked up. Two machines with one identifier, as cloned systems
//! have, are two machines here.

mod pool;
mod table;

use std::net::Ipv4Addr;

use bootcode_core::{clock::Timestamp, lease::Lease};

pub(crate) use self::table::later;
pub use self::table::{LeaseAsk, LeaseTable};

/// How a client stands with a pool, as [`LeaseTable::standing`] found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may have the address: the one that it names or, on DISCOVER, the one that was chosen and is held for it now. Of a DECLINE or
    /// RELEASE: it has it.
    May {
        /// The address.
        ip: Ipv4Addr,
        /// Whether nobody else uses it, as far as is known. Where this is not so, the wire is to be asked first.
        clear: bool,
        /// Until when its durable lease of this address runs.
        leased: Option<Timestamp>,
    },
    /// It may not have the address that it names; it has a lease of another one, or somebody else has this one.
    Refused {
        /// The address that it names.
        ip: Ipv4Addr,
        /// Why, for whoever reads a capture.
        because: Refusal,
    },
    /// Nothing is known of it (RFC 2131 4.3.2: then a server is silent).
    Unrecorded,
    /// No address is free.
    Exhausted,
    /// The reservation that it asks for is leased to another machine still.
    Taken {
        /// The address.
        ip: Ipv4Addr,
    },
    /// The store is away: it may use its address for as long as its durable lease runs, and no longer.
    Kept {
        /// The address.
        ip: Ipv4Addr,
        /// Until when.
        ends: Timestamp,
    },
    /// The store is away, and it has no lease that runs: nothing can be promised to it.
    Away,
}

/// Why a client may not have the address that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It lies outside the pool or the network, or is reserved.
    NotHere,
    /// Somebody else has it, or it is in quarantine.
    Taken,
    /// Its lease has ended.
    Ended,
    /// This one is the client's.
    Other(Ipv4Addr),
}

/// A change of one lease, to be made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseChange {
    /// The network's name.
    pub network: String,
    /// The address.
    pub ip: Ipv4Addr,
    /// What is to be kept of it.
    pub lease: Lease,
}
