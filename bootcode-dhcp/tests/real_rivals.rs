//! Another DHCP server beside ours: a dnsmasq, or a second Bootcode.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1; then a missing tool is a failure. Needs root, iproute2, busybox and dnsmasq-base.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/peers.rs"]
mod peers;

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bootcode_core::{
    document::{DhcpMode, Network, UnknownMachines},
    source::{NetworkKey, NetworkSource, SourceError},
    unknown::{Unknown, UnknownRecorder},
};
use bootcode_dhcp::{DhcpConfig, DhcpMetrics, DhcpServer};
use common::{SERVER, World};
use peers::{Recorded, on_a_wire, run, sources};
use socket2::{Domain, Socket, Type};
use tokio_util::sync::CancellationToken;

const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 2);

/// The Network of every interface; its mode changes while servers run.
#[derive(Clone)]
struct Wire(Arc<Mutex<Network>>);

impl Wire {
    fn new(mode: DhcpMode) -> Self {
        let mut network = World::new(mode).network.unwrap();
        network.spec.unknown = UnknownMachines::Record;
        Self(Arc::new(Mutex::new(network)))
    }

    fn turn(&self, mode: DhcpMode) {
        self.0.lock().unwrap().spec.dhcp.mode = mode;
    }
}

#[async_trait]
impl NetworkSource for Wire {
    async fn network(&self, _: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        Ok(Some(Arc::new(self.0.lock().unwrap().clone())))
    }
}

#[derive(Default)]
struct Strangers(Mutex<Vec<Unknown>>);

impl UnknownRecorder for Strangers {
    fn saw(&self, machine: Unknown) {
        self.0.lock().unwrap().push(machine);
    }
}

/// A server on an interface, and all that it noted.
struct Served {
    metrics: DhcpMetrics,
    recorded: Arc<Recorded>,
    strangers: Arc<Strangers>,
}

impl Served {
    async fn start(interface: &str, address: Ipv4Addr, wire: &Wire, cancel: &CancellationToken) -> Self {
        let recorded = Arc::new(Recorded::default());
        let strangers = Arc::new(Strangers::default());
        let world = World::new(DhcpMode::None);
        let mut sources = sources(&world, &recorded);
        sources.networks = Arc::new(wire.clone());
        sources.unknown = Some(strangers.clone());
        let mut site = common::site();
        site.addresses = vec![address];
        let config = DhcpConfig { interfaces: vec![interface.into()], site, probe: true };
        let server = DhcpServer::bind(config, sources).await.unwrap();
        let metrics = server.metrics();
        tokio::spawn(server.run(cancel.clone()));
        Self { metrics, recorded, strangers }
    }

    fn line(&self, name: &str) -> Option<String> {
        let mut registry = prometheus_client::registry::Registry::with_prefix("bootcode");
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    }

    fn others(&self, interface: &str) -> Option<String> {
        self.line(&format!("bootcode_dhcp_other_servers{{interface=\"{interface}\"}}"))
    }

    async fn finds(&self, interface: &str, count: &str) {
        for _ in 0..200 {
            if self.others(interface).as_deref() == Some(count) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not {count} other servers within 20 s: {:?}", self.others(interface));
    }

    fn noted_nothing(&self) {
        assert_eq!(self.recorded.names(), Vec::<String>::new());
        assert_eq!(*self.strangers.0.lock().unwrap(), []);
    }
}

struct Dnsmasq(Child);

impl Dnsmasq {
    /// As it is without further words: it pings an address for three seconds before it offers it. It listens when this returns: the one
    /// search may follow at once.
    fn start() -> Self {
        let before = servers();
        run("ip", &format!("address add {OTHER}/24 dev cli0"));
        let words = "--keep-in-foreground --conf-file=/dev/null --user=root --group=root --port=0 --pid-file= \
                     --dhcp-leasefile=/dev/null --interface=cli0 --bind-dynamic \
                     --dhcp-range=192.168.99.150,192.168.99.199 --dhcp-authoritative";
        let child =
            Command::new("dnsmasq").args(words.split_whitespace()).stderr(Stdio::null()).spawn().unwrap();
        let this = Self(child);
        for _ in 0..100 {
            if servers() > before {
                return this;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("dnsmasq does not listen");
    }
}

/// Sockets on port 67 in this thread's namespace.
fn servers() -> usize {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/udp").unwrap();
    let port = |line: &str| line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(":0043"));
    sockets.lines().filter(|line| port(line)).count()
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What reaches port 67 at the other end of the wire.
struct Heard(UdpSocket);

impl Heard {
    fn open() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind_device(Some(b"cli0")).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 67).into()).unwrap();
        Self(socket.into())
    }

