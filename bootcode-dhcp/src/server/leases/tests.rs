use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use bootcode_core::{
    boot::Site,
    clock::{Clock as _, ManualClock},
    document::NetworkSpec,
    policy::DefaultPolicy,
    session::BootSessions,
    source::{HardwareSource, NetworkSource, Work, WorkSource},
    store::{Entry, Key, MemoryStore, Revision, Stored, Watch},
    timeline::NoRecorder,
};

use super::*;
use crate::{
    lease::LeaseAsk,
    server::{DhcpConfig, DhcpMetrics, Sources, relays::Relays},
};

/// What a commit meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Away,
    /// It is carried out, and nobody learns of it.
    AnswerLost,
    /// It is not carried out, and nobody learns of that.
    CommitLost,
    /// It never answers.
    Hangs,
}

/// A store that fails as it is told to.
#[derive(Default)]
struct Faulty {
    inner: MemoryStore,
    faults: Mutex<Vec<Fault>>,
}

impl Faulty {
    fn next(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults.iter().rev());
    }
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.get(key).await
    }
    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        self.inner.list(kind).await
    }
    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.inner.read(log, from).await
    }
    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.logs(prefix).await
    }
    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        self.inner.trim(log, before).await
    }
    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        self.inner.watch(from).await
    }
    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let fault = self.faults.lock().unwrap().pop();
        match fault {
            None => self.inner.commit(batch).await,
            Some(Fault::Away) => Err(StoreError::Unavailable { message: "unplugged".to_owned() }),
            Some(Fault::AnswerLost) => self.inner.commit(batch).await.and(Err(StoreError::Unknown)),
            Some(Fault::CommitLost) => Err(StoreError::Unknown),
            Some(Fault::Hangs) => std::future::pending().await,
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn network() -> Arc<Network> {
    let spec = serde_json::json!({"cidr": "10.0.0.0/24", "pool": ["10.0.0.10-10.0.0.250"]});
    Arc::new(Network { name: "lab".into(), spec: serde_json::from_value::<NetworkSpec>(spec).unwrap() })
}

async fn open(store: &Arc<Faulty>) -> Arc<Leases> {
    Leases::open(Arc::clone(store) as Arc<dyn Store>, &[]).await.0
}

/// What a REQUEST of this machine is to be written as.
fn asked(leases: &Leases, network: &Arc<Network>, machine: u8) -> LeaseChange {
    let standing = leases.table().standing(network, mac(machine), LeaseAsk::Any(None), leases.away(), now());
    let Standing::May { ip, .. } = standing else { panic!("{standing:?}") };
    let ends = now() + Duration::from_secs(600);
    let lease = Lease { mac: mac(machine), state: LeaseState::Bound, ends, client_id: None };
    LeaseChange { network: network.name.clone(), ip, lease }
}

async fn stored(store: &Faulty) -> Vec<(Ipv4Addr, MacAddr)> {
    let (all, _) = store.list(LEASE_KIND).await.unwrap();
    all.iter()
        .map(|stored| (Lease::place(&stored.key).unwrap().1, Lease::from_value(&stored.value).unwrap().mac))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_called_durable_is_in_the_store_whatever_becomes_of_its_commit() {
    use Fault::*;
    let cases: &[(&[Fault], Outcome, bool)] = &[
        (&[], Outcome::Durable, false),
        (&[Away], Outcome::Away, true),
        (&[AnswerLost], Outcome::Durable, false),
        (&[CommitLost], Outcome::Durable, false),
        (&[CommitLost, AnswerLost], Outcome::Durable, false),
        (&[CommitLost, Away], Outcome::Away, true),
        (&[Hangs], Outcome::Durable, false),
    ];
    for (faults, outcome, away) in cases {
        let (store, network) = (Arc::new(Faulty::default()), network());
        let leases = open(&store).await;
        let changes: Vec<LeaseChange> = (1..=64).map(|machine| asked(&leases, &network, machine)).collect();
        store.next(faults);
        let outcomes = leases.commit(changes.clone(), now()).await;
        assert_eq!(outcomes, vec![*outcome; 64], "{faults:?}");
        assert_eq!(leases.away(), *away, "{faults:?}");
        let kept = stored(&store).await;
        let expected: Vec<_> = changes.iter().map(|change| (change.ip, change.lease.mac)).collect();
        assert_eq!(kept.len(), if *outcome == Outcome::Durable { 64 } else { 0 }, "{faults:?}");
        assert!(kept.iter().all(|have| expected.contains(have)), "{faults:?}");
        // A server that starts on what is left gives each machine its own, and nobody another's.
        let again = open(&store).await;
        for (ip, of) in kept {
            let other = again.table().standing(&network, mac(200), LeaseAsk::Select(ip), false, now());
            assert!(matches!(other, Standing::Refused { .. }), "{faults:?}: {other:?}");
            let own = again.table().standing(&network, of, LeaseAsk::Keep(ip), false, now());
            assert!(matches!(own, Standing::May { leased: Some(_), .. }), "{faults:?}: {own:?}");
        }
    }
}

#[tokio::test]
async fn without_the_store_running_leases_are_kept_and_none_is_begun() {
    let (store, network) = (Arc::new(Faulty::default()), network());
    let leases = open(&store).await;
    let change = asked(&leases, &network, 1);
    assert_eq!(leases.commit(vec![change.clone()], now()).await, [Outcome::Durable]);
    store.next(&[Fault::Away]);
    let second = asked(&leases, &network, 2);
    assert_eq!(leases.commit(vec![second], now()).await, [Outcome::Away]);

    let ask = |machine, ask, at| leases.table().standing(&network, mac(machine), ask, leases.away(), at);
    let kept = Standing::Kept { ip: change.ip, ends: change.lease.ends };
    assert_eq!(ask(1, LeaseAsk::Any(None), now()), kept);
    assert_eq!(ask(1, LeaseAsk::Keep(change.ip), now()), kept);
    assert_eq!(ask(2, LeaseAsk::Any(None), now()), Standing::Away);
    assert_eq!(ask(1, LeaseAsk::Any(None), change.lease.ends), Standing::Away, "its lease has ended");

    let mut writer = Writer { jobs: mpsc::channel(1).1, leases: Arc::clone(&leases), loaded: true };
    writer.look_again().await;
    assert!(!leases.away());
    assert!(matches!(ask(2, LeaseAsk::Any(None), now()), Standing::May { .. }));
}

#[tokio::test]
async fn another_writers_lease_is_seen_and_not_overwritten() {
    let (store, network) = (Arc::new(Faulty::default()), network());
    let (one, two) = (open(&store).await, open(&store).await);
    let (first, second) = (asked(&one, &network, 1), asked(&two, &network, 2));
    assert_eq!(first.ip, second.ip, "both chose the first address");
    assert_eq!(one.commit(vec![first.clone()], now()).await, [Outcome::Durable]);
    let free = LeaseChange { ip: Ipv4Addr::new(10, 0, 0, 99), ..second.clone() };
    assert_eq!(two.commit(vec![second, free.clone()], now()).await, [Outcome::Lost, Outcome::Durable]);
    assert_eq!(stored(&store).await, [(first.ip, mac(1)), (free.ip, mac(2))]);
}

/// One network, which its document may leave.
struct Declared(Mutex<Option<Arc<Network>>>);

#[async_trait]
impl HardwareSource for Declared {
    async fn find(&self, _: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        Ok(None)
    }
}

#[async_trait]
impl NetworkSource for Declared {
    async fn network(&self, _: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        Ok(self.0.lock().unwrap().clone())
    }
}

#[async_trait]
impl WorkSource for Declared {
    async fn work(&self, _: &Hardware) -> Result<Work, SourceError> {
        Ok(Work::Idle)
    }
}

fn shell(leases: &Arc<Leases>, declared: &Arc<Declared>, clock: &Arc<ManualClock>) -> Arc<Shell> {
    let sources = Sources {
        hardware: declared.clone(),
        networks: declared.clone(),
        work: declared.clone(),
        sessions: Arc::new(BootSessions::new()),
        policy: Arc::new(DefaultPolicy),
        leases: None,
        unknown: None,
        recorder: Arc::new(NoRecorder),
        clock: clock.clone(),
    };
    let site = Site { addresses: vec![Ipv4Addr::new(10, 0, 0, 1)], http_port: 7080, disk_loader: false };
    let config = DhcpConfig { interfaces: Vec::new(), site, probe: false };
    Arc::new(Shell {
        config,
        sources,
        leases: Some(Arc::clone(leases)),
        doubts: HashMap::new(),
        searches: HashMap::new(),
        relays: Relays::default(),
        metrics: DhcpMetrics::default(),
    })
}

/// Time of the runtime and of the clock together.
async fn later(clock: &ManualClock, by: Duration) {
    clock.advance(by);
    tokio::time::sleep(by).await;
}

#[tokio::test(start_paused = true)]
async fn once_an_hour_leases_go_that_ended_and_that_no_pool_holds_any_more() {
    let (store, network) = (Arc::new(Faulty::default()), network());
    let (leases, writer) = Leases::open(Arc::clone(&store) as Arc<dyn Store>, &[]).await;
    let ends = |change: LeaseChange, after| {
        let lease = Lease { ends: now() + Duration::from_secs(after), ..change.lease };
        LeaseChange { lease, ..change }
    };
    let outside = |change: LeaseChange| LeaseChange { ip: Ipv4Addr::new(10, 0, 0, 251), ..change };
    let changes = vec![
        ends(asked(&leases, &network, 1), 600),
        outside(ends(asked(&leases, &network, 2), 600)),
        ends(asked(&leases, &network, 3), 100 * 3600),
    ];
    assert_eq!(leases.commit(changes.clone(), now()).await, [Outcome::Durable; 3]);
    let [ended, gone, running] = [0, 1, 2].map(|at: usize| (changes[at].ip, changes[at].lease.mac));

    let clock = Arc::new(ManualClock::new(now()));
    let declared = Arc::new(Declared(Mutex::new(Some(Arc::clone(&network)))));
    let task = tokio::spawn(writer.run(shell(&leases, &declared, &clock)));
    later(&clock, Duration::from_secs(1)).await;
    later(&clock, Duration::from_secs(1800)).await;
    assert_eq!(stored(&store).await.len(), 3, "the sweep at the start found none that had ended");
    // The store is away when the hour is over; the next hour makes up for it.
    store.next(&[Fault::Away]);
    later(&clock, Duration::from_secs(2000)).await;
    assert_eq!(stored(&store).await.len(), 3);
    later(&clock, Duration::from_secs(3600)).await;
    let mut left = stored(&store).await;
    left.sort();
    let mut wanted = vec![ended, running];
    wanted.sort();
    assert_eq!(left, wanted, "of {gone:?}, whose pool ends before it, nothing is left");
    assert!(!leases.table().ended(clock.now()).iter().any(|(key, _)| Lease::place(key).unwrap().1 == gone.0));
    // Without its Network even one inside the pool goes; a running one never does.
    *declared.0.lock().unwrap() = None;
    later(&clock, Duration::from_secs(3600)).await;
    assert_eq!(stored(&store).await, [running]);
    task.abort();
}

/// What ends later than a machine's lease only because the clock went back does not hide it: whichever is read first.
#[test]
fn a_lease_is_its_machines_own_beside_one_that_ended_before_the_clock_went_back() {
    let network = network();
    let (held, other) = (Ipv4Addr::new(10, 0, 0, 20), Ipv4Addr::new(10, 0, 0, 21));
    let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
    let stored = |ip, state, ends, revision| {
        let lease = Lease { mac: mac(1), state, ends, client_id: None };
        Stored { key: Lease::key(&network.name, ip), revision: Revision(revision), value: lease.to_value() }
    };
    let bound = stored(held, LeaseState::Bound, at(600), 2);
    for state in [LeaseState::Released, LeaseState::Quarantined] {
        let ended = stored(other, state, at(7200), 1);
        for order in [[&bound, &ended], [&ended, &bound]] {
            for asked_before in [false, true] {
                let mut table = LeaseTable::new(&[]);
                for (n, stored) in order.into_iter().enumerate() {
                    table.load(&stored.key, Some(stored));
                    if asked_before && n == 0 && std::ptr::eq(stored, &ended) {
                        // It is held for the machine once more, and then the clock goes back.
                        table.standing(&network, mac(1), LeaseAsk::Any(Some(other)), false, at(7300));
                    }
                }
                let standing = table.standing(&network, mac(1), LeaseAsk::Keep(held), false, at(0));
                assert!(
                    matches!(standing, Standing::May { ip, leased: Some(_), .. } if ip == held),
                    "{state:?}, {order:?}, asked before: {asked_before}: {standing:?}"
                );
            }
        }
    }
}
