//! Pools on a real wire: busybox `udhcpc` over veth pairs in namespaces of the test's own, and what the store holds afterwards.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); then a missing tool or right is a failure. Needs root, `ip`
//! (iproute2) and `busybox`.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::Ipv4Addr,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bootcode_core::{
    clock::{SystemClock, Timestamp},
    document::{DhcpMode, Hardware, Network, UnknownMachines},
    lease::{LEASE_KIND, Lease, LeaseState},
    policy::DefaultPolicy,
    session::BootSessions,
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError, Work, WorkSource},
    store::{MemoryStore, Store},
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason},
};
use bootcode_dhcp::{DhcpConfig, DhcpServer, Sources};
use common::{MAC, NODE, SERVER, World};
use tokio_util::sync::CancellationToken;

struct Declared(World);

#[async_trait]
impl HardwareSource for Declared {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let is = |hardware: &&Hardware| match key {
            HardwareKey::Mac(mac) => hardware.interface(*mac).is_some(),
            HardwareKey::Ip(ip) => hardware.spec.interfaces.iter().any(|i| i.ip.map(Into::into) == Some(*ip)),
            _ => false,
        };
        Ok(self.0.hardware.as_ref().filter(is).cloned().map(Arc::new))
    }
}

#[async_trait]
impl NetworkSource for Declared {
    async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        let here = matches!(key, NetworkKey::Interface(SERVER) | NetworkKey::Of(_));
        Ok(self.0.network.clone().filter(|_| here).map(Arc::new))
    }
}

#[async_trait]
impl WorkSource for Declared {
    async fn work(&self, _: &Hardware) -> Result<Work, SourceError> {
        Ok(self.0.work.clone())
    }
}

#[derive(Default)]
struct Recorded(Mutex<Vec<BootEventKind>>);

impl BootRecorder for Recorded {
    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap().push(event.kind);
    }
}

fn run(program: &str, args: &str) {
    let status = Command::new(program).args(args.split(' ')).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}: install iproute2 and busybox"));
    assert!(status.success(), "{program} {args}: {status}");
}

/// A namespace of a machine besides the client, with `neighbour` on the wire; removed at the end.
struct Neighbour(String);

impl Neighbour {
    /// With this address, or with none yet.
    fn with(ip: Option<Ipv4Addr>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bc-pools-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run("ip", &format!("netns add {name}"));
        let neighbour = Self(name.clone());
        run("ip", &format!("link add nb0 type veth peer name nb1 netns {name}"));
        run("ip", "link set nb0 master br0 up");
        if let Some(ip) = ip {
            run("ip", &format!("-n {name} address add {ip}/24 dev nb1"));
        }
        run("ip", &format!("-n {name} link set nb1 up"));
        neighbour
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Runs `body` on a thread with a network namespace of its own: a bridge `br0` that we serve on, and `cli0` on it for the client.
fn on_a_wire(body: impl FnOnce() + Send + 'static) {
    if std::env::var_os("BOOTCODE_REAL_PEERS").is_none_or(|value| value != "1") {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
        return;
    }
    let wire = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
        run("ip", "link set lo up");
        run("ip", "link add br0 type bridge");
        run("ip", &format!("address add {SERVER}/24 dev br0"));
        run("ip", &format!("link add sw0 type veth peer name cli0 address {MAC}"));
        run("ip", "link set sw0 master br0 up");
        run("ip", "link set br0 up");
        run("ip", "link set cli0 up");
        body();
    };
    std::thread::spawn(wire).join().unwrap();
}

/// A network whose pool is `.100` to `.102`.
fn pool(unknown: UnknownMachines) -> World {
    World::new(DhcpMode::Authoritative).with(|world| {
        let network = world.network.as_mut().unwrap();
        network.spec.pool = vec!["192.168.99.100-192.168.99.102".parse().unwrap()];
        network.spec.unknown = unknown;
    })
}

fn at(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 99, last)
}

type Got = Option<BTreeMap<String, String>>;

/// Serves `world` with this store while `body` runs; what reached the timeline.
fn serving(
    world: &World,
    store: &Arc<dyn Store>,
    body: impl FnOnce() + Send + 'static,
) -> Vec<BootEventKind> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let recorded = Arc::new(Recorded::default());
        let declared = Arc::new(Declared(world.clone()));
        let sources = Sources {
            hardware: declared.clone(),
            networks: declared.clone(),
            work: declared,
            sessions: Arc::new(BootSessions::new()),
            policy: Arc::new(DefaultPolicy),
            leases: Some(Arc::clone(store)),
            unknown: None,
            recorder: recorded.clone(),
            clock: Arc::new(SystemClock),
        };
        let config = DhcpConfig { interfaces: vec!["br0".into()], site: common::site(), probe: true };
        let server = DhcpServer::bind(config, sources).await.unwrap();
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(server.run(cancel.clone()));
        tokio::task::spawn_blocking(body).await.unwrap();
        cancel.cancel();
        serving.await.unwrap();
        recorded.0.lock().unwrap().clone()
    })
}

