use std::{
    collections::{BTreeMap, HashSet},
    net::Ipv4Addr,
    sync::Arc,
};

use bootcode_core::{
    clock::Timestamp,
    document::{Network, NetworkSpec},
    lease::{Lease, LeaseState},
    mac::MacAddr,
    store::{Batch, Expect, Key, Revision, Stored},
};
use bootcode_dhcp::{LeaseAsk, LeaseChange, LeaseTable, Refusal, Standing};

/// Of the pool `.9` to `.16` one address is the gateway's and one our own.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const LEASE_S: i64 = 600;
/// What `limits` of the crate say.
const OFFER_S: i64 = 120;
const QUARANTINE_S: i64 = 3600;

/// Two bytes are one step: who does what, and to which address. Whatever happens, in whatever order, with clocks that go back, restarts
/// and a store that is away or loses its answers: an address is promised to one machine at a time, lies in the pool, belongs to nobody
/// else, and what was promised is in the store.
pub fn lease_table(bytes: &[u8]) {
    let mut world = World::new();
    for step in bytes.chunks_exact(2).take(512) {
        world.step(step[0], step[1]);
        world.check();
    }
}

struct World {
    network: Arc<Network>,
    table: LeaseTable,
    store: BTreeMap<String, Stored>,
    revision: u64,
    now: i64,
    away: bool,
    /// What machines were told, until when.
    promised: BTreeMap<Ipv4Addr, (MacAddr, i64)>,
    offered: BTreeMap<Ipv4Addr, (MacAddr, i64)>,
    quarantined: BTreeMap<Ipv4Addr, i64>,
}

impl World {
    fn new() -> Self {
        let spec: NetworkSpec = serde_json::from_value(serde_json::json!({
            "cidr": "10.0.0.0/28", "gateway": GATEWAY, "pool": ["10.0.0.12-10.0.0.16", "10.0.0.9-10.0.0.13"],
        }))
        .unwrap_or_else(|error| panic!("{error}"));
        Self {
            network: Arc::new(Network { name: "lab".to_owned(), spec }),
            table: LeaseTable::new(&[OWN]),
            store: BTreeMap::new(),
            revision: 0,
            now: 1_000_000,
            away: false,
            promised: BTreeMap::new(),
            offered: BTreeMap::new(),
            quarantined: BTreeMap::new(),
        }
    }

