//! DHCP and PXE for machines that boot from the network: RFC 2131, 2132, 3046, 3396, 4578 and the PXE specification.
//!
//! ```text
//!  socket --> wire::Packet --> classify --> look-ups --> respond --> wire::encode --> socket
//!             (bounded)         Query    hardware,work   Response    + Destination
//!                                |          network        |
//!                                +-- Ignore(Reason) -------+--> timeline, log
//! ```
//!
//! [`classify`] and [`respond`] decide and do nothing else: no socket, no clock. [`DhcpServer`] is the shell around them. What a machine
//! boots is asked of a [`BootPolicy`](bootcode_core::policy::BootPolicy); where machines, networks and work come from are traits too.
//! No type of the codec appears here. Beside it, where a Network says `noIpv6Router`, `solicitation` ends iPXE's search for an IPv6 router.
//!
//! ```
//! use bootcode_dhcp::{Packet, RxMeta, ServerPort, Verdict, classify};
//! let bytes = [0u8; 300]; // what a socket received
//! let rx = RxMeta { source: "0.0.0.0:68".parse()?, port: ServerPort::Dhcp, to: None };
//! assert!(Packet::decode(&bytes).is_err(), "no magic cookie: not DHCP");
//! # let _ = |packet: &Packet<'_>| matches!(classify(packet, &rx), Verdict::Answer(_));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod boot;
mod client;
mod destination;
mod lease;
pub mod limits;
mod mode;
mod preview;
mod query;
mod record;
mod reply;
mod responder;
mod rival;
mod server;
mod solicitation;
mod unknown;
mod wire;

pub use boot::{Boot, Onward};
pub use client::{BootClient, ClientMachineId, UserClass, VendorClass};
pub use destination::Destination;
pub use lease::{LeaseAsk, LeaseChange, LeaseTable, Refusal, Standing};
pub use query::{Message, Query, RequestKind, RxMeta, ServerPort, classify};
pub use record::events;
pub use responder::{Commit, Facts, Notice, Response, Sending, Verdict, respond};
pub use server::{BindError, DhcpConfig, DhcpMetrics, DhcpServer, Sources, interface_addresses};
pub use wire::{Encoded, Malformed, Packet, Reply, ReplyOption, ReplyType, code};
