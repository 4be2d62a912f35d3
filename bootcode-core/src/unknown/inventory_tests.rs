//! What a stranger's token is good for, what is kept of what it says, and when it is told to restart.

use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    boot::Site,
    clock::ManualClock,
    document::{Hardware, HardwareSpec, Interface, Network, NetworkSpec, UnknownMachines},
    limits::{
        BATCH_BYTES, INVENTORY_TOKEN_SECONDS, UNKNOWN_INVENTORIES_BYTES, UNKNOWN_INVENTORY_BYTES,
        UNKNOWN_INVENTORY_QUEUE,
    },
    policy::DefaultPolicy,
    session::{Claims, Sealer, Use},
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError, Work, WorkSource},
    store::{MemoryStore, Store as _},
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason},
    workflow::{DiskReport, ServiceError},
};

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
const KEY: [u8; 32] = [7; 32];

/// What is declared, and what was recorded.
struct Site1 {
    hardware: Mutex<Option<Arc<Hardware>>>,
    work: Mutex<Work>,
    unknown: Mutex<Option<UnknownMachines>>,
    events: Mutex<Vec<BootEventKind>>,
}

#[async_trait::async_trait]
impl HardwareSource for Site1 {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        Ok(self.hardware.lock().unwrap().clone().filter(|_| *key == HardwareKey::Mac(MAC)))
    }
}

#[async_trait::async_trait]
impl NetworkSource for Site1 {
    async fn network(&self, _: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        panic!("the Network of the token is meant")
    }

    async fn named(&self, name: &str) -> Result<Option<Arc<Network>>, SourceError> {
        assert_eq!(name, "lab");
        Ok(self.unknown.lock().unwrap().map(|unknown| {
            let spec = NetworkSpec { unknown, ..NetworkSpec::new("10.0.0.0/24".parse().unwrap()) };
            Arc::new(Network { name: "lab".into(), spec })
        }))
    }
}

#[async_trait::async_trait]
impl WorkSource for Site1 {
    async fn work(&self, _: &Hardware) -> Result<Work, SourceError> {
        Ok(self.work.lock().unwrap().clone())
    }
}

impl BootRecorder for Site1 {
    fn record(&self, event: BootEvent) {
        self.events.lock().unwrap().push(event.kind);
    }
}

struct World {
    site: Arc<Site1>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    service: Inventories,
    driver: Option<UnknownDriver>,
}

impl World {
    fn new() -> Self {
        let site = Arc::new(Site1 {
            hardware: Mutex::default(),
            work: Mutex::default(),
            unknown: Mutex::new(Some(UnknownMachines::Boot)),
            events: Mutex::default(),
        });
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1000).unwrap()));
        let (queue, driver) =
            UnknownQueue::new(Arc::clone(&store) as _, Arc::clone(&site) as _, Arc::clone(&site) as _);
        let service = Inventories {
            hardware: Arc::clone(&site) as _,
            networks: Arc::clone(&site) as _,
            work: Arc::clone(&site) as _,
            policy: Arc::new(DefaultPolicy),
            site: Site { addresses: vec![[10, 0, 0, 1].into()], http_port: 7080, disk_loader: true },
            sealer: Sealer::new(KEY),
            queue,
            clock: Arc::clone(&clock) as _,
        };
        Self { site, store, clock, service, driver: Some(driver) }
    }

    fn declare(&self, netboot: bool, work: Work) {
        let interface = Interface { netboot, ..Interface::new("nic0", MAC) };
        let spec = HardwareSpec { interfaces: vec![interface], ..HardwareSpec::default() };
        let hardware = Hardware { name: "node-1".into(), labels: Default::default(), spec };
        *self.site.hardware.lock().unwrap() = Some(Arc::new(hardware));
        *self.site.work.lock().unwrap() = work;
    }

    async fn tell(&self, token: &str, inventory: Inventory) -> Result<Standby, Reason> {
        self.service.inventory(token, inventory).await.map_err(|error| match error {
            ServiceError::Refused { reason } => reason,
            other => panic!("{other}"),
        })
    }

    /// Runs the driver over all that was told, and what the store has then.
    async fn kept(&mut self) -> Vec<Unknown> {
        let driver = self.driver.take().unwrap();
        let cancel = CancellationToken::new();
        let running = tokio::spawn(driver.run(cancel.clone()));
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        cancel.cancel();
        running.await.unwrap();
        let (all, _) = self.store.list(UNKNOWN_KIND).await.unwrap();
        all.into_iter().map(|stored| serde_json::from_value(stored.value).unwrap()).collect()
    }
}

