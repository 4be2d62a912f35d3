//! A real client on a real wire: busybox `udhcpc` over a veth pair, in a network namespace of the test's own thread.
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
    process::Command,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bootcode_core::{
    clock::SystemClock,
    document::{DhcpMode, Hardware, Network},
    policy::DefaultPolicy,
    session::BootSessions,
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError, Work, WorkSource},
    timeline::{BootEvent, BootRecorder},
};
use bootcode_dhcp::{BindError, DhcpConfig, DhcpServer, Sources, interface_addresses};
use common::{MAC, NODE, SERVER, World};
use tokio_util::sync::CancellationToken;

struct Declared(World);

#[async_trait]
impl HardwareSource for Declared {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        Ok(self.0.hardware.clone().filter(|_| *key == HardwareKey::Mac(MAC)).map(Arc::new))
    }
}

#[async_trait]
impl NetworkSource for Declared {
    async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        Ok(self.0.network.clone().filter(|_| key == NetworkKey::Interface(SERVER)).map(Arc::new))
    }
}

#[async_trait]
impl WorkSource for Declared {
    async fn work(&self, _: &Hardware) -> Result<Work, SourceError> {
        Ok(self.0.work.clone())
    }
}

#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl BootRecorder for Recorded {
    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap().push(event.kind.name().to_owned());
    }
}

fn run(program: &str, args: &str) {
    let status = Command::new(program).args(args.split(' ')).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}: install iproute2 and busybox"));
    assert!(status.success(), "{program} {args}: {status}");
}

/// Runs `body` on a thread that has a network namespace of its own, with a veth pair `srv0` and `cli0`.
fn on_a_wire(body: impl FnOnce() + Send + 'static) {
    if std::env::var_os("BOOTCODE_REAL_PEERS").is_none_or(|value| value != "1") {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
        return;
    }
    let wire = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
        run("ip", "link set lo up");
        run("ip", &format!("link add srv0 type veth peer name cli0 address {MAC}"));
        run("ip", &format!("address add {SERVER}/24 dev srv0"));
        run("ip", "link set srv0 up");
        run("ip", "link set cli0 up");
        body();
    };
    std::thread::spawn(wire).join().unwrap();
}

fn config() -> DhcpConfig {
    DhcpConfig { interfaces: vec!["srv0".into()], site: common::site() }
}

fn sources(world: &World, recorded: &Arc<Recorded>) -> Sources {
    let declared = Arc::new(Declared(world.clone()));
    Sources {
        hardware: declared.clone(),
        networks: declared.clone(),
        work: declared,
        sessions: Arc::new(BootSessions::new()),
        policy: Arc::new(DefaultPolicy),
        leases: None,
        recorder: recorded.clone(),
        clock: Arc::new(SystemClock),
    }
}

/// Serves `world` while a `udhcpc` asks; what it got by name, or `None` where nobody answered; and the timeline.
fn lease(world: &World, args: &str) -> (Option<BTreeMap<String, String>>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let recorded = Arc::new(Recorded::default());
        let server = DhcpServer::bind(config(), sources(world, &recorded)).await.unwrap();
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(server.run(cancel.clone()));
        let args = args.to_owned();
        let got = tokio::task::spawn_blocking(move || udhcpc(&args)).await.unwrap();
        cancel.cancel();
        serving.await.unwrap();
        let events = recorded.0.lock().unwrap().clone();
        (got, events)
    })
}

fn udhcpc(args: &str) -> Option<BTreeMap<String, String>> {
    let dir = tempfile::tempdir().unwrap();
    let (script, out) = (dir.path().join("script"), dir.path().join("out"));
    let text = format!("#!/bin/sh\n[ \"$1\" = bound ] && env > {}\nexit 0\n", out.display());
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o755).open(&script).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    drop(file);
    let status = Command::new("busybox")
        .args(["udhcpc", "-i", "cli0", "-f", "-n", "-q", "-t", "3", "-T", "1", "-s"])
        .arg(&script)
        .args(args.split_whitespace())
        .status()
        .expect("busybox: install the package of that name");
    let text = std::fs::read_to_string(&out).ok().filter(|_| status.success())?;
    Some(text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect())
}

#[test]
fn udhcpc_gets_its_reservation_by_frame_and_by_broadcast() {
    on_a_wire(|| {
        let world = World::new(DhcpMode::Authoritative);
        for args in ["", "-B", "-r 192.168.99.77", "-O search -O lease"] {
            let (got, events) = lease(&world, args);
            let got = got.unwrap_or_else(|| panic!("no lease with `{args}`: {events:?}"));
            for (name, value) in [
                ("ip", NODE.to_string()),
                ("subnet", "255.255.255.0".into()),
                ("router", SERVER.to_string()),
                ("dns", format!("{SERVER} {}", Ipv4Addr::new(9, 9, 9, 9))),
                ("hostname", "node-1".into()),
                ("domain", "lab.example".into()),
                ("serverid", SERVER.to_string()),
                ("lease", "86400".into()),
            ] {
                assert_eq!(got.get(name), Some(&value), "{name} with `{args}`");
            }
            assert_eq!(events, ["Discover", "Offer", "Request", "Ack"], "with `{args}`");
        }
    });
}

#[test]
fn udhcpc_gets_nothing_where_dhcp_is_off_or_a_proxy() {
    on_a_wire(|| {
        for (mode, event) in
            [(DhcpMode::None, ["Ignored"; 1].as_slice()), (DhcpMode::Proxy, &["Discover", "Ignored"])]
        {
            let (got, events) = lease(&World::new(mode), "");
            assert_eq!(got, None, "{mode:?}");
            assert_eq!(&events[..event.len()], event, "{mode:?}");
        }
    });
}

#[test]
fn a_start_that_cannot_be_says_why() {
    on_a_wire(|| {
        assert_eq!(interface_addresses("srv0").unwrap(), [SERVER]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bind = |config| {
            let sources = sources(&World::new(DhcpMode::None), &Arc::default());
            match runtime.block_on(DhcpServer::bind(config, sources)) {
                Ok(_) => panic!("this must not start"),
                Err(error) => error,
            }
        };
        let error = bind(DhcpConfig { interfaces: vec!["eth9".into()], ..config() });
        assert!(
            matches!(&error, BindError::UnknownInterface { available, .. } if available.contains(&"srv0".into()))
        );
        let mut nowhere = config();
        nowhere.site.addresses.clear();
        assert!(matches!(bind(nowhere), BindError::NoAddress { .. }));
        let _taken = std::net::UdpSocket::bind("0.0.0.0:67").unwrap();
        let error = bind(config());
        assert!(error.to_string().contains("another program holds it"), "{error}");
    });
}
