//! Workflows: folding a log, and handing out an action among many open workflows.

use std::{hint::black_box, sync::Arc, time::Instant};

use async_trait::async_trait;
use bootcode_core::{
    clock::{Clock, SystemClock},
    engine::{Engine, NewWorkflow, Parts},
    image::{ImageError, ImageIndex},
    journal::MemoryJournal,
    secret::NoSecrets,
    session::{BootSessions, Entropy, Holder, Sealer},
    snapshot::Snapshot,
    store::MemoryStore,
    timeline::{BootEvent, BootRecorder},
    workflow::{Claim, Hello, Inventory, State, WorkflowService as _},
};
use serde_json::{from_value, json};

use super::{
    fleet,
    table::{Table, Wanted, block_on, least},
};

/// Open workflows, one for each machine.
const OPEN: usize = 10_000;
/// Claims that are measured.
const CLAIMS: usize = 400;

pub(crate) fn fold(table: &mut Table) {
    const FOLDS: u32 = 200;
    let log = bootcode_benches::log(49).expect("events in the shape that core writes");
    let time = least(50, || {
        for _ in 0..FOLDS {
            black_box(State::fold("install-node-1", black_box(&log)));
        }
    });
    table.note(
        "fold of a log of 100 events",
        Wanted::Below(20.0),
        time.as_secs_f64() * 1e6 / f64::from(FOLDS),
        "us",
    );
}

struct Nothing;

#[async_trait]
impl ImageIndex for Nothing {
    async fn resolve(&self, name: &str) -> Result<Option<String>, ImageError> {
        Ok(Some(format!("sha256:{name}")))
    }
}

impl BootRecorder for Nothing {
    fn record(&self, _: BootEvent) {}
}

fn new_workflow(number: usize) -> NewWorkflow {
    let node = fleet::name(number);
    let action = |name: &str| {
        json!({"name": name, "image": format!("{name}:v3"), "timeoutS": 600, "command": [], "onTimeout": null, "onFailure": null,
               "volumes": ["/dev:/dev"], "environment": {"DEST_DISK": "/dev/vda"}, "namespaces": {}, "retries": 0,
               "onInterrupt": "retry", "writes": null})
    };
    let actions =
        ["disk-wipe", "disk-partition", "install-root-fs", "install-grub", "cloud-init-seed"].map(action);
    let spec = json!({"name": "debian", "globalTimeoutS": 6000, "onSuccess": "reboot", "onFailure": "stay",
                      "tasks": [{"name": "install", "worker": node, "actions": actions}]});
    NewWorkflow {
        name: format!("install-{node}"),
        declared: from_value(json!({"template": "debian", "hardware": node}))
            .expect("a Workflow in the shape that core reads"),
        spec: from_value(spec).expect("a spec in the shape that core reads"),
        from_directory: false,
        hold: None,
    }
}

pub(crate) fn claim(table: &mut Table) {
    let mut times = block_on(async {
        let store = Arc::new(MemoryStore::new());
        fleet::fill(&*store, OPEN).await;
        let snapshot = Snapshot::load(&*store).await.expect("a store in memory");
        let sealer = Sealer::new([7; 32]);
        let engine = Engine::open(Parts {
            store: Arc::<MemoryStore>::clone(&store),
            clock: Arc::new(SystemClock),
            recorder: Arc::new(Nothing),
            journal: Arc::new(MemoryJournal::new()),
            images: Arc::new(Nothing),
            hardware: snapshot,
            secrets: Arc::new(NoSecrets),
            sealer: sealer.clone(),
        })
        .await
        .expect("an engine");
        for number in 0..OPEN {
            engine.create(&new_workflow(number)).await.expect("a workflow");
        }
        let (boots, now) = (BootSessions::new(), SystemClock.now());
        let drawn = std::sync::atomic::AtomicU64::new(1);
        let entropy: Entropy = Arc::new(move || {
            u128::from(drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).to_be_bytes()
        });
        let mut times = Vec::with_capacity(CLAIMS);
        for number in (0..OPEN).step_by(OPEN / CLAIMS) {
            let (mac, ip) = (fleet::mac(number), fleet::ip(number));
            boots.saw_ack(mac, ip.into(), now);
            let token = boots
                .boot_token(
                    &Holder::Machine { name: fleet::name(number) },
                    mac,
                    ip.into(),
                    &sealer,
                    &entropy,
                    now,
                )
                .expect("a token");
            let session = engine.hello(hello(token, number)).await.expect("a session");
            let start = Instant::now();
            let claim = engine.claim(&session.token).await.expect("an answer");
            times.push(start.elapsed());
            assert!(matches!(claim, Claim::Run(_)), "{claim:?}");
        }
        times
    });
    times.sort_unstable();
    let ms = |at: usize| times[at].as_secs_f64() * 1e3;
    table.note(
        format!("claim of an action among {OPEN} open workflows, median"),
        Wanted::Below(1.0),
        ms(CLAIMS / 2),
        "ms",
    );
    table.note("the same, the slowest of a hundred", Wanted::Nothing, ms(CLAIMS - CLAIMS / 100), "ms");
}

fn hello(token: String, number: usize) -> Hello {
    let disk = json!({"device": "/dev/vda", "serial": format!("S{number}"), "sizeBytes": 4_u64 << 30, "kind": "ssd", "blank": true});
    let inventory: Inventory =
        from_value(json!({"arch": "x86_64", "uuid": fleet::uuid(number), "disks": [disk]}))
            .expect("an inventory");
    Hello { token, nonce: format!("nonce {number}"), boot_id: format!("boot {number}"), inventory }
}
