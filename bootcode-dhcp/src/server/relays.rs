//! Relay agents that a Network document declares: those who speak for many, and so may ask more often than one client.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use bootcode_core::document::Network;

use crate::limits;

/// Declared relays that have asked, learned from look-ups that are made anyway: what is judged by this was not decoded yet.
#[derive(Debug, Default)]
pub(super) struct Relays(RwLock<HashMap<Ipv4Addr, Instant>>);

impl Relays {
    /// Takes note of a relay whose question is of this Network, if that declares it.
    pub(super) fn learn(&self, giaddr: Ipv4Addr, network: &Network, now: Instant) {
        if !network.spec.dhcp.relays.contains(&giaddr) {
            return;
        }
        let fresh = self.since(giaddr, now).is_some_and(|since| since < limits::RELAY_DECLARED / 4);
        if !fresh {
            let mut relays = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if relays.len() >= limits::RELAYS && !relays.contains_key(&giaddr) {
                relays.retain(|_, at| now.saturating_duration_since(*at) < limits::RELAY_DECLARED);
            }
            if relays.len() < limits::RELAYS || relays.contains_key(&giaddr) {
                relays.insert(giaddr, now);
            }
        }
    }

    /// Whether a document declared it when it asked last. One that documents no longer name is a stranger soon after.
    pub(super) fn declared(&self, giaddr: Ipv4Addr, now: Instant) -> bool {
        self.since(giaddr, now).is_some_and(|since| since < limits::RELAY_DECLARED)
    }

    fn since(&self, giaddr: Ipv4Addr, now: Instant) -> Option<Duration> {
        let relays = self.0.read().unwrap_or_else(PoisonError::into_inner);
        relays.get(&giaddr).map(|at| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use bootcode_core::document::NetworkSpec;

    use super::*;

    fn network(relays: &[Ipv4Addr]) -> Network {
        let mut spec = NetworkSpec::new("10.0.0.0/8".parse().unwrap());
        spec.dhcp.relays = relays.to_vec();
        Network { name: "hall".into(), spec }
    }

    #[test]
    fn who_is_declared_is_known_for_a_while_after_it_asked() {
        let (relay, other) = (Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 8));
        let (relays, start) = (Relays::default(), Instant::now());
        relays.learn(relay, &network(&[]), start);
        assert!(
            !relays.declared(relay, start),
            "any relay inside a Network that declares none may ask, as one"
        );
        relays.learn(relay, &network(&[relay]), start);
        relays.learn(other, &network(&[relay]), start);
        assert!(relays.declared(relay, start));
        assert!(!relays.declared(other, start));
        // Another Network, found by link selection, takes nothing away.
        relays.learn(relay, &network(&[]), start);
        assert!(relays.declared(relay, start));
        let later = start + limits::RELAY_DECLARED / 2;
        relays.learn(relay, &network(&[relay]), later);
        assert!(relays.declared(relay, start + limits::RELAY_DECLARED), "it asked meanwhile");
        assert!(
            !relays.declared(relay, later + limits::RELAY_DECLARED),
            "no document has confirmed it for long"
        );
    }

    #[test]
    fn no_more_are_kept_than_their_bound_and_old_ones_make_room() {
        let (relays, start) = (Relays::default(), Instant::now());
        let relay = |n: usize| Ipv4Addr::from(0x0a00_0000 + n as u32);
        for n in 0..=limits::RELAYS {
            relays.learn(relay(n), &network(&[relay(n)]), start);
        }
        assert_eq!(relays.0.read().unwrap().len(), limits::RELAYS);
        assert!(!relays.declared(relay(limits::RELAYS), start));
        let later = start + limits::RELAY_DECLARED;
        relays.learn(relay(limits::RELAYS), &network(&[relay(limits::RELAYS)]), later);
        assert!(relays.declared(relay(limits::RELAYS), later));
        assert_eq!(relays.0.read().unwrap().len(), 1);
    }
}