fn lease(world: &World, store: &Arc<dyn Store>, args: &'static str) -> (Got, Vec<BootEventKind>) {
    served(world, store, move || udhcpc(args))
}

fn served(
    world: &World,
    store: &Arc<dyn Store>,
    client: impl FnOnce() -> Got + Send + 'static,
) -> (Got, Vec<BootEventKind>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let events = serving(world, store, move || sender.send(client()).unwrap());
    (receiver.recv().unwrap(), events)
}

fn udhcpc(args: &str) -> Got {
    let script = Script::new();
    let status = Command::new("busybox")
        .args(["udhcpc", "-i", "cli0", "-f", "-n", "-q", "-t", "3", "-T", "1", "-s"])
        .arg(&script.path)
        .args(args.split_whitespace())
        .status()
        .expect("busybox: install the package of that name");
    script.got().filter(|_| status.success())
}

/// What a client runs when it has an address: it writes down what it got and, in a namespace of its own, takes the address.
struct Script {
    _dir: tempfile::TempDir,
    path: PathBuf,
    out: PathBuf,
}

impl Script {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (path, out) = (dir.path().join("script"), dir.path().join("out"));
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\n[ $interface = nb1 ] && ip address add $ip/24 dev nb1\n\
             env > {0}.new && mv {0}.new {0}\n",
            out.display()
        );
        let mut file =
            std::fs::OpenOptions::new().create_new(true).write(true).mode(0o755).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Self { _dir: dir, path, out }
    }

    fn got(&self) -> Got {
        let text = std::fs::read_to_string(&self.out).ok()?;
        Some(
            text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect(),
        )
    }

    fn got_within(&self, wait: Duration) -> Got {
        let begun = Instant::now();
        while begun.elapsed() < wait {
            if let Some(got) = self.got() {
                return Some(got);
            }
            std::thread::yield_now();
        }
        None
    }
}

fn ip(got: &Got) -> Option<Ipv4Addr> {
    got.as_ref().and_then(|got| got.get("ip")).map(|ip| ip.parse().unwrap())
}

fn leases(store: &Arc<dyn Store>) -> BTreeMap<Ipv4Addr, Lease> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (all, _) = runtime.block_on(store.list(LEASE_KIND)).unwrap();
    all.iter()
        .map(|stored| (Lease::place(&stored.key).unwrap().1, Lease::from_value(&stored.value).unwrap()))
        .collect()
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

#[test]
fn an_unknown_machine_gets_an_address_keeps_it_through_its_stages_and_a_restart() {
    on_a_wire(|| {
        for unknown in [UnknownMachines::Pool, UnknownMachines::Boot] {
            let (world, store) = (pool(unknown).with(|world| world.hardware = None), memory());
            // Firmware, iPXE and the system say who they are in different ways (option 61); each run is a server that was started anew.
            for args in ["-x 61:00aabbccddeeff", "-C", "-x 61:ff00000001"] {
                let (got, _) = lease(&world, &store, args);
                assert_eq!(ip(&got), Some(at(100)), "with `{args}`");
                assert_eq!(got.unwrap().get("lease").unwrap(), "86400");
            }
            let kept = leases(&store);
            let (only, lease) = kept.first_key_value().unwrap();
            assert_eq!((kept.len(), *only, lease.mac, lease.state), (1, at(100), MAC, LeaseState::Bound));
            let left = lease.ends.as_second() - Timestamp::now().as_second();
            assert!((86_300..=86_400).contains(&left), "{left}");
        }
    });
}

#[test]
fn a_declared_machine_without_an_address_gets_one_of_the_pool_that_nobody_reserved() {
    on_a_wire(|| {
        let world = pool(UnknownMachines::Ignore).with(|world| {
            let interfaces = &mut world.hardware.as_mut().unwrap().spec.interfaces;
            interfaces[0].ip = None;
            let mut second = interfaces[0].clone();
            second.mac = "52:54:00:00:00:02".parse().unwrap();
            second.ip = Some(at(100));
            interfaces.push(second);
        });
        let (got, events) = lease(&world, &memory(), "");
        assert_eq!(ip(&got), Some(at(101)));
        assert_eq!(
            events.iter().map(BootEventKind::name).collect::<Vec<_>>(),
            ["Discover", "Offer", "Request", "Ack"]
        );
    });
}

#[test]
fn without_the_word_of_the_network_unknown_machines_get_nothing() {
    on_a_wire(|| {
        for unknown in [UnknownMachines::Record, UnknownMachines::Ignore] {
            let world = pool(unknown).with(|world| world.hardware = None);
            let store = memory();
            assert_eq!(lease(&world, &store, "").0, None);
            assert!(leases(&store).is_empty());
        }
    });
}

