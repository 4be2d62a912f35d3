//! `kind: Network`: an IP network and what its DHCP does.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DhcpOption, NetworkNetboot, Route};

/// A Network with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// What is declared.
    pub spec: NetworkSpec,
}

/// `spec` of a Network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkSpec {
    /// The network; host bits must be zero.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub cidr: Ipv4Net,
    /// The default router.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// Routes besides the default one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Bytes of the largest packet, where it is not 1,500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Name servers and search domains.
    #[serde(default)]
    pub dns: Dns,
    /// Time servers.
    #[serde(default)]
    pub ntp: Vec<Ipv4Addr>,
    /// How long a lease runs.
    #[serde(default = "default_lease", with = "crate::yaml::duration")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub lease: std::time::Duration,
    /// What DHCP does here.
    #[serde(default)]
    pub dhcp: Dhcp,
    /// What machines here load instead of the server's own choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub netboot: NetworkNetboot,
    /// Addresses for machines without a reservation.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub pool: Vec<AddressRange>,
    /// What is done with machines that no Hardware names.
    #[serde(default)]
    pub unknown: UnknownMachines,
    /// Whether a source address is enough to read metadata.
    #[serde(default)]
    pub identity: MetadataIdentity,
}

impl NetworkSpec {
    /// A network of which nothing else is said; DHCP is off.
    #[must_use]
    pub fn new(cidr: Ipv4Net) -> Self {
        Self {
            cidr,
            gateway: None,
            routes: Vec::new(),
            mtu: None,
            dns: Dns::default(),
            ntp: Vec::new(),
            lease: default_lease(),
            dhcp: Dhcp::default(),
            netboot: NetworkNetboot::default(),
            pool: Vec::new(),
            unknown: UnknownMachines::default(),
            identity: MetadataIdentity::default(),
        }
    }

    /// Whether a machine may have this address here: inside, and neither the network's own nor the broadcast address.
    #[must_use]
    pub fn holds(&self, ip: Ipv4Addr) -> bool {
        self.cidr.contains(&ip) && ip != self.cidr.network() && ip != self.cidr.broadcast()
    }

    /// Why it may not.
    pub(super) fn outside(&self, ip: Ipv4Addr) -> String {
        let cidr = self.cidr.trunc();
        if ip == cidr.network() {
            format!("{ip} is the address of the network {cidr} itself")
        } else if ip == cidr.broadcast() {
            format!("{ip} is the broadcast address of {cidr}")
        } else {
            format!("{ip} lies outside {cidr}")
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_lease() -> std::time::Duration {
    std::time::Duration::from_secs(86_400)
}

/// Name servers and search domains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dns {
    /// In the order of preference.
    #[serde(default)]
    pub servers: Vec<Ipv4Addr>,
    /// In the order of preference.
    #[serde(default)]
    pub search: Vec<String>,
}

/// What DHCP does in a Network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dhcp {
    /// Its mode.
    #[serde(default)]
    pub mode: DhcpMode,
    /// Relay agents (`giaddr`) that may ask for this network; empty: any inside it. One that is not named may ask no more often than one
    /// machine may.
    #[serde(default)]
    pub relays: Vec<Ipv4Addr>,
    /// Options by their numbers; a machine's own go before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<DhcpOption>,
    /// There is no IPv6 router here, and the server says so to each known machine that looks for one: iPXE, else, waits about 15 s in
    /// each boot, and systemd-networkd 12 s. It sends a router advertisement of lifetime 0, without a prefix, to that machine alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_ipv6_router: bool,
    /// The 802.1Q tag that boot loaders are told to use (PXE sub-option 116 of option 43).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// The mode of DHCP in a Network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DhcpMode {
    /// Not a packet is sent.
    #[default]
    None,
    /// Boot information beside another server that leases.
    Proxy,
    /// Addresses and boot information.
    Authoritative,
}

/// What is done with machines that no Hardware names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum UnknownMachines {
    /// Nothing.
    #[default]
    Ignore,
    /// They are listed, not answered.
    Record,
    /// They are listed, and get an address from the pool where the Network is authoritative.
    Pool,
    /// They boot OSIE, which tells what they are, and never get a workflow; where the Network is authoritative, with an address from the
    /// pool, which it then needs.
    Boot,
}

/// Who is believed to be which machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MetadataIdentity {
    /// The source address tells; secrets still need a token.
    #[default]
    Address,
    /// Only a token tells.
    Token,
}

/// An inclusive range of addresses, written `10.0.0.10-10.0.0.99`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// The first.
    pub first: Ipv4Addr,
    /// The last, not below the first.
    pub last: Ipv4Addr,
}

impl AddressRange {
    /// Whether `ip` lies in it.
    #[must_use]
    pub fn contains(&self, ip: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&ip)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail =
            || format!("`{text}` is no range of addresses: write FIRST-LAST, as in 10.0.0.10-10.0.0.99");
        let (first, last) = text.split_once('-').ok_or_else(fail)?;
        let first = first.trim().parse().map_err(|_| fail())?;
        let last = last.trim().parse().map_err(|_| fail())?;
        if first <= last { Ok(Self { first, last }) } else { Err(fail()) }
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
