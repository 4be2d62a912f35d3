//! The closed reasons of all protocols for not answering, refusing or ending early.

use serde::{Deserialize, Serialize};

/// Why something was not answered or was refused: log field, metric label, timeline entry and a test's expectation at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The packet is no well-formed DHCP message.
    #[error("the packet is malformed")]
    Malformed,
    /// A BOOTREPLY, or a message type that only servers send.
    #[error("the message is a server's")]
    NotARequest,
    /// A Bootcode looks for other DHCP servers; that is no machine.
    #[error("a Bootcode looks for other servers")]
    ServerSearch,
    /// No declared Network fits the interface or relay.
    #[error("no declared Network is on this link")]
    UnknownNetwork,
    /// The Network's DHCP mode is `none`.
    #[error("the Network's dhcp.mode is none")]
    DhcpOff,
    /// No Hardware has this address.
    #[error("no Hardware document names this machine")]
    UnknownMachine,
    /// More than one Hardware fits.
    #[error("more than one Hardware document fits")]
    Ambiguous,
    /// The machine has no address in this Network.
    #[error("the machine has no address in this Network")]
    NoAddress,
    /// Another machine answers for the address, or said that it has it: a probe or the client's DECLINE found it.
    #[error(
        "another machine uses the address; give one of the two another address, or take it off this network"
    )]
    AddressInUse,
    /// Every address of the pool is leased, reserved or in quarantine.
    #[error("no address of the pool is free; widen `pool` in the Network, or shorten its `lease`")]
    PoolExhausted,
    /// The client chose another DHCP server.
    #[error("the client chose another server")]
    OtherServer,
    /// A proxy answers only PXE and HTTP boot clients.
    #[error("not a network boot client")]
    NotPxe,
    /// There is nothing that this machine should boot from the network.
    #[error("the machine boots its own disk")]
    LocalBoot,
    /// No network boot program for this architecture.
    #[error("no boot file for this architecture")]
    NoNbp,
    /// The interface has `netboot: false`.
    #[error("this interface has netboot: false")]
    NetbootOff,
    /// The machine's architecture is not the declared one.
    #[error("the machine's architecture is not the declared one")]
    WrongArch,
    /// The store does not answer.
    #[error("the store does not answer")]
    StoreAway,
    /// The address that asks is not the one that just did DHCP for this machine.
    #[error("asked from another address than the machine's")]
    WrongPeer,
    /// No DHCP exchange of this machine was seen.
    #[error("no DHCP exchange of this machine was seen before")]
    NoBootSession,
    /// The token is missing, forged, expired or another machine's.
    #[error("the token is not valid")]
    BadToken,
    /// The boot token was redeemed by another boot of OSIE already.
    #[error("the boot token was used already")]
    TokenUsed,
    /// No such file.
    #[error("no such file")]
    NotFound,
    /// The client said that it aborts.
    #[error("the client aborted")]
    ClientAborted,
    /// The client stopped answering.
    #[error("the client stopped answering")]
    TimedOut,
    /// The request breaks its protocol.
    #[error("the request is illegal")]
    IllegalRequest,
    /// Reading failed on our side.
    #[error("reading the file failed")]
    ReadFailed,
    /// A template of the machine's cannot be rendered with what is known of it.
    #[error("the template of this file cannot be rendered for this machine")]
    NotRendered,
    /// A bound of ours was reached.
    #[error("too many at once")]
    TooMany,
    /// The server was told to stop.
    #[error("the server stops")]
    ShuttingDown,
    /// An option or operation that we do not have.
    #[error("not supported")]
    Unsupported,
}

impl Reason {
    /// As documents, the timeline and metrics write it, such as `too-many`.
    #[must_use]
    pub fn name(self) -> String {
        // A variant without fields is written as its name.
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => self.to_string(),
        }
    }
}