#[test]
fn an_address_that_somebody_took_by_hand_is_found_on_the_wire_and_the_next_one_given() {
    on_a_wire(|| {
        let _neighbour = Neighbour::with(Some(at(100)));
        let store = memory();
        let world = pool(UnknownMachines::Pool)
            .with(|world| world.hardware.as_mut().unwrap().spec.interfaces[0].ip = None);
        let begun = Instant::now();
        let (got, events) = lease(&world, &store, "");
        let took = begun.elapsed();
        assert_eq!(ip(&got), Some(at(101)));
        assert!(took < Duration::from_secs(3), "{took:?}");
        let in_use = BootEventKind::Ignored { reason: Reason::AddressInUse };
        assert!(events.contains(&in_use), "{events:?}");
        let kept = leases(&store);
        assert_eq!(kept[&at(100)].state, LeaseState::Quarantined);
        assert_eq!((kept[&at(101)].state, kept[&at(101)].mac), (LeaseState::Bound, MAC));
    });
}

#[test]
fn a_client_that_declines_gets_another_address_and_the_declined_one_is_kept_back() {
    on_a_wire(|| {
        // Without our own probe only the client finds it: it asks by ARP when it has its ACK (RFC 5227), and sends DECLINE.
        let _neighbour = Neighbour::with(Some(at(100)));
        let store = memory();
        let world = pool(UnknownMachines::Pool).with(|world| world.hardware = None);
        let leased = Lease {
            mac: MAC,
            state: LeaseState::Bound,
            ends: Timestamp::now() + Duration::from_secs(600),
            client_id: None,
        };
        let batch = bootcode_core::store::Batch {
            puts: vec![(Lease::key("lab", at(100)), leased.to_value())],
            ..Default::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.commit(batch)).unwrap();
        let (got, _) = lease(&world, &store, "-a500");
        assert_eq!(ip(&got), Some(at(101)));
        let kept = leases(&store);
        assert_eq!(kept[&at(100)].state, LeaseState::Quarantined);
        assert_eq!(kept[&at(101)].state, LeaseState::Bound);
    });
}

#[test]
fn a_released_address_is_free_and_remembered_for_its_machine() {
    on_a_wire(|| {
        let (world, store) = (pool(UnknownMachines::Pool).with(|world| world.hardware = None), memory());
        let machine = Neighbour::with(None);
        let name = machine.0.clone();
        let ask = |args, release: bool| {
            let (name, served_store) = (name.clone(), Arc::clone(&store));
            let store = Arc::clone(&store);
            let udhcpc = move || {
                let script = Script::new();
                let mut client = Command::new("ip")
                    .args(["netns", "exec", &name, "busybox", "udhcpc", "-i", "nb1", "-f", "-s"])
                    .arg(&script.path)
                    .args(args)
                    .spawn()
                    .unwrap();
                until_all(&store, LeaseState::Bound);
                // It runs its script when it has its ACK, which leaves after the lease is in the store.
                let got = script.got_within(Duration::from_secs(5));
                if release {
                    run("kill", &format!("-USR2 {}", client.id()));
                    until_all(&store, LeaseState::Released);
                }
                client.kill().unwrap();
                client.wait().unwrap();
                got
            };
            served(&world, &served_store, udhcpc).0
        };
        assert_eq!(
            ip(&ask(&["-r", "192.168.99.102"][..], true)),
            Some(at(102)),
            "the address that it would like"
        );
        run("ip", &format!("-n {} address flush dev nb1", machine.0));
        let former = ip(&ask(&[][..], false));
        assert_eq!(former, Some(at(102)), "its former address, though others were never used");
    });
}

/// Waits until there is a lease and all are like this.
fn until_all(store: &Arc<dyn Store>, state: LeaseState) {
    let begun = Instant::now();
    loop {
        let kept = leases(store);
        if !kept.is_empty() && kept.values().all(|lease| lease.state == state) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "not {state:?}: {kept:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_reservation_is_answered_at_once_though_a_pool_is_there() {
    on_a_wire(|| {
        let (got, _) = lease(&pool(UnknownMachines::Pool), &memory(), "");
        assert_eq!(ip(&got), Some(NODE));
    });
}

/// The bridge goes, and one of its name comes back, as a network manager does it on a reload.
fn made_anew() {
    run("ip", "link del br0");
    run("ip", "link add br0 type bridge");
    run("ip", &format!("address add {SERVER}/24 dev br0"));
    for port in ["sw0", "nb0"] {
        run("ip", &format!("link set {port} master br0 up"));
    }
    run("ip", "link set br0 up");
}

fn down_and_up() {
    run("ip", "link set br0 down");
    run("ip", "link set br0 up");
}

#[test]
fn a_wire_that_went_down_or_was_made_anew_is_served_and_asked_as_before() {
    for change in [down_and_up, made_anew] {
        on_a_wire(move || {
            let _neighbour = Neighbour::with(Some(at(100)));
            let (world, store) = (pool(UnknownMachines::Pool).with(|world| world.hardware = None), memory());
            let (got, _) = served(&world, &store, move || {
                change();
                // The interface is looked at every two seconds.
                (0..5).find_map(|_| udhcpc(""))
            });
            assert_eq!(ip(&got), Some(at(101)), "{got:?}: the neighbour has the first one");
        });
    }
}
