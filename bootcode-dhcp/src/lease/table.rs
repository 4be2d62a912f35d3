//! The leases of all pools in memory: who holds what, and what is free in which order.

mod look;

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry as Slot},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use bootcode_core::{
    clock::Timestamp,
    document::Network,
    lease::{Lease, LeaseState},
    mac::MacAddr,
    store::{Batch, Expect, Key, Revision, Stored},
};

use super::{LeaseChange, Refusal, Standing, pool::Pool};
use crate::limits;

/// What a client wants of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAsk {
    /// DISCOVER: any address, or rather this one.
    Any(Option<Ipv4Addr>),
    /// REQUEST that answers an offer.
    Select(Ipv4Addr),
    /// REQUEST for an address that the client has or remembers: INIT-REBOOT, RENEWING, REBINDING.
    Keep(Ipv4Addr),
    /// DECLINE or RELEASE of an address.
    Leave(Ipv4Addr),
}

/// All that is known of leases. It decides and remembers; writing is its caller's.
#[derive(Debug)]
pub struct LeaseTable {
    own: Arc<[Ipv4Addr]>,
    networks: HashMap<String, Addresses>,
}

/// The addresses of one network.
#[derive(Debug, Clone, Default)]
struct Addresses {
    pool: Option<Pool>,
    known: HashMap<Ipv4Addr, Known>,
    /// The address that a machine has, had last, or is offered.
    by_mac: HashMap<MacAddr, Ipv4Addr>,
    /// All that is known, by when it is free again.
    free: BTreeSet<(Timestamp, Ipv4Addr)>,
}

/// What is known of one address.
#[derive(Debug, Clone, Default)]
struct Known {
    /// As the store has it, with the revision that wrote it.
    lease: Option<(Lease, Revision)>,
    offer: Option<Offer>,
    /// Nobody gets it until then: it is reserved, or somebody else was found on it and that is not durable yet.
    barred: Option<Timestamp>,
}

/// An address that is held for a machine, in memory only.
#[derive(Debug, Clone, Copy)]
struct Offer {
    mac: MacAddr,
    until: Timestamp,
    /// The wire was asked, and nobody answered.
    clear: bool,
}

/// What follows from what is known, before anything changes.
enum Decision {
    Said(Standing),
    /// It may have this address.
    Give(Ipv4Addr),
    /// It may have any, rather this one.
    Choose(Option<Ipv4Addr>),
}

impl Known {
    fn offer(&self, now: Timestamp) -> Option<&Offer> {
        self.offer.as_ref().filter(|offer| now < offer.until)
    }

    fn running(&self, now: Timestamp) -> Option<&Lease> {
        self.lease.as_ref().map(|(lease, _)| lease).filter(|lease| lease.runs(now))
    }

    /// Whether this machine may have it as far as others are concerned.
    fn open_to(&self, mac: MacAddr, now: Timestamp) -> bool {
        self.barred.is_none_or(|until| now >= until)
            && self.running(now).is_none_or(|lease| lease.mac == mac)
            && self.offer(now).is_none_or(|offer| offer.mac == mac)
            && !self.lease.as_ref().is_some_and(|(lease, _)| lease.quarantined(now))
    }

    /// Whether the wire need not be asked before this machine gets it: it was asked, or the machine had it until lately.
    fn clear_for(&self, mac: MacAddr, now: Timestamp) -> bool {
        let had = |lease: &Lease| {
            lease.mac == mac
                && lease.state != LeaseState::Quarantined
                && now < later(lease.ends, limits::LEASE_RECENT)
        };
        self.offer(now).is_some_and(|offer| offer.mac == mac && offer.clear)
            || self.lease.as_ref().is_some_and(|(lease, _)| had(lease))
    }

    fn free_at(&self) -> Timestamp {
        [self.lease.as_ref().map(|(lease, _)| lease.ends), self.offer.map(|offer| offer.until), self.barred]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(Timestamp::MIN)
    }
}

impl Addresses {
    /// Changes what is known of an address, and its place among the free ones.
    fn change<T>(&mut self, ip: Ipv4Addr, change: impl FnOnce(&mut Known) -> T) -> T {
        let known = match self.known.entry(ip) {
            Slot::Occupied(known) => {
                self.free.remove(&(known.get().free_at(), ip));
                known.into_mut()
            }
            Slot::Vacant(slot) => slot.insert(Known::default()),
        };
        let done = change(known);
        self.free.insert((known.free_at(), ip));
        done
    }

