//! Boots that follow one another: the engine says which instance the machine is, and cloud-init does once for each what is to be done once.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use bootcode_core::{
    clock::{Clock as _, SystemClock},
    document::{Hardware, MetadataIdentity},
    engine::{Engine, NewWorkflow, Parts},
    image::{ImageError, ImageIndex},
    journal::MemoryJournal,
    secret::NoSecrets,
    session::{BootSessions, Holder, Sealer, Use},
    source::InstanceStore as _,
    store::MemoryStore,
    timeline::{BootEvent, BootEventKind, BootRecorder},
    workflow::{Claim, WorkflowService as _},
};
use serde_json::{Value, from_value, json};

use super::{
    super::site::{Machines, NOW, World, named, token},
    SOURCES, alone,
    machine::{Booted, Machine},
    sources,
};

const NODE: &str = "node-1";

/// An engine that installs `node-1`.
struct Installer {
    machine: Arc<Hardware>,
    engine: Arc<Engine>,
    boots: BootSessions,
    sealer: Sealer,
    drawn: Arc<AtomicU64>,
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

impl Installer {
    async fn new(machine: Arc<Hardware>) -> Self {
        let sealer = Sealer::new([9; 32]);
        let engine = Engine::open(Parts {
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(SystemClock),
            recorder: Arc::new(Nothing),
            journal: Arc::new(MemoryJournal::new()),
            images: Arc::new(Nothing),
            hardware: Arc::new(Machines(vec![Arc::clone(&machine)])),
            secrets: Arc::new(NoSecrets),
            sealer: sealer.clone(),
        });
        let engine = Arc::new(engine.await.unwrap());
        Self { machine, engine, boots: BootSessions::new(), sealer, drawn: Arc::default() }
    }

    /// A workflow of one action, which writes the disk, from the worker's hello to its last report; the instance that the machine is then.
    async fn install(&self, workflow: &str) -> String {
        let action = json!({"name": "write", "image": "write:v1", "timeoutS": 60, "command": [], "onTimeout": null, "onFailure": null,
            "volumes": ["/dev:/dev"], "environment": {}, "namespaces": {}, "retries": 0, "onInterrupt": "retry", "writes": null});
        let spec = json!({"name": "debian", "globalTimeoutS": 600, "onSuccess": "reboot", "onFailure": "stay",
            "tasks": [{"name": "install", "worker": NODE, "actions": [action]}]});
        let declared = json!({"template": "debian", "hardware": NODE, "overwrite": "any"});
        let new = NewWorkflow {
            name: workflow.to_owned(),
            declared: from_value(declared).unwrap(),
            spec: from_value(spec).unwrap(),
            from_directory: false,
            hold: None,
        };
        self.engine.create(&new).await.unwrap();
        let disk = json!({"device": "/dev/vda", "serial": "A", "sizeBytes": 4_u64 << 30, "kind": "ssd", "blank": true});
        let hello = json!({"token": self.boot_token(), "nonce": format!("nonce of {workflow}"), "bootId": format!("boot of {workflow}"),
            "inventory": {"arch": "x86_64", "disks": [disk]}});
        let session = self.engine.hello(from_value(hello).unwrap()).await.unwrap();
        while let Claim::Run(assignment) = self.engine.claim(&session.token).await.unwrap() {
            let report = json!({"workflow": assignment.workflow, "index": assignment.index, "action": assignment.action,
                "attempt": assignment.attempt, "outcome": {"result": "succeeded"}, "ranMs": 1, "disks": [disk]});
            self.engine.report(&session.token, from_value(report).unwrap()).await.unwrap();
        }
        self.engine.instance_id(&self.machine).await.unwrap()
    }