    fn step(&mut self, what: u8, which: u8) {
        let mac = MacAddr([2, 0, 0, 0, 0, (what >> 4) % 10]);
        let ip = Ipv4Addr::new(10, 0, 0, which % 20);
        match what & 0x0f {
            0 => self.discover(mac, None),
            1 => self.discover(mac, Some(ip)),
            2 | 3 => self.request(mac, LeaseAsk::Select(ip), which),
            4 => self.request(mac, LeaseAsk::Keep(ip), which),
            5 => {
                // As clients do: what was offered is asked for.
                let offer = self.offered.iter().find(|(_, (of, _))| *of == mac).map(|(ip, _)| *ip);
                self.request(mac, LeaseAsk::Select(offer.unwrap_or(ip)), which);
            }
            6 => {
                let own = self.promised.iter().find(|(_, (of, _))| *of == mac).map(|(ip, _)| *ip);
                self.request(mac, LeaseAsk::Keep(own.unwrap_or(ip)), which);
            }
            7 => self.leave(mac, ip, LeaseState::Quarantined),
            8 => self.leave(mac, ip, LeaseState::Released),
            9 => self.now += i64::from(which) * 7,
            10 => self.now -= i64::from(which) * 5,
            11 => self.restart(),
            12 => self.conflict(mac, ip),
            13 => self.table.clear("lab", ip, mac),
            14 => self.away = which & 1 == 1,
            _ => self.now += i64::from(which) * 40,
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_second(self.now).unwrap_or_else(|error| panic!("{error}"))
    }

    fn standing(&mut self, mac: MacAddr, ask: LeaseAsk) -> Standing {
        let now = self.time();
        // A preview says what a client is told a moment later.
        let looked = self.table.look(&self.network, mac, ask, self.away, now, &HashSet::new());
        let standing = self.table.standing(&self.network, mac, ask, self.away, now);
        assert_eq!(looked, standing, "{mac} {ask:?}");
        match standing {
            Standing::May { ip, leased, .. } => {
                assert!(!self.away || matches!(ask, LeaseAsk::Leave(_)), "a promise without the store");
                if !matches!(ask, LeaseAsk::Leave(_)) {
                    self.may_have(mac, ip);
                }
                if let Some(ends) = leased {
                    let promised = self.promised.get(&ip).copied();
                    assert!(
                        promised.is_some_and(|(of, until)| of == mac && until <= ends.as_second()),
                        "{promised:?}"
                    );
                }
            }
            Standing::Kept { ip, ends } => {
                assert!(self.away);
                let stored = self.stored(ip).unwrap_or_else(|| panic!("{ip} is kept, and not in the store"));
                assert!(stored.mac == mac && stored.runs(now) && stored.ends >= ends);
            }
            Standing::Refused { because: Refusal::Other(own), .. } => {
                assert!(self.network.spec.holds(own));
            }
            _ => (),
        }
        standing
    }

    /// Nobody else has the address, or was offered it, and it is one that may be given.
    fn may_have(&self, mac: MacAddr, ip: Ipv4Addr) {
        assert!((9..=14).contains(&ip.octets()[3]), "{ip} lies outside the pool or is the broadcast address");
        assert!(ip != GATEWAY && ip != OWN, "{ip} is somebody's");
        for (what, held) in [("leased", &self.promised), ("offered", &self.offered)] {
            if let Some((other, until)) = held.get(&ip).filter(|(_, until)| self.now < *until) {
                assert_eq!(*other, mac, "{ip} is {what} until {until}, it is {}", self.now);
            }
        }
        let until = self.quarantined.get(&ip);
        assert!(until.is_none_or(|until| self.now >= *until), "{ip} is in quarantine");
    }

    fn discover(&mut self, mac: MacAddr, wanted: Option<Ipv4Addr>) {
        if let Standing::May { ip, .. } = self.standing(mac, LeaseAsk::Any(wanted)) {
            self.offered.insert(ip, (mac, self.now + OFFER_S));
            let again = self.standing(mac, LeaseAsk::Any(wanted));
            assert!(
                matches!(again, Standing::May { ip: other, .. } if other == ip),
                "{again:?}: a machine has one address"
            );
        }
    }

    fn request(&mut self, mac: MacAddr, ask: LeaseAsk, fate: u8) {
        let Standing::May { ip, leased, .. } = self.standing(mac, ask) else { return };
        self.offered.insert(ip, (mac, self.now + OFFER_S));
        let ends = leased.map_or(i64::MIN, Timestamp::as_second).max(self.now + LEASE_S);
        if self.write(mac, ip, LeaseState::Bound, ends, fate) {
            self.promised.insert(ip, (mac, ends));
            self.offered.remove(&ip);
            // It was over, and with the lease of another its record is gone: a clock that goes back does not bring it back.
            self.quarantined.remove(&ip);
        }
    }

    fn leave(&mut self, mac: MacAddr, ip: Ipv4Addr, state: LeaseState) {
        let Standing::May { leased, .. } = self.standing(mac, LeaseAsk::Leave(ip)) else { return };
        match state {
            LeaseState::Quarantined => self.conflict(mac, ip),
            _ if leased.is_some() && self.write(mac, ip, state, self.now, 0) => {
                self.promised.remove(&ip);
                self.offered.remove(&ip);
            }
            _ => (),
        }
    }

    fn conflict(&mut self, mac: MacAddr, ip: Ipv4Addr) {
        let now = self.time();
        // A probe is only sent for an address that is held for the machine that it is sent for.
        if !matches!(self.standing(mac, LeaseAsk::Leave(ip)), Standing::May { .. }) {
            return;
        }
        let change = self.table.quarantine(&self.network, ip, mac, now);
        let ends = change.lease.ends.as_second();
        assert_eq!(ends, self.now + QUARANTINE_S);
        self.offered.remove(&ip);
        self.quarantined.insert(ip, ends);
        // Where this cannot be written the machine still has it after a restart.
        if self.write(mac, ip, LeaseState::Quarantined, ends, 0) {
            self.promised.remove(&ip);
        }
    }

    /// As the writer does it. One in four commits loses its answer; then the store is read.
    fn write(&mut self, mac: MacAddr, ip: Ipv4Addr, state: LeaseState, ends: i64, fate: u8) -> bool {
        let ends = Timestamp::from_second(ends).unwrap_or_else(|error| panic!("{error}"));
        let lease = Lease { mac, state, ends, client_id: None };
        let change = LeaseChange { network: "lab".to_owned(), ip, lease };
        let mut batch = Batch::default();
        if !self.table.prepare(&change, &mut batch, self.time()) {
            assert!(batch.puts.is_empty() && batch.expects.is_empty());
            return false;
        }
        if self.away {
            return false;
        }
        self.commit(batch);
        if fate & 3 == 3 {
            let key = Lease::key("lab", ip);
            self.table.load(&key, self.store.get(&key.name));
        } else {
            self.table.settle(change, Revision(self.revision));
        }
        true
    }

    fn commit(&mut self, batch: Batch) {
        for expect in &batch.expects {
            let (key, at) = match expect {
                Expect::Absent(key) => (key, None),
                Expect::At(key, at) => (key, Some(*at)),
            };
            let have = self.store.get(&key.name).map(|stored| stored.revision);
            assert_eq!(have, at, "one writer's expectations hold");
        }
        self.revision += 1;
        for (key, value) in batch.puts {
            let stored = Stored { key: key.clone(), revision: Revision(self.revision), value };
            self.store.insert(key.name, stored);
        }
    }

    fn stored(&self, ip: Ipv4Addr) -> Option<Lease> {
        let Key { name, .. } = Lease::key("lab", ip);
        self.store.get(&name).map(|stored| Lease::from_value(&stored.value).unwrap_or_else(|e| panic!("{e}")))
    }

    /// What is in memory only is lost.
    fn restart(&mut self) {
        self.table = LeaseTable::new(&[OWN]);
        for stored in self.store.values() {
            self.table.load(&stored.key, Some(stored));
        }
        self.offered.clear();
        let quarantined = std::mem::take(&mut self.quarantined);
        let kept = quarantined.into_keys().filter_map(|ip| {
            let lease = self.stored(ip).filter(|lease| lease.state == LeaseState::Quarantined)?;
            // One that was never written, over an older one that was: only the older one is left.
            Some((ip, lease.ends.as_second()))
        });
        self.quarantined = kept.collect();
    }

    /// Every promise is in the store.
    fn check(&self) {
        for (ip, (mac, ends)) in &self.promised {
            if self.now >= *ends {
                continue;
            }
            let stored =
                self.stored(*ip).unwrap_or_else(|| panic!("{ip} was promised and is not in the store"));
            assert!(
                stored.mac == *mac && stored.state == LeaseState::Bound && stored.ends.as_second() >= *ends,
                "{ip} was promised to {mac} until {ends}: {stored:?}"
            );
        }
    }
}