fn token(used_for: Use, hardware: &str, seconds: u64) -> String {
    let expires = 1000 + seconds.cast_signed();
    Sealer::new(KEY).seal(&Claims {
        used_for,
        hardware: hardware.to_owned(),
        id: "0".repeat(32),
        bound: "lab".to_owned(),
        expires,
    })
}

fn own() -> String {
    token(Use::Inventory, &MAC.to_string(), INVENTORY_TOKEN_SECONDS)
}

fn inventory() -> Inventory {
    Inventory {
        arch: "x86_64".to_owned(),
        uefi: true,
        serial: Some("S-1".to_owned()),
        uuid: None,
        memory_bytes: 1 << 30,
        disks: vec![DiskReport { device: "/dev/vda".to_owned(), blank: true, ..DiskReport::default() }],
    }
}

const WAITS: Standby = Standby::Wait { mac: MAC, declared: false, retry_ms: crate::limits::STANDBY_MS };

#[tokio::test(start_paused = true)]
async fn an_inventory_joins_what_dhcp_knows_and_is_written_and_told_once() {
    let mut world = World::new();
    let seen = Unknown { hostname: Some("node-7".to_owned()), ..super::tests::machine(1, 900) };
    assert_eq!(seen.mac, MAC);
    world.service.queue.saw(seen);
    for _ in 0..3 {
        assert_eq!(world.tell(&own(), inventory()).await, Ok(WAITS));
        world.clock.advance(std::time::Duration::from_secs(15));
    }
    let kept = world.kept().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].inventory.as_deref(), Some(&inventory()));
    assert_eq!((kept[0].hostname.as_deref(), kept[0].times), (Some("node-7"), 1), "DHCP asked once");
    let told = BootEventKind::InventoryTold { disks: 1, serial: Some("S-1".to_owned()) };
    assert_eq!(*world.site.events.lock().unwrap(), [told], "once, for it was the same again");
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_record_was_lost_gets_one_from_its_inventory() {
    let mut world = World::new();
    assert_eq!(world.tell(&own(), inventory()).await, Ok(WAITS));
    let kept = world.kept().await;
    assert_eq!((kept[0].mac, &*kept[0].network, kept[0].times), (MAC, "lab", 0));
}

#[tokio::test(start_paused = true)]
async fn only_a_token_for_this_that_runs_still_is_taken() {
    let mut world = World::new();
    let mac = MAC.to_string();
    let mut forged = own();
    forged.pop();
    let other_key = Sealer::new([8; 32]).seal(&Claims {
        used_for: Use::Inventory,
        hardware: mac.clone(),
        id: String::new(),
        bound: "lab".to_owned(),
        expires: i64::MAX,
    });
    for (what, token) in [
        ("none", String::new()),
        ("no token", "abc".to_owned()),
        ("cut", forged),
        ("another server's", other_key),
        ("a boot token", token(Use::Boot, &mac, 60)),
        ("a session", token(Use::Session, &mac, 60)),
        ("an action's", token(Use::Instance, &mac, 60)),
        ("metadata's", token(Use::Imds, &mac, 60)),
        ("of no machine", token(Use::Inventory, "node-1", 60)),
    ] {
        assert_eq!(world.tell(&token, inventory()).await, Err(Reason::BadToken), "{what}");
    }
    world.clock.advance(std::time::Duration::from_secs(INVENTORY_TOKEN_SECONDS));
    assert_eq!(world.tell(&own(), inventory()).await, Ok(WAITS));
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.tell(&own(), inventory()).await, Err(Reason::BadToken), "expired");
    assert_eq!(world.kept().await.len(), 1, "nobody else is recorded");
}

#[tokio::test]
async fn a_machine_restarts_when_something_else_is_to_boot_and_waits_else() {
    let provision = || Work::Provision { workflow: "w".to_owned() };
    let waits = Standby::Wait { mac: MAC, declared: true, retry_ms: crate::limits::STANDBY_MS };
    for (netboot, work, expected) in [
        (true, Work::Idle, waits.clone()),
        (true, provision(), Standby::Restart),
        (true, Work::Wait { workflow: "w".into(), reason: "r".into() }, Standby::Restart),
        (false, provision(), waits),
    ] {
        let mut world = World::new();
        world.declare(netboot, work.clone());
        assert_eq!(world.tell(&own(), inventory()).await, Ok(expected), "{netboot} {work:?}");
        tokio::time::pause();
        assert_eq!(world.kept().await, [], "a declared machine is no unknown one");
        tokio::time::resume();
    }
    for unknown in [None, Some(UnknownMachines::Ignore), Some(UnknownMachines::Record)] {
        let world = World::new();
        *world.site.unknown.lock().unwrap() = unknown;
        assert_eq!(world.tell(&own(), inventory()).await, Ok(Standby::Restart), "{unknown:?}");
    }
}