    fn count(&self) -> usize {
        let mut buffer = [0; 1500];
        std::iter::from_fn(|| self.0.recv(&mut buffer).ok()).count()
    }
}

fn block_on(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

#[test]
fn a_dnsmasq_is_found_when_the_network_turns_authoritative_and_not_looked_for_before() {
    on_a_wire(|| {
        let heard = Heard::open();
        block_on(async {
            let (wire, cancel) = (Wire::new(DhcpMode::None), CancellationToken::new());
            let served = Served::start("srv0", SERVER, &wire, &cancel).await;
            for mode in [DhcpMode::None, DhcpMode::Proxy] {
                wire.turn(mode);
                tokio::time::sleep(Duration::from_secs(5)).await;
                assert_eq!(heard.count(), 0, "{mode:?} sends nothing");
            }
            let _rival = Dnsmasq::start();
            wire.turn(DhcpMode::Authoritative);
            served.finds("srv0", "1").await;
            assert_eq!(heard.count(), 1, "one search");
            wire.turn(DhcpMode::Proxy);
            served.finds("srv0", "0").await;
            served.noted_nothing();
            cancel.cancel();
        });
    });
}

#[test]
fn a_server_alone_finds_nobody_and_serves_meanwhile() {
    on_a_wire(|| {
        let heard = Heard::open();
        block_on(async {
            let (wire, cancel) = (Wire::new(DhcpMode::Authoritative), CancellationToken::new());
            let served = Served::start("srv0", SERVER, &wire, &cancel).await;
            while heard.count() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Offers are waited for; a declared machine is served meanwhile.
            let words = "busybox udhcpc -i cli0 -f -n -q -t 3 -T 1 -s /bin/true";
            let words: Vec<_> = words.split(' ').collect();
            let client = tokio::task::spawn_blocking(move || {
                Command::new(words[0]).args(&words[1..]).stderr(Stdio::null()).status().unwrap()
            });
            assert!(client.await.unwrap().success());
            assert_eq!(served.recorded.names(), ["Discover", "Offer", "Request", "Ack"]);
            assert_eq!(served.others("srv0"), None, "the search is under way still");
            served.finds("srv0", "0").await;
            cancel.cancel();
        });
    });
}

#[test]
fn two_bootcodes_on_one_wire_find_each_other_and_take_no_search_for_a_machine() {
    on_a_wire(|| {
        run("ip", &format!("address add {OTHER}/24 dev cli0"));
        block_on(async {
            let cancel = CancellationToken::new();
            let (first, second) = (Wire::new(DhcpMode::Authoritative), Wire::new(DhcpMode::Proxy));
            let one = Served::start("srv0", SERVER, &first, &cancel).await;
            let two = Served::start("cli0", OTHER, &second, &cancel).await;
            one.finds("srv0", "0").await;
            assert_eq!(two.others("cli0").as_deref(), Some("0"), "a proxy is nobody's rival");
            second.turn(DhcpMode::Authoritative);
            one.finds("srv0", "1").await;
            two.finds("cli0", "1").await;
            for served in [&one, &two] {
                served.noted_nothing();
                assert!(served.line("bootcode_dhcp_ignored_total{reason=\"server-search\"}").is_some());
                assert_eq!(served.line("bootcode_dhcp_answered_total{type=\"offer\"}").as_deref(), Some("0"));
            }
            cancel.cancel();
        });
    });
}
