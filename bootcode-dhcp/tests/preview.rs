//! What clients would be told, by a server that is bound to no wire: its look-ups, rules and words.

#![allow(clippy::unwrap_used)]

use std::{
    fmt::Write as _,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bootcode_core::{
    arch::ClientArch,
    boot::Site,
    clock::{Clock, Timestamp},
    document::Hardware,
    lease::{LEASE_KIND, Lease, LeaseState},
    policy::DefaultPolicy,
    preview::{Asked, Preview, PreviewAsk, PreviewError, Program},
    session::BootSessions,
    snapshot::Snapshot,
    source::{SourceError, Work, WorkSource},
    store::{Batch, Key, MemoryStore, Revision, Store},
    timeline::{BootEvent, BootRecorder},
    unknown::{Unknown, UnknownRecorder},
    yaml,
};
use bootcode_dhcp::{DhcpConfig, DhcpServer, Sources};
use serde_json::json;

/// A clock that stands.
struct Noon;

#[async_trait]
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending().await
    }
}

/// One machine has work, one waits, the others are idle.
struct SomeWork;

#[async_trait]
impl WorkSource for SomeWork {
    async fn work(&self, hardware: &Hardware) -> Result<Work, SourceError> {
        Ok(match hardware.name.as_str() {
            "node-1" => Work::Provision { workflow: "install-node-1".into() },
            "node-2" => Work::Wait { workflow: "install-node-2".into(), reason: "disk-wipe failed".into() },
            _ => Work::Idle,
        })
    }
}

/// Whatever is recorded of anything.
#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl BootRecorder for Recorded {
    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl UnknownRecorder for Recorded {
    fn saw(&self, machine: Unknown) {
        self.0.lock().unwrap().push(format!("{machine:?}"));
    }
}

const NODE_1: u8 = 1;
const NODE_2: u8 = 2;
const IDLE: u8 = 3;
const NO_NETBOOT: u8 = 4;
const POOLED: u8 = 5;
const UNKNOWN: u8 = 99;

async fn store() -> Arc<dyn Store> {
    let network = |name: &str, octet: u8, spec: serde_json::Value| {
        let mut whole = json!({"cidr": format!("10.0.{octet}.0/24"), "gateway": format!("10.0.{octet}.254")});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        (Key::new("Network", name), whole)
    };
    let hardware = |last: u8, name: &str, network: &str, spec: serde_json::Value| {
        let mut interface = json!({"id": "nic0", "mac": format!("02:00:00:00:00:{last:02x}"), "netboot": true, "network": network});
        interface.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        (Key::new("Hardware", name), json!({"interfaces": [interface]}))
    };
    let authoritative = json!({"mode": "authoritative"});
    let pool = json!(["10.0.1.100-10.0.1.102"]);
    let documents = [
        network(
            "lab",
            1,
            json!({"dhcp": {"mode": "authoritative", "relays": ["10.0.1.253"]}, "pool": pool, "unknown": "record",
            "dns": {"servers": ["9.9.9.9"], "search": ["lab.example"]}, "ntp": ["10.0.1.1"]}),
        ),
        network(
            "open",
            2,
            json!({"dhcp": authoritative, "pool": ["10.0.2.100-10.0.2.110"], "unknown": "pool"}),
        ),
        network("shut", 3, json!({"dhcp": authoritative})),
        network("beside", 4, json!({"dhcp": {"mode": "proxy"}})),
        network("off", 5, json!({})),
        network(
            "hall",
            6,
            json!({"dhcp": authoritative, "pool": ["10.0.6.100-10.0.6.110"], "unknown": "boot"}),
        ),
        network("hall-beside", 7, json!({"dhcp": {"mode": "proxy"}, "unknown": "boot"})),
        hardware(NODE_1, "node-1", "lab", json!({"ip": "10.0.1.11"})),
        hardware(NODE_2, "node-2", "lab", json!({"ip": "10.0.1.12"})),
        hardware(IDLE, "idle", "lab", json!({"ip": "10.0.1.13"})),
        hardware(NO_NETBOOT, "no-netboot", "lab", json!({"ip": "10.0.1.14", "netboot": false})),
        hardware(POOLED, "pooled", "lab", json!({})),
        // Reserves an address of the pool.
        hardware(6, "in-the-pool", "lab", json!({"ip": "10.0.1.100"})),
    ];
    let whole = |(key, spec): (Key, serde_json::Value)| {
        let document = json!({"apiVersion": "bootcode/v1", "kind": key.kind, "metadata": {"name": key.name}, "spec": spec});
        (key, document)
    };
    let store = MemoryStore::new();
    let lease = Lease {
        mac: format!("02:00:00:00:00:{POOLED:02x}").parse().unwrap(),
        state: LeaseState::Bound,
        ends: "2026-03-01T18:00:00Z".parse().unwrap(),
        client_id: None,
    };
    let mut puts: Vec<_> = documents.into_iter().map(whole).collect();
    puts.push((Lease::key("lab", Ipv4Addr::new(10, 0, 1, 102)), lease.to_value()));
    store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    Arc::new(store)
}