    fn boot_token(&self) -> String {
        let (interface, now) = (&self.machine.spec.interfaces[0], SystemClock.now());
        let (mac, ip) = (interface.mac, interface.ip.unwrap().into());
        let drawn = Arc::clone(&self.drawn);
        let entropy: bootcode_core::session::Entropy =
            Arc::new(move || u128::from(drawn.fetch_add(1, Ordering::Relaxed)).to_be_bytes());
        self.boots.saw_ack(mac, ip, now);
        let holder = Holder::Machine { name: NODE.to_owned() };
        self.boots.boot_token(&holder, mac, ip, &self.sealer, &entropy, now).unwrap()
    }
}

/// Tells how often it was booted, and how often installed.
fn machine() -> Value {
    let home =
        format!("http://192.168.99.1:7080/phone-home?token={}", token(NODE, Use::Instance, NOW + 3600));
    let user_data = json!({
        "bootcmd": ["echo boot >> /etc/boots"],
        "runcmd": ["echo installed >> /etc/installations"],
        "write_files": [{"path": "/etc/installed", "content": "here\n", "append": true}],
        "phone_home": {"url": home, "post": ["pub_key_ed25519", "instance_id"], "tries": 2},
    });
    json!({
        "hostname": "web-1",
        "interfaces": [
            {"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11", "netboot": true},
            {"id": "nic1", "mac": "52:54:00:00:00:11"},
        ],
        "storage": {"disks": [{"id": "a", "device": "/dev/vda"}]},
        "userData": format!("#cloud-config\n{user_data}\n"),
    })
}

/// What is to be seen after a boot: the instance, how often the machine booted, and how often cloud-init configured it.
fn check(booted: &Booted, world: &World, instance: &str, boots: usize, configured: usize) {
    let log = booted.log();
    let bad = |line: &&str| ["[WARNING]", "[ERROR]", "[CRITICAL]"].iter().any(|level| line.contains(level));
    assert_eq!(log.lines().filter(bad).collect::<Vec<_>>(), [""; 0], "{}", booted.said);
    assert_eq!(booted.wrote("var/lib/cloud/data/instance-id"), format!("{instance}\n"));
    assert_eq!(booted.wrote("etc/boots"), "boot\n".repeat(boots), "what is done at each boot");
    let what = format!("boot {boots} as {instance}");
    assert_eq!(booted.wrote("etc/installations"), "installed\n".repeat(configured), "{what}: runcmd");
    assert_eq!(booted.wrote("etc/installed"), "here\n".repeat(configured), "{what}: write_files");
    let homes = world.recorded.count(|event| matches!(event, BootEventKind::PhonedHome { .. }));
    assert_eq!(homes, configured, "{what}: phone_home");
    assert!(booted.said.lines().any(|line| line == "web-1"), "{}", booted.said);
}

/// `on_disk` is the seed that an installation leaves there; else each boot asks the service.
fn boots_and_installations(list: &str, settings: &Value, on_disk: bool) {
    let (list, settings) = (list.to_owned(), sources(list, settings));
    alone(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let node = named(NODE, machine());
        let installer = runtime.block_on(Installer::new(Arc::clone(&node)));
        let world = World::of(
            Arc::new(Machines(vec![node])),
            Arc::<Engine>::clone(&installer.engine),
            MetadataIdentity::Address,
        );
        let seeded = |machine: Machine| if on_disk { machine.seeded(&world) } else { machine };

        let one = runtime.block_on(installer.install("first"));
        let first = seeded(Machine::new("quiet").with(SOURCES, &settings)).boot(&world);
        check(&first, &world, &one, 1, 1);
        let key = first.wrote("etc/ssh/ssh_host_ed25519_key.pub");

        let second = first.off().boot(&world);
        check(&second, &world, &one, 2, 1);
        assert_eq!(second.wrote("etc/ssh/ssh_host_ed25519_key.pub"), key, "{list}: still the same machine");

        // It leaves everything else as it was: what makes cloud-init begin anew is the id alone.
        let two = runtime.block_on(installer.install("second"));
        assert_ne!(two, one);
        let third = seeded(second.off()).boot(&world);
        check(&third, &world, &two, 3, 2);
        assert_ne!(third.wrote("etc/ssh/ssh_host_ed25519_key.pub"), key, "{list}: another installation");

        let fourth = third.off().boot(&world);
        check(&fourth, &world, &two, 4, 2);
    });
}

#[test]
fn a_machine_that_asks_at_each_boot_is_configured_once_for_each_installation() {
    let settings = json!({"strict_id": false, "metadata_urls": ["http://192.168.99.1:7080"]});
    boots_and_installations("Ec2", &settings, false);
}

#[test]
fn a_machine_with_a_seed_is_configured_once_for_each_installation() {
    boots_and_installations("NoCloud", &json!({}), true);
}