#[tokio::test]
async fn who_comes_at_once_with_too_many_is_told_to_come_again() {
    let world = World::new();
    for _ in 0..UNKNOWN_INVENTORY_QUEUE {
        assert_eq!(world.tell(&own(), inventory()).await, Ok(WAITS));
    }
    let error = world.service.inventory(&own(), inventory()).await.unwrap_err();
    assert!(matches!(error, ServiceError::Unavailable { .. }), "{error}");
}

fn many(disks: usize, text: &str) -> Inventory {
    let disk = |n| DiskReport {
        device: format!("/dev/sd{n}"),
        paths: vec![text.to_owned(); 4],
        serial: Some(text.to_owned()),
        ..DiskReport::default()
    };
    Inventory { serial: Some(text.to_owned()), disks: (0..disks).map(disk).collect(), ..inventory() }
}

#[test]
fn what_a_stranger_says_is_bounded_and_does_nothing_to_a_terminal() {
    let told = |inventory| Told::new(MAC, "lab".to_owned(), inventory, Timestamp::UNIX_EPOCH);
    let of = |disks, text: &str| told(many(disks, text)).inventory;
    assert_eq!(*of(2, "S"), many(2, "S"), "what fits is kept as it is");
    let hostile = of(1, "\u{1b}[2J\u{9b}S\r\n1");
    assert_eq!(hostile.serial.as_deref(), Some("[2JS1"));
    assert_eq!(hostile.disks[0].paths[0], "[2JS1");
    assert_eq!(of(1, &"x".repeat(100_000)).serial.as_ref().unwrap().len(), 256);
    let shelf = of(200, &"x".repeat(200));
    assert_eq!(shelf.disks.len(), 200, "of a large machine further paths go first");
    assert!(shelf.disks.iter().all(|disk| disk.paths.is_empty() && disk.serial.is_some()));
    for (disks, text) in
        [(5000, "\u{1f600}".repeat(300)), (1024, "\"\\".repeat(128)), (100_000, String::new())]
    {
        let kept = of(disks, &text);
        let bytes = serde_json::to_vec(&*kept).unwrap().len();
        assert!(bytes <= UNKNOWN_INVENTORY_BYTES, "{bytes}");
        assert!(!kept.disks.is_empty());
    }
}

#[test]
fn all_inventories_have_a_bound_and_so_has_each_batch() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let large = Told::new(MAC, "lab".to_owned(), many(1000, &"x".repeat(200)), at(0));
    let each = serde_json::to_vec(&large.inventory).unwrap().len();
    let room = UNKNOWN_INVENTORIES_BYTES / each;
    let machine = |n: usize| super::tests::machine(u32::try_from(n).unwrap(), n as i64);
    let (mut table, mut gone) = (UnknownTable::default(), 0);
    for n in 0..room + 20 {
        gone += table.told(Told { mac: machine(n).mac, at: at(n as i64), ..large.clone() }).1;
    }
    assert_eq!((table.len(), gone), (room, 20), "whoever has not asked for longest made room");
    assert!(!table.macs().any(|known| known == machine(0).mac));
    let mut written = 0;
    while let Some(batch) = table.next_batch() {
        let bytes: usize = batch.puts.iter().map(|(_, value)| value.to_string().len()).sum();
        assert!(bytes <= BATCH_BYTES, "{bytes}");
        written += batch.puts.len();
        table.written(&batch);
    }
    assert_eq!(written, room);
    let stored =
        (0..room + 20).map(|n| Unknown { inventory: Some(Arc::clone(&large.inventory)), ..machine(n) });
    assert_eq!(UnknownTable::load(stored).len(), room, "also of what the store has");
}

#[test]
fn one_machine_is_listened_to_once_in_ten_seconds() {
    let mut table = UnknownTable::default();
    let told = |second, serial: &str| {
        let inventory = Inventory { serial: Some(serial.to_owned()), ..inventory() };
        Told::new(MAC, "lab".to_owned(), inventory, Timestamp::from_second(second).unwrap())
    };
    assert_eq!(table.told(told(0, "a")), (true, 0));
    assert_eq!(table.told(told(9, "b")), (false, 0));
    assert_eq!(table.told(told(10, "b")), (true, 0));
    assert_eq!(table.told(told(20, "b")), (false, 0), "nothing new");
}
