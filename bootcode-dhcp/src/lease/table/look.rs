//! How a machine would stand with a pool: what [`LeaseTable::standing`] says, and nothing held, chosen or forgotten by it.

use std::{borrow::Cow, collections::HashSet, net::Ipv4Addr, sync::Arc};

use bootcode_core::{clock::Timestamp, document::Network, mac::MacAddr};

use super::{Addresses, Decision, LeaseAsk, LeaseTable, Standing};
use crate::limits;

impl LeaseTable {
    /// What [`standing`](Self::standing) would say, with `passed` reserved for others; the table stays as it is.
    #[must_use]
    pub fn look(
        &self,
        network: &Arc<Network>,
        mac: MacAddr,
        ask: LeaseAsk,
        store_away: bool,
        now: Timestamp,
        passed: &HashSet<Ipv4Addr>,
    ) -> Standing {
        let addresses = match self.networks.get(&network.name) {
            Some(addresses) if addresses.fits(network) => Cow::Borrowed(addresses),
            // Only from a change of the document to the next question of a client.
            other => {
                let mut fresh = other.cloned().unwrap_or_default();
                fresh.fit(network, &self.own);
                Cow::Owned(fresh)
            }
        };
        match addresses.decide(mac, ask, store_away, now) {
            Decision::Said(standing) => standing,
            Decision::Give(ip) => addresses.may(ip, mac, now),
            Decision::Choose(wanted) => addresses
                .would_choose(mac, wanted, now, passed)
                .map_or(Standing::Exhausted, |ip| addresses.may(ip, mac, now)),
        }
    }
}

impl Addresses {
    /// What [`Addresses::choose`] chooses.
    fn would_choose(
        &self,
        mac: MacAddr,
        wanted: Option<Ipv4Addr>,
        now: Timestamp,
        passed: &HashSet<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let open = |ip: &Ipv4Addr| !passed.contains(ip) && self.open(*ip, mac, now);
        let former = self.by_mac.get(&mac).copied();
        let left = || self.free.iter().take_while(|(at, _)| *at <= now).map(|(_, ip)| *ip).find(open);
        [former, wanted].into_iter().flatten().find(open).or_else(|| self.would_use(passed)).or_else(left)
    }

    /// What [`Addresses::unused`] finds.
    fn would_use(&self, passed: &HashSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let known = self.known.len() + passed.iter().filter(|ip| !self.known.contains_key(ip)).count();
        if known >= limits::LEASE_ADDRESSES {
            return None;
        }
        let mut pool = self.pool.clone()?;
        loop {
            let ip = pool.next_unused()?;
            if !self.known.contains_key(&ip) && !passed.contains(&ip) {
                return Some(ip);
            }
        }
    }
}
