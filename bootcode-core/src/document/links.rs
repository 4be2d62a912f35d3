//! What is made of a machine's interfaces: bonds and VLANs.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Bonds and VLANs over a machine's interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Links {
    /// Interfaces that are used as one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bonds: Vec<Bond>,
    /// Tagged networks (IEEE 802.1Q).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<Vlan>,
}

/// Interfaces that are used as one. The installed system has the reservation of the interface of these that has one at the bond;
/// firmware and OSIE have it at that interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bond {
    /// Its name on the machine: at most 15 characters.
    pub id: String,
    /// The ids of the interfaces.
    pub interfaces: Vec<String>,
    /// How they share the work.
    #[serde(default)]
    pub mode: BondMode,
}

/// How the interfaces of a bond share the work, by Linux's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BondMode {
    /// One works, the next takes over.
    #[default]
    ActiveBackup,
    /// Link aggregation with the switch (LACP).
    #[serde(rename = "802.3ad")]
    Lacp,
    /// Packet by packet in turn.
    BalanceRr,
    /// By a hash of the addresses.
    BalanceXor,
    /// All send everything.
    Broadcast,
    /// By load, sending.
    BalanceTlb,
    /// By load, sending and receiving.
    BalanceAlb,
}

/// A tagged network on an interface or a bond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vlan {
    /// Its name on the machine: at most 15 characters.
    pub id: String,
    /// The id of the interface or bond below it.
    pub link: String,
    /// The tag: 1 to 4094.
    pub vlan: u16,
    /// The Network that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Its reservation in that Network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Ipv4Addr>,
}
