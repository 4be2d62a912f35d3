//! Leases of pools as the store keeps them: an internal kind, `Lease/<network>/<ip>`, that nobody applies.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{clock::Timestamp, mac::MacAddr, store::Key};

/// The internal kind.
pub const LEASE_KIND: &str = "Lease";

/// What is remembered of one address of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The machine that has it, had it, or said that another one uses it. Machines are told apart by their hardware address alone:
    /// firmware, iPXE and the system send different client identifiers, and cloned systems send the same one.
    pub mac: MacAddr,
    /// What it is.
    pub state: LeaseState,
    /// Until when. A released lease ended when it was given back.
    pub ends: Timestamp,
    /// Option 61 as it came last, in hexadecimal: for people, nothing is looked up by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// What a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// The machine may use the address until the lease ends; after that it is kept for it as long as others are free.
    Bound,
    /// The machine gave it back.
    Released,
    /// Somebody else uses the address: nobody gets it until this ends.
    Quarantined,
}

impl Lease {
    /// The key of an address of a network.
    #[must_use]
    pub fn key(network: &str, ip: Ipv4Addr) -> Key {
        Key::new(LEASE_KIND, format!("{network}/{ip}"))
    }

    /// The network and address that a key names; `None` where it names no lease.
    #[must_use]
    pub fn place(key: &Key) -> Option<(&str, Ipv4Addr)> {
        let (network, ip) = key.name.rsplit_once('/').filter(|_| key.kind == LEASE_KIND)?;
        Some((network, ip.parse().ok()?))
    }

    /// As the store keeps it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = serde_json::json!({"mac": self.mac, "state": self.state, "ends": self.ends});
        if let Some(id) = &self.client_id {
            value["clientId"] = id.as_str().into();
        }
        value
    }

    /// Reads what the store keeps.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_value(value: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(value)
    }

    /// Whether its machine may use the address now.
    #[must_use]
    pub fn runs(&self, now: Timestamp) -> bool {
        self.state == LeaseState::Bound && now < self.ends
    }

    /// Whether nobody may get the address now.
    #[must_use]
    pub fn quarantined(&self, now: Timestamp) -> bool {
        self.state == LeaseState::Quarantined && now < self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_kept_under_its_network_and_address_and_read_back() {
        let lease = Lease {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            state: LeaseState::Bound,
            ends: Timestamp::from_second(1_700_000_000).unwrap(),
            client_id: None,
        };
        let value = lease.to_value();
        assert_eq!(value, serde_json::to_value(&lease).unwrap());
        assert_eq!(
            value.to_string(),
            r#"{"mac":"02:00:00:00:00:01","state":"bound","ends":"2023-11-14T22:13:20Z"}"#
        );
        assert_eq!(Lease::from_value(&value).unwrap(), lease);
        let named = Lease { client_id: Some("ff01".into()), ..lease.clone() };
        assert_eq!(named.to_value(), serde_json::to_value(&named).unwrap());
        assert_eq!(Lease::from_value(&named.to_value()).unwrap(), named);
        let ip = Ipv4Addr::new(10, 0, 0, 9);
        let key = Lease::key("lab", ip);
        assert_eq!(Lease::place(&key), Some(("lab", ip)));
        for (kind, name) in [("Lease", "lab"), ("Lease", "lab/10.0.0"), ("Hardware", "lab/10.0.0.9")] {
            assert_eq!(Lease::place(&Key::new(kind, name)), None, "{kind}/{name}");
        }
    }
}
