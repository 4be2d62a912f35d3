//! Large fleets: reading their documents, finding one of their machines, changing one.

use std::{
    collections::HashMap,
    hint::black_box,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use bootcode_core::{
    apply::{Applier, Origin},
    clock::{SystemClock, Timestamp},
    document,
    engine::{Engine, Parts},
    image::{ImageError, ImageIndex},
    journal::MemoryJournal,
    mac::MacAddr,
    secret::NoSecrets,
    session::Sealer,
    snapshot::Snapshot,
    source::{HardwareKey, HardwareSource as _},
    store::{Batch, Commit, Key, MemoryStore, Store},
    timeline::{BootEvent, BootRecorder},
};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::table::{Table, Wanted, block_on, least, thread_time};

const MACHINES: usize = 100_000;
const NETWORK: &str = "apiVersion: bootcode/v1\nkind: Network\nmetadata: {name: lab}\nspec: {cidr: 10.0.0.0/8, dhcp: {mode: authoritative}}\n";

pub(crate) fn name(number: usize) -> String {
    format!("node-{number}")
}

pub(crate) fn mac(number: usize) -> MacAddr {
    let [.., a, b, c] = number.to_be_bytes();
    MacAddr([0x52, 0x54, 0, a, b, c])
}

pub(crate) fn ip(number: usize) -> Ipv4Addr {
    let [.., a, b, c] = (number + 256).to_be_bytes();
    Ipv4Addr::new(10, a, b, c)
}

pub(crate) fn uuid(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn text(number: usize, hold: &str) -> String {
    format!(
        "apiVersion: bootcode/v1\nkind: Hardware\nmetadata:\n  name: {}\n  labels: {{rack: a{}}}\nspec:\n  arch: x86_64\n  hold: '{hold}'\n  \
         identity: {{uuid: {}}}\n  interfaces:\n  - {{id: nic0, mac: '{}', network: lab, ip: {}, netboot: true}}\n  storage:\n    \
         disks: [{{id: a, device: /dev/vda}}]\n    partitions:\n    - disk: a\n      table: gpt\n      layout:\n      \
         - {{id: bios, size: 1MiB, type: bios-boot}}\n      - {{id: root, size: rest, type: linux, format: ext4, mount: /}}\n  \
         os: {{image: debian-12.tar.zst, sha256: \"{}\"}}\n",
        name(number),
        number % 100,
        uuid(number),
        mac(number),
        ip(number),
        "0".repeat(64),
    )
}

fn texts(machines: std::ops::Range<usize>) -> String {
    machines.map(|number| text(number, "")).collect::<Vec<_>>().join("---\n")
}

/// Writes a Network and so many machines into a store, as an apply does, but for its checks.
pub(crate) async fn fill(store: &dyn Store, machines: usize) {
    fill_with(store, machines, &|_| {}).await;
}

/// The same with something more in each machine's document.
pub(crate) async fn fill_with(store: &dyn Store, machines: usize, more: &dyn Fn(&mut Value)) {
    let files = [("network", NETWORK.to_owned()), ("machine", text(0, ""))];
    let read = document::read(&files).expect("documents in the shape that core reads").into_documents();
    let write = |puts| async move {
        let done = store.commit(Batch { puts, ..Batch::default() }).await;
        assert!(matches!(done, Ok(Commit::Done(_))), "{done:?}");
    };
    write(vec![(Key::new("Network", "lab"), json!(read[0]))]).await;
    let one = json!(read[1]);
    for first in (0..machines).step_by(100) {
        let machine = |number: usize| {
            let mut document = one.clone();
            document["metadata"]["name"] = name(number).into();
            document["spec"]["identity"]["uuid"] = uuid(number).into();
            document["spec"]["interfaces"][0]["mac"] = mac(number).to_string().into();
            document["spec"]["interfaces"][0]["ip"] = ip(number).to_string().into();
            more(&mut document);
            (Key::new("Hardware", name(number)), document)
        };
        write((first..machines.min(first + 100)).map(machine).collect()).await;
    }
}

pub(crate) fn parse(table: &mut Table) {
    const DOCUMENTS: usize = 10_000;
    let files = [("network.yaml", NETWORK.to_owned()), ("machines.yaml", texts(0..DOCUMENTS))];
    let (mut read, mut validated) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        let start = thread_time();
        let set = document::read(&files).expect("documents without faults");
        assert_eq!(set.len(), DOCUMENTS + 1);
        read = read.min(thread_time() - start);
        drop(set);
        let start = thread_time();
        document::validate(&files, &[], Origin::Operator, Timestamp::UNIX_EPOCH)
            .expect("documents without faults");
        validated = validated.min(thread_time() - start);
    }
    table.note(
        format!("parsing {DOCUMENTS} Hardware documents"),
        Wanted::Below(1.0),
        read.as_secs_f64(),
        "s",
    );
    table.note("the same with every check", Wanted::Nothing, validated.as_secs_f64(), "s");
}

pub(crate) fn look_up(table: &mut Table) {
    block_on(async {
        let store = Arc::new(MemoryStore::new());
        fill(&*store, MACHINES).await;
        let start = thread_time();
        let snapshot = Snapshot::load(&*store).await.expect("a store in memory");
        let loaded = thread_time() - start;
        // Each key is of another machine than the one before: what is measured is memory, too.
        let numbers: Vec<usize> = (0..MACHINES).map(|n| n * 61_813 % MACHINES).collect();
        type Keys = fn(usize) -> HardwareKey;
        let kinds: [(&str, Keys); 4] = [
            ("MAC", |number| HardwareKey::Mac(mac(number))),
            ("IP", |number| HardwareKey::Ip(ip(number).into())),
            ("name", |number| HardwareKey::Name(name(number))),
            ("machine id", |number| {
                // Option 97 has the first three fields little-endian.
                let mut id = [0; 16];
                id[7] = 0x40;
                id[8] = 0x80;
                id[10..].copy_from_slice(&number.to_be_bytes()[2..]);
                HardwareKey::MachineId(id)
            }),
        ];
        for (kind, key) in kinds {
            let keys: Vec<HardwareKey> = numbers.iter().map(|number| key(*number)).collect();
            let time = least(9, || {
                for key in &keys {
                    let found = snapshot.find(black_box(key)).now_or_never();
                    assert!(matches!(found, Some(Ok(Some(_)))), "{key:?}: {found:?}");
                }
            });
            table.note(
                format!("snapshot look-up by {kind}, {MACHINES} machines"),
                Wanted::Below(200.0),
                each_ns(time),
                "ns",
            );
        }
        let bare: HashMap<MacAddr, Arc<Value>> =
            numbers.iter().map(|number| (mac(*number), Arc::default())).collect();
        let macs: Vec<MacAddr> = numbers.iter().map(|number| mac(*number)).collect();
        let time =
            least(9, || macs.iter().for_each(|mac| drop(black_box(bare.get(black_box(mac)).cloned()))));
        table.note("by MAC in a bare HashMap of shared values", Wanted::Nothing, each_ns(time), "ns");
        table.note(
            format!("loading a snapshot of {MACHINES} machines"),
            Wanted::Nothing,
            loaded.as_secs_f64(),
            "s",
        );
    });
}

/// Of a round over all machines.
#[allow(clippy::cast_precision_loss)]
fn each_ns(round: Duration) -> f64 {
    round.as_secs_f64() * 1e9 / MACHINES as f64
}

struct Nothing;

#[async_trait::async_trait]
impl ImageIndex for Nothing {
    async fn resolve(&self, _: &str) -> Result<Option<String>, ImageError> {
        Ok(None)
    }
}

impl BootRecorder for Nothing {
    fn record(&self, _: BootEvent) {}
}

/// Applies to a store, as a server that has this snapshot of it does.
pub(crate) async fn applier(store: &Arc<dyn Store>, snapshot: &Arc<Snapshot>) -> Applier {
    let engine = Engine::open(Parts {
        store: Arc::clone(store),
        clock: Arc::new(SystemClock),
        recorder: Arc::new(Nothing),
        journal: Arc::new(MemoryJournal::new()),
        images: Arc::new(Nothing),
        hardware: Arc::clone(snapshot) as _,
        secrets: Arc::new(NoSecrets),
        sealer: Sealer::new([7; 32]),
    });
    Applier::new(Arc::clone(store), Arc::new(engine.await.expect("an engine")), None)
}

pub(crate) fn change(table: &mut Table) {
    for machines in [10_000, MACHINES] {
        block_on(async {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            fill(&*store, machines).await;
            let snapshot = Snapshot::load(&*store).await.expect("a store in memory");
            let applier = applier(&store, &snapshot).await;
            let cancel = CancellationToken::new();
            let follow = tokio::spawn({
                let (snapshot, store, cancel) = (Arc::clone(&snapshot), Arc::clone(&store), cancel.clone());
                async move { snapshot.follow(store, Arc::new(SystemClock), cancel).await }
            });
            let (mut first, mut applied, mut visible) = (Duration::ZERO, Duration::MAX, Duration::ZERO);
            for round in 0..20 {
                let files = [("one.yaml".to_owned(), text(machines / 2, &format!("round {round}")))];
                let start = Instant::now();
                let done = applier.apply(&files, Origin::Operator).await.expect("a change");
                let took = start.elapsed();
                let start = Instant::now();
                snapshot.reached(done.revision).await;
                visible = visible.max(start.elapsed());
                assert_eq!(done.diff.changed.len(), 1);
                assert_eq!(
                    snapshot.hardware(&name(machines / 2)).expect("it is there").spec.hold,
                    format!("round {round}")
                );
                if round == 0 { first = took } else { applied = applied.min(took) }
            }
            cancel.cancel();
            follow.await.expect("the follower ends");
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            table.note(
                format!("apply of one change to {machines} machines"),
                Wanted::Below(10.0),
                ms(applied),
                "ms",
            );
            table.note("the first one after a start", Wanted::Nothing, ms(first), "ms");
            table.note(
                "until the snapshot shows it, the slowest of 20",
                Wanted::Below(100.0),
                ms(visible),
                "ms",
            );
        });
    }
}