    /// Whether its pool is of this very document.
    fn fits(&self, network: &Arc<Network>) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.is_of(network))
    }

    fn fit(&mut self, network: &Arc<Network>, own: &Arc<[Ipv4Addr]>) {
        if !self.fits(network) {
            self.pool = Some(Pool::new(network, own));
            // What lay outside the pool and was left out may lie in it now.
            self.free = self.known.iter().map(|(ip, known)| (known.free_at(), *ip)).collect();
        }
    }

    fn holds(&self, ip: Ipv4Addr) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.holds(ip))
    }

    fn open(&self, ip: Ipv4Addr, mac: MacAddr, now: Timestamp) -> bool {
        self.holds(ip) && self.known.get(&ip).is_none_or(|known| known.open_to(mac, now))
    }

    /// The machine's lease that runs, where it may keep it.
    fn own_lease(&self, mac: MacAddr, now: Timestamp) -> Option<(Ipv4Addr, Timestamp)> {
        let ip = *self.by_mac.get(&mac)?;
        let lease = self.known.get(&ip)?.running(now).filter(|lease| lease.mac == mac)?;
        self.open(ip, mac, now).then_some((ip, lease.ends))
    }

    /// What a machine without a say gets: its former address, the one it would like, one that nobody had, the one that was left first.
    fn choose(&mut self, mac: MacAddr, wanted: Option<Ipv4Addr>, now: Timestamp) -> Option<Ipv4Addr> {
        let former = self.by_mac.get(&mac).copied();
        [former, wanted]
            .into_iter()
            .flatten()
            .find(|ip| self.open(*ip, mac, now))
            .or_else(|| self.unused())
            .or_else(|| self.left(mac, now))
    }

    fn unused(&mut self) -> Option<Ipv4Addr> {
        if self.known.len() >= limits::LEASE_ADDRESSES {
            return None;
        }
        let pool = self.pool.as_mut()?;
        loop {
            let ip = pool.next_unused()?;
            if !self.known.contains_key(&ip) {
                return Some(ip);
            }
        }
    }

    fn left(&mut self, mac: MacAddr, now: Timestamp) -> Option<Ipv4Addr> {
        loop {
            let (at, ip) = *self.free.first().filter(|(at, _)| *at <= now)?;
            if self.open(ip, mac, now) {
                return Some(ip);
            }
            // It lies outside the pool; changing it, or the pool, brings it back.
            self.free.remove(&(at, ip));
        }
    }

    /// Holds an address for a machine.
    fn hold(&mut self, ip: Ipv4Addr, mac: MacAddr, now: Timestamp) -> Standing {
        let standing = self.may(ip, mac, now);
        let clear = matches!(standing, Standing::May { clear: true, .. });
        let before = self.change(ip, |known| {
            let before = known.lease.as_ref().map(|(lease, _)| lease.mac);
            let offered = known.offer.map(|offer| offer.mac);
            known.offer = Some(Offer { mac, until: later(now, limits::OFFER_HELD), clear });
            [before, offered]
        });
        for other in before.into_iter().flatten().filter(|other| *other != mac) {
            self.forget_machine(other, ip);
        }
        self.by_mac.insert(mac, ip);
        standing
    }

    /// How a machine stands that may have this address.
    fn may(&self, ip: Ipv4Addr, mac: MacAddr, now: Timestamp) -> Standing {
        let known = self.known.get(&ip);
        let clear = known.is_some_and(|known| known.clear_for(mac, now));
        let leased = known.and_then(|known| known.running(now)).map(|lease| lease.ends);
        Standing::May { ip, clear, leased }
    }

    fn forget_machine(&mut self, mac: MacAddr, ip: Ipv4Addr) {
        if self.by_mac.get(&mac) == Some(&ip) {
            self.by_mac.remove(&mac);
        }
    }
}

impl LeaseTable {
    /// An empty table; `own` are our addresses, which nobody gets.
    #[must_use]
    pub fn new(own: &[Ipv4Addr]) -> Self {
        Self { own: own.into(), networks: HashMap::new() }
    }

    /// How a machine stands with the pool of this network, its interface `mac` wanting `ask`. An address that it may have is held for it.
    pub fn standing(
        &mut self,
        network: &Arc<Network>,
        mac: MacAddr,
        ask: LeaseAsk,
        store_away: bool,
        now: Timestamp,
    ) -> Standing {
        let addresses = self.addresses(network);
        match addresses.decide(mac, ask, store_away, now) {
            Decision::Said(standing) => standing,
            Decision::Give(ip) => addresses.hold(ip, mac, now),
            Decision::Choose(wanted) => addresses
                .choose(mac, wanted, now)
                .map_or(Standing::Exhausted, |ip| addresses.hold(ip, mac, now)),
        }
    }

    /// Whether an address is leased to another machine than this one: a reservation that was made meanwhile has to wait.
    #[must_use]
    pub fn taken(&self, network: &str, ip: Ipv4Addr, mac: MacAddr, now: Timestamp) -> bool {
        let known = self.networks.get(network).and_then(|addresses| addresses.known.get(&ip));
        known.and_then(|known| known.running(now)).is_some_and(|lease| lease.mac != mac)
    }

