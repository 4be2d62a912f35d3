//! Machines by the switch port that they ask from (RFC 3046), and the hardware addresses that were learned there.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    sync::Arc,
};

use crate::{
    document::{Circuit, Hardware},
    mac::MacAddr,
    source::{CircuitKey, SourceError},
};

/// Agent Circuit ID and Agent Remote ID, each where it is declared.
type Ids = (Option<Vec<u8>>, Option<Vec<u8>>);

/// An interface that declares its port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Port {
    relay: Option<Ipv4Addr>,
    machine: String,
    interface: usize,
}

/// The ports that Hardware documents declare.
#[derive(Debug, Default)]
pub(super) struct Ports {
    by_ids: HashMap<Ids, Vec<Port>>,
    /// The machine as it is behind its port: the interface has the address that asked. At most one for each declared port.
    learned: BTreeMap<MacAddr, (Port, Arc<Hardware>)>,
}

impl Ports {
    pub(super) fn put(&mut self, hardware: &Hardware) {
        for (interface, circuit) in circuits(hardware) {
            let port = Port { relay: circuit.relay, machine: hardware.name.clone(), interface };
            self.by_ids.entry(ids(circuit)).or_default().push(port);
        }
    }

    /// What was learned of the machine goes too: whoever changes its document may have changed its card.
    pub(super) fn forget(&mut self, hardware: &Hardware) {
        for (_, circuit) in circuits(hardware) {
            let ids = ids(circuit);
            if let Some(ports) = self.by_ids.get_mut(&ids) {
                ports.retain(|port| port.machine != hardware.name);
                if ports.is_empty() {
                    self.by_ids.remove(&ids);
                }
            }
        }
        self.learned.retain(|_, (port, _)| port.machine != hardware.name);
    }

    /// The machine that was learned to have this address.
    pub(super) fn learned(&self, mac: MacAddr) -> Option<&Arc<Hardware>> {
        self.learned.get(&mac).map(|(_, hardware)| hardware)
    }

    /// The machine behind the port, its interface with the address that asks; it is found by that address from then on.
    pub(super) fn learn(
        &mut self,
        key: &CircuitKey,
        machine: impl Fn(&str) -> Option<Arc<Hardware>>,
    ) -> Result<Option<Arc<Hardware>>, SourceError> {
        let mut fits: Vec<&Port> = Vec::new();
        for ids in [
            (key.circuit_id.clone(), key.remote_id.clone()),
            (key.circuit_id.clone(), None),
            (None, key.remote_id.clone()),
        ] {
            for port in self.by_ids.get(&ids).into_iter().flatten() {
                if port.relay.is_none_or(|relay| relay == key.relay) && !fits.contains(&port) {
                    fits.push(port);
                }
            }
        }
        let ambiguous = |names| Err(SourceError::Ambiguous { what: "switch port", names });
        let port = match fits[..] {
            [] => return Ok(None),
            [port] => port.clone(),
            _ => return ambiguous(fits.iter().map(|port| port.machine.clone()).collect()),
        };
        if let Some((mac, _)) =
            self.learned.iter().find(|(mac, (other, _))| *other == port && **mac != key.mac)
        {
            // Two cards behind one port, say a BMC that shares it: with one address between them neither would work.
            return ambiguous(vec![
                format!("{} with {mac}", port.machine),
                format!("{} with {}", port.machine, key.mac),
            ]);
        }
        let Some(declared) = machine(&port.machine) else { return Ok(None) };
        let mut hardware = Hardware::clone(&declared);
        let Some(interface) = hardware.spec.interfaces.get_mut(port.interface) else { return Ok(None) };
        interface.mac = key.mac;
        let hardware = Arc::new(hardware);
        self.learned.insert(key.mac, (port, Arc::clone(&hardware)));
        Ok(Some(hardware))
    }
}

fn circuits(hardware: &Hardware) -> impl Iterator<Item = (usize, &Circuit)> {
    let interfaces = hardware.spec.interfaces.iter().enumerate();
    interfaces.filter_map(|(n, interface)| Some((n, interface.circuit.as_deref()?)))
}