/// A server of these documents, and what it recorded.
async fn server() -> (DhcpServer, Arc<Recorded>, Arc<dyn Store>) {
    let store = store().await;
    let snapshot = Snapshot::load(&*store).await.unwrap();
    let recorded = Arc::new(Recorded::default());
    let site = Site {
        addresses: (1..=7).map(|octet| Ipv4Addr::new(10, 0, octet, 1)).collect(),
        http_port: 7080,
        disk_loader: true,
    };
    let sources = Sources {
        hardware: Arc::clone(&snapshot) as _,
        networks: snapshot,
        work: Arc::new(SomeWork),
        sessions: Arc::new(BootSessions::new()),
        policy: Arc::new(DefaultPolicy),
        leases: Some(Arc::clone(&store)),
        unknown: Some(recorded.clone()),
        recorder: recorded.clone(),
        clock: Arc::new(Noon),
    };
    let config = DhcpConfig { interfaces: Vec::new(), site, probe: true };
    (DhcpServer::bind(config, sources).await.unwrap(), recorded, store)
}

fn ask(last: u8, arch: u16, network: &str) -> PreviewAsk {
    PreviewAsk {
        mac: format!("02:00:00:00:00:{last:02x}").parse().unwrap(),
        arch: Some(ClientArch(arch)),
        program: Program::Auto,
        vendor_class: None,
        user_class: None,
        message: Asked::Discover,
        ip: None,
        network: Some(network.to_owned()),
        relay: None,
        link: None,
    }
}

fn class(vendor: &str, ask: PreviewAsk) -> PreviewAsk {
    PreviewAsk { vendor_class: Some(vendor.to_owned()), ..ask }
}

fn ipxe(ask: PreviewAsk) -> PreviewAsk {
    PreviewAsk { user_class: Some("iPXE".to_owned()), ..ask }
}

fn relay(last: u8, ask: PreviewAsk) -> PreviewAsk {
    PreviewAsk { network: None, relay: Some(Ipv4Addr::new(10, 0, 1, last)), ..ask }
}

fn message(message: Asked, ip: Option<[u8; 4]>, ask: PreviewAsk) -> PreviewAsk {
    PreviewAsk { message, ip: ip.map(Ipv4Addr::from), ..ask }
}

fn raspberry_pi(ask: PreviewAsk) -> PreviewAsk {
    PreviewAsk { mac: "b8:27:eb:00:00:01".parse().unwrap(), ..ask }
}

/// As text, the options a line each.
fn text(preview: &Preview) -> String {
    let mut value = json!(preview);
    let options = preview.reply.iter().flat_map(|reply| &reply.options);
    let options: Vec<_> =
        options.map(|option| format!("{} {}: {}", option.code, option.name, option.value)).collect();
    if let Some(reply) = value["reply"].as_object_mut() {
        reply["options"] = json!(options);
    }
    yaml::to_string(&value).unwrap()
}

async fn table(cases: Vec<(&str, PreviewAsk, bool)>) -> String {
    let (server, recorded, store) = server().await;
    let before = written(&store).await;
    let preview = server.preview();
    let mut all = String::new();
    for (name, ask, answered) in cases {
        let told = preview.preview(&ask).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(told.is_answered(), answered, "{name}: {told:?}");
        let again: Preview = serde_json::from_value(json!(told)).unwrap();
        assert_eq!(again, told, "{name}: it is read as it was written");
        writeln!(all, "== {name}\n{}", text(&told)).unwrap();
    }
    assert_eq!(*recorded.0.lock().unwrap(), Vec::<String>::new(), "nothing is recorded");
    assert_eq!(written(&store).await, before, "nothing is written");
    all
}

/// How far the store has been written.
async fn written(store: &Arc<dyn Store>) -> Revision {
    store.list(LEASE_KIND).await.unwrap().1
}