    /// A Hardware reserves the address for another machine: nobody is offered it for a while, then it is looked at again.
    pub fn reserve(&mut self, network: &Arc<Network>, ip: Ipv4Addr, now: Timestamp) {
        self.addresses(network).change(ip, |known| {
            known.offer = None;
            known.barred = known.barred.max(Some(later(now, limits::RESERVED_AGAIN)));
        });
    }

    /// The wire was asked on behalf of this machine, and nobody else answered.
    pub fn clear(&mut self, network: &str, ip: Ipv4Addr, mac: MacAddr) {
        let known = self.networks.get_mut(network).and_then(|addresses| addresses.known.get_mut(&ip));
        if let Some(offer) = known.and_then(|known| known.offer.as_mut()).filter(|offer| offer.mac == mac) {
            offer.clear = true;
        }
    }

    /// Somebody else uses the address that was meant for this machine. From now on nobody gets it; the change makes that last.
    pub fn quarantine(
        &mut self,
        network: &Arc<Network>,
        ip: Ipv4Addr,
        mac: MacAddr,
        now: Timestamp,
    ) -> LeaseChange {
        let ends = later(now, limits::QUARANTINE);
        let addresses = self.addresses(network);
        addresses.change(ip, |known| {
            known.offer = None;
            known.barred = known.barred.max(Some(ends));
        });
        addresses.forget_machine(mac, ip);
        let lease = Lease { mac, state: LeaseState::Quarantined, ends, client_id: None };
        LeaseChange { network: network.name.clone(), ip, lease }
    }

    /// Adds a change to a batch, with what it expects of the store; `false` where it no longer may be made.
    pub fn prepare(&self, change: &LeaseChange, batch: &mut Batch, now: Timestamp) -> bool {
        let mac = change.lease.mac;
        let known = self.networks.get(&change.network).and_then(|addresses| addresses.known.get(&change.ip));
        let before = known.and_then(|known| known.lease.as_ref());
        let allowed = match change.lease.state {
            LeaseState::Bound => known.is_none_or(|known| known.open_to(mac, now)),
            LeaseState::Released => {
                before.is_some_and(|(lease, _)| lease.mac == mac && lease.state == LeaseState::Bound)
            }
            LeaseState::Quarantined => {
                known.and_then(|known| known.running(now)).is_none_or(|lease| lease.mac == mac)
            }
        };
        if !allowed {
            return false;
        }
        let key = Lease::key(&change.network, change.ip);
        batch.expects.push(match before {
            Some((_, revision)) => Expect::At(key.clone(), *revision),
            None => Expect::Absent(key.clone()),
        });
        batch.puts.push((key, change.lease.to_value()));
        true
    }

    /// A change is durable.
    pub fn settle(&mut self, change: LeaseChange, revision: Revision) {
        self.place(&change.network, change.ip, Some((change.lease, revision)));
    }

    /// What the store has under a key: at start, and where its answer to a commit was lost or not what was expected.
    pub fn load(&mut self, key: &Key, stored: Option<&Stored>) {
        let Some((network, ip)) = Lease::place(key) else { return };
        let lease = stored.and_then(|stored| {
            let lease = Lease::from_value(&stored.value);
            lease.map(|lease| (lease, stored.revision)).map_err(|error| {
                tracing::error!(%error, lease = key.name, "a stored lease cannot be read; its address is not given to anybody");
            }).ok()
        });
        let unreadable = stored.is_some() && lease.is_none();
        self.place(network, ip, lease);
        if unreadable && let Some(addresses) = self.networks.get_mut(network) {
            addresses.change(ip, |known| known.barred = Some(Timestamp::MAX));
        }
    }