fn ids(circuit: &Circuit) -> Ids {
    let bytes = |id: &Option<String>| id.as_deref().and_then(Circuit::bytes);
    (bytes(&circuit.circuit_id), bytes(&circuit.remote_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{HardwareSpec, Interface};

    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const NEW: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn machine(
        name: &str,
        relay: Option<Ipv4Addr>,
        circuit: Option<&str>,
        remote: Option<&str>,
    ) -> Arc<Hardware> {
        let id = |id: Option<&str>| id.map(str::to_owned);
        let circuit = Circuit { relay, circuit_id: id(circuit), remote_id: id(remote) };
        let interface = Interface { circuit: Some(circuit.into()), ..Interface::new("nic0", OWN) };
        let spec = HardwareSpec { interfaces: vec![interface], ..HardwareSpec::default() };
        Arc::new(Hardware { name: name.into(), labels: BTreeMap::new(), spec })
    }

    fn key(relay: Ipv4Addr, circuit: &[u8], remote: &[u8], mac: MacAddr) -> CircuitKey {
        let id = |id: &[u8]| Some(id.to_vec()).filter(|id| !id.is_empty());
        CircuitKey { relay, circuit_id: id(circuit), remote_id: id(remote), mac }
    }

    fn ask(machines: &[Arc<Hardware>], key: &CircuitKey) -> Result<Option<String>, SourceError> {
        let mut ports = Ports::default();
        machines.iter().for_each(|machine| ports.put(machine));
        let named = |name: &str| machines.iter().find(|machine| machine.name == name).cloned();
        Ok(ports.learn(key, named)?.map(|hardware| hardware.name.clone()))
    }

    #[test]
    fn a_port_is_one_machine_or_nobody() {
        let other = Ipv4Addr::new(10, 0, 0, 2);
        let all = &[
            machine("both", None, Some("eth0/7"), Some("0x0a0b")),
            machine("circuit", None, Some("eth0/8"), None),
            machine("remote", None, None, Some("switch-3")),
            machine("here", Some(RELAY), Some("eth0/9"), None),
            machine("there", Some(other), Some("eth0/9"), None),
        ];
        for (relay, circuit, remote, name) in [
            (RELAY, &b"eth0/7"[..], &[10, 11][..], Some("both")),
            (RELAY, b"eth0/7", &[10, 12], None),
            (RELAY, b"eth0/7", &[], None),
            (RELAY, b"eth0/8", &[10, 12], Some("circuit")),
            (RELAY, b"eth0/1", b"switch-3", Some("remote")),
            (RELAY, b"eth0/9", &[], Some("here")),
            (other, b"eth0/9", &[], Some("there")),
            (RELAY, &[], &[], None),
        ] {
            let found = ask(all, &key(relay, circuit, remote, NEW)).unwrap();
            assert_eq!(found.as_deref(), name, "{relay} {circuit:?} {remote:?}");
        }
        let two = ask(all, &key(RELAY, b"eth0/8", b"switch-3", NEW)).unwrap_err();
        assert!(two.to_string().contains("circuit") && two.to_string().contains("remote"), "{two}");
    }

    #[test]
    fn the_address_that_asked_is_the_machines_until_its_document_changes() {
        let machine = machine("a", None, Some("eth0/7"), None);
        let named = |_: &str| Some(Arc::clone(&machine));
        let mut ports = Ports::default();
        ports.put(&machine);
        let found = ports.learn(&key(RELAY, b"eth0/7", &[], NEW), named).unwrap().unwrap();
        assert_eq!(found.spec.interfaces[0].mac, NEW);
        assert_eq!(ports.learned(NEW).unwrap().name, "a");
        assert!(ports.learn(&key(RELAY, b"eth0/7", &[], NEW), named).unwrap().is_some(), "again");
        let second = MacAddr([2, 0, 0, 0, 0, 10]);
        assert!(ports.learn(&key(RELAY, b"eth0/7", &[], second), named).is_err(), "two cards, one port");
        ports.forget(&machine);
        assert!(ports.learned(NEW).is_none());
        assert!(ports.learn(&key(RELAY, b"eth0/7", &[], second), named).unwrap().is_none(), "no such port");
        ports.put(&machine);
        assert!(ports.learn(&key(RELAY, b"eth0/7", &[], second), named).unwrap().is_some());
    }
}
