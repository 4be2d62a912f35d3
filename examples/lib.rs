//! Somebody's own inventory as a source of Bootcode's: what the examples share.
//!
//! ```text
//!  inventory.csv --Inventory::parse--> impl HardwareSource, NetworkSource --> plan_boot, bootcode_metadata::router
//! ```
//!
//! ```
//! # fn main() -> Result<(), bootcode_examples::InventoryError> {
//! use bootcode_examples::Inventory;
//! let inventory = Inventory::parse("web-1,52:54:00:00:00:01,10.0.0.11\n", "10.0.0.0/24")?;
//! assert_eq!(inventory.machines().len(), 1);
//! # Ok(()) }
//! ```

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use async_trait::async_trait;
use bootcode_core::{
    document::{Dhcp, DhcpMode, Hardware, HardwareSpec, Interface, Network, NetworkSpec},
    mac::{MacAddr, MacParseError},
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError},
};

/// Machines of a company that keeps them in a table, in one network.
#[derive(Debug, Clone)]
pub struct Inventory {
    machines: Vec<Arc<Hardware>>,
    network: Arc<Network>,
}

/// The table cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A line has not three columns.
    #[error("line {line}: write NAME,MAC,ADDRESS")]
    Columns {
        /// Counts from 1.
        line: usize,
    },
    /// The second column.
    #[error("line {line}: {source}")]
    Mac {
        /// Counts from 1.
        line: usize,
        /// The cause.
        #[source]
        source: MacParseError,
    },
    /// The third column, or the network.
    #[error("`{text}` is no IPv4 address, or no network as in 10.0.0.0/24")]
    Address {
        /// What was read.
        text: String,
    },
}

impl Inventory {
    /// Reads lines of `name,mac,address`; all of them are in `network`.
    ///
    /// # Errors
    /// See [`InventoryError`].
    pub fn parse(table: &str, network: &str) -> Result<Self, InventoryError> {
        let machine = |(index, text): (usize, &str)| {
            let line = index + 1;
            let mut columns = text.split(',').map(str::trim);
            let (Some(name), Some(mac), Some(ip), None) =
                (columns.next(), columns.next(), columns.next(), columns.next())
            else {
                return Err(InventoryError::Columns { line });
            };
            let mac: MacAddr = mac.parse().map_err(|source| InventoryError::Mac { line, source })?;
            let ip: Ipv4Addr = ip.parse().map_err(|_| InventoryError::Address { text: ip.to_owned() })?;
            let nic = Interface { ip: Some(ip), netboot: true, ..Interface::new("nic0", mac) };
            let spec = HardwareSpec { interfaces: vec![nic], ..HardwareSpec::default() };
            Ok(Arc::new(Hardware { name: name.to_owned(), labels: Default::default(), spec }))
        };
        let lines = table.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
        let cidr = network.parse().map_err(|_| InventoryError::Address { text: network.to_owned() })?;
        Ok(Self { machines: lines.map(machine).collect::<Result<_, _>>()?, network: Arc::new(whole(cidr)) })
    }

    /// The machines, in the order of the table.
    #[must_use]
    pub fn machines(&self) -> &[Arc<Hardware>] {
        &self.machines
    }

    /// The network that they are in.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }
}

/// A network whose first address is the router.
fn whole(cidr: ipnet::Ipv4Net) -> Network {
    let spec = NetworkSpec {
        gateway: cidr.hosts().next(),
        dhcp: Dhcp { mode: DhcpMode::Authoritative, ..Default::default() },
        ..NetworkSpec::new(cidr.trunc())
    };
    Network { name: "office".into(), spec }
}

#[async_trait]
impl HardwareSource for Inventory {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let fits = |hardware: &&Arc<Hardware>| {
            let mut nics = hardware.spec.interfaces.iter();
            match key {
                HardwareKey::Name(name) => hardware.name == *name,
                HardwareKey::Mac(mac) => nics.any(|nic| nic.mac == *mac),
                HardwareKey::Ip(ip) => nics.any(|nic| nic.ip.map(IpAddr::from) == Some(*ip)),
                _ => false,
            }
        };
        Ok(self.machines.iter().find(fits).cloned())
    }
}

#[async_trait]
impl NetworkSource for Inventory {
    async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        let inside = match key {
            NetworkKey::Relay(ip)
            | NetworkKey::Link(ip)
            | NetworkKey::Interface(ip)
            | NetworkKey::Of(IpAddr::V4(ip)) => self.network.spec.cidr.contains(&ip),
            _ => false,
        };
        Ok(inside.then(|| Arc::clone(&self.network)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_or_says_what_is_wrong() {
        let network = "10.0.0.0/24";
        let machines =
            Inventory::parse("a,52:54:00:00:00:01,10.0.0.1\n\n b , 52-54-00-00-00-02 ,10.0.0.2\n", network);
        assert_eq!(machines.unwrap().machines()[1].name, "b");
        for (table, fault) in [
            ("a,52:54:00:00:00:01\n", "line 1: write NAME,MAC,ADDRESS"),
            ("a,52:54:00:00:00:01,10.0.0.1,x\n", "line 1: write NAME,MAC,ADDRESS"),
            ("\na,52:54,10.0.0.1\n", "line 2: `52:54` is no MAC address"),
            ("a,52:54:00:00:00:01,10.0.0\n", "`10.0.0` is no IPv4 address"),
        ] {
            let error = Inventory::parse(table, network).unwrap_err().to_string();
            assert!(error.starts_with(fault), "{error}");
        }
        assert!(Inventory::parse("", "10.0.0.0/33").is_err());
    }
}