    /// Leases that have ended, with what wrote them last: those that no Network's pool holds can go.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Vec<(Key, Revision)> {
        let ended = |(name, addresses): (&String, &Addresses)| {
            let gone = addresses.known.iter().filter_map(|(ip, known)| {
                let (lease, revision) = known.lease.as_ref()?;
                (lease.ends <= now).then(|| (Lease::key(name, *ip), *revision))
            });
            gone.collect::<Vec<_>>()
        };
        self.networks.iter().flat_map(ended).collect()
    }

    fn place(&mut self, network: &str, ip: Ipv4Addr, lease: Option<(Lease, Revision)>) {
        if !self.networks.contains_key(network) {
            self.networks.insert(network.to_owned(), Addresses::default());
        }
        let Some(addresses) = self.networks.get_mut(network) else { return };
        let machine = lease.as_ref().map(|(lease, _)| (lease.mac, lease.state, lease.ends));
        let before = addresses.change(ip, |known| {
            let before = known.lease.take().map(|(lease, _)| lease.mac);
            known.lease = lease;
            if known.offer.is_some_and(|offer| machine.is_some_and(|(mac, ..)| mac == offer.mac)) {
                known.offer = None;
            }
            before
        });
        if let Some(before) = before.filter(|before| machine.is_none_or(|(mac, ..)| mac != *before)) {
            addresses.forget_machine(before, ip);
        }
        match machine {
            Some((mac, LeaseState::Quarantined, _)) => addresses.forget_machine(mac, ip),
            Some((mac, state, ends)) => {
                // Of two that a machine had, a bound one is its own, then the one that runs longer: what was given back or is kept from
                // all ends later than it where the clock went back meanwhile.
                let other = addresses.by_mac.get(&mac).filter(|other| **other != ip);
                let other = other.and_then(|other| addresses.known.get(other)?.lease.as_ref());
                let before = |other: &Lease| {
                    let bound = [other.state, state].map(|state| state == LeaseState::Bound);
                    other.mac != mac || (bound[0], other.ends) <= (bound[1], ends)
                };
                if other.is_none_or(|(other, _)| before(other)) {
                    addresses.by_mac.insert(mac, ip);
                }
            }
            None => (),
        }
    }

    fn addresses(&mut self, network: &Arc<Network>) -> &mut Addresses {
        // Not `entry`: it would copy the name each time.
        if !self.networks.contains_key(&network.name) {
            self.networks.insert(network.name.clone(), Addresses::default());
        }
        #[expect(clippy::expect_used, reason = "it was put there two lines above")]
        let addresses = self.networks.get_mut(&network.name).expect("it is there");
        addresses.fit(network, &self.own);
        addresses
    }
}

impl Addresses {
    /// What is said, given or chosen; nothing is changed by it.
    fn decide(&self, mac: MacAddr, ask: LeaseAsk, store_away: bool, now: Timestamp) -> Decision {
        let own = self.own_lease(mac, now);
        Decision::Said(match ask {
            LeaseAsk::Any(_) if store_away => {
                own.map_or(Standing::Away, |(ip, ends)| Standing::Kept { ip, ends })
            }
            LeaseAsk::Any(wanted) => return Decision::Choose(wanted),
            LeaseAsk::Select(ip) | LeaseAsk::Keep(ip) => {
                let verdict = self.named(ip, mac, ask, own, now);
                match (verdict, own) {
                    (None, Some((ip, ends))) if store_away => Standing::Kept { ip, ends },
                    (None, None) if store_away => Standing::Away,
                    (None, _) => return Decision::Give(ip),
                    (Some(verdict), _) => verdict,
                }
            }
            LeaseAsk::Leave(ip) => {
                let known = self.known.get(&ip);
                let leased = known.and_then(|known| known.running(now)).filter(|lease| lease.mac == mac);
                let offered = known.and_then(|known| known.offer(now)).filter(|offer| offer.mac == mac);
                if leased.is_some() || offered.is_some() {
                    Standing::May { ip, clear: true, leased: leased.map(|lease| lease.ends) }
                } else {
                    Standing::Unrecorded
                }
            }
        })
    }

    /// Why a machine may not have the address that it names; `None` where it may.
    fn named(
        &self,
        ip: Ipv4Addr,
        mac: MacAddr,
        ask: LeaseAsk,
        own: Option<(Ipv4Addr, Timestamp)>,
        now: Timestamp,
    ) -> Option<Standing> {
        let refused = |because| Some(Standing::Refused { ip, because });
        match own {
            Some((own, _)) if own == ip => return None,
            Some((own, _)) => return refused(Refusal::Other(own)),
            None => (),
        }
        let inside = self.pool.as_ref().is_some_and(|pool| pool.network().spec.cidr.contains(&ip));
        let known = self.known.get(&ip);
        let taken = known.is_some_and(|known| !known.open_to(mac, now));
        let had = known.and_then(|known| known.lease.as_ref()).is_some_and(|(lease, _)| lease.mac == mac);
        if !inside {
            return refused(Refusal::NotHere);
        }
        if taken {
            return refused(Refusal::Taken);
        }
        match ask {
            LeaseAsk::Select(_) if self.holds(ip) => None,
            LeaseAsk::Select(_) => refused(Refusal::NotHere),
            _ if had && self.holds(ip) => refused(Refusal::Ended),
            _ if had => refused(Refusal::NotHere),
            _ => match self.by_mac.get(&mac) {
                Some(other) if *other != ip => refused(Refusal::Other(*other)),
                _ => Some(Standing::Unrecorded),
            },
        }
    }
}

/// Time plus a span, up to the end of time.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(at.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}