#[tokio::test]
async fn declared_machines_by_their_stages() {
    let all = table(vec![
        ("a reservation, BIOS", ask(NODE_1, 0, "lab"), true),
        ("a reservation, UEFI", ask(NODE_1, 7, "lab"), true),
        ("a reservation, UEFI over HTTP", ask(NODE_1, 16, "lab"), true),
        ("a reservation, iPXE", ipxe(ask(NODE_1, 7, "lab")), true),
        (
            "a reservation, an operating system",
            PreviewAsk { program: Program::Os, arch: None, ..ask(NODE_1, 0, "lab") },
            true,
        ),
        ("its workflow waits", ipxe(ask(NODE_2, 0, "lab")), true),
        ("no work, UEFI", ask(IDLE, 7, "lab"), true),
        ("no work, iPXE", ipxe(ask(IDLE, 0, "lab")), true),
        ("an architecture without a file", ask(NODE_1, 6, "lab"), false),
        ("U-Boot that says PXEClient", ask(NODE_1, 22, "lab"), false),
        ("U-Boot that says its own class", class("U-Boot.armv8", ask(NODE_1, 22, "lab")), true),
        ("no netboot at its interface", ask(NO_NETBOOT, 0, "lab"), false),
    ])
    .await;
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn pools_unknown_machines_and_modes() {
    let all = table(vec![
        ("declared, of the pool, with a lease", ask(POOLED, 7, "lab"), true),
        ("declared, of the pool: REQUEST", message(Asked::Request, None, ask(POOLED, 7, "lab")), true),
        ("unknown, of the pool", ask(UNKNOWN, 7, "open"), false),
        ("unknown, recorded", ask(UNKNOWN, 7, "lab"), false),
        ("unknown, ignored", ask(UNKNOWN, 7, "shut"), false),
        ("unknown, booted", ask(UNKNOWN, 7, "hall"), true),
        ("unknown, booted, iPXE", ipxe(ask(UNKNOWN, 7, "hall")), true),
        ("unknown, booted beside another server", ask(UNKNOWN, 7, "hall-beside"), true),
        ("unknown, booted, an architecture without a file", ask(UNKNOWN, 6, "hall"), false),
        ("beside another server", ask(NODE_1, 7, "beside"), true),
        ("beside another server, no work", ipxe(ask(IDLE, 0, "beside")), false),
        (
            "beside another server, port 4011",
            message(Asked::BootServer, Some([10, 0, 4, 9]), ask(NODE_1, 7, "beside")),
            true,
        ),
        (
            "beside another server, the lease is its",
            message(Asked::Request, Some([10, 0, 4, 9]), ask(NODE_1, 7, "beside")),
            false,
        ),
        ("DHCP is off", ask(NODE_1, 7, "off"), false),
        (
            "REQUEST for another's address",
            message(Asked::Request, Some([10, 0, 1, 12]), ask(NODE_1, 0, "lab")),
            false,
        ),
        ("renewing", message(Asked::Renew, Some([10, 0, 1, 11]), ask(NODE_1, 0, "lab")), true),
        ("through a relay", relay(253, ask(NODE_1, 0, "lab")), true),
        ("through a relay that is nobody's", relay(252, ask(NODE_1, 0, "lab")), false),
        (
            "through a relay of no Network",
            PreviewAsk { relay: Some([172, 16, 0, 1].into()), ..relay(1, ask(NODE_1, 0, "")) },
            false,
        ),
        (
            "through a relay that names the link",
            PreviewAsk { link: Some([10, 0, 2, 0].into()), ..relay(253, raspberry_pi(ask(0, 0, ""))) },
            false,
        ),
    ])
    .await;
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn questions_that_make_no_sense_are_told_what_would() {
    let (server, ..) = server().await;
    let preview = server.preview();
    let group = PreviewAsk { mac: "01:00:5e:00:00:01".parse().unwrap(), ..ask(1, 0, "lab") };
    let both = PreviewAsk { network: Some("lab".into()), ..relay(1, ask(1, 0, "lab")) };
    for (ask, parts) in [
        (group, &["01:00:5e:00:00:01 is a group's address"][..]),
        (ask(1, 0, "nope"), &["there is no Network `nope`", "bootcode get network"]),
        (class(&"x".repeat(256), ask(1, 0, "lab")), &["the vendor class is longer than 255 bytes"]),
        (both, &["name it or the Network, not both"]),
        (PreviewAsk { link: Some([10, 0, 1, 0].into()), ..ask(1, 0, "lab") }, &["name the relay, too"]),
        (message(Asked::Request, None, ask(UNKNOWN, 0, "lab")), &["is offered no address", "--ip"]),
        (message(Asked::Request, Some([0, 0, 0, 0]), ask(1, 0, "lab")), &["the address is no address"]),
    ] {
        let error = preview.preview(&ask).await.unwrap_err();
        assert!(matches!(error, PreviewError::Rejected { .. }), "{error:?}");
        for part in parts {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
    }
}
