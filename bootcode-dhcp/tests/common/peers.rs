//! A wire with our server on it, for clients that are not ours.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bootcode_core::{
    clock::SystemClock,
    document::{Hardware, Network},
    policy::DefaultPolicy,
    session::BootSessions,
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError, Work, WorkSource},
    store::Store,
    timeline::{BootEvent, BootRecorder},
};
use bootcode_dhcp::{DhcpConfig, DhcpServer, Sources};
use tokio_util::sync::CancellationToken;

use crate::common::{MAC, SERVER, World};

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
        let asked = |network: &Network| match key {
            NetworkKey::Interface(address) => address == SERVER,
            NetworkKey::Relay(relay) => network.spec.cidr.contains(&relay),
            _ => false,
        };
        Ok(self.0.network.clone().filter(asked).map(Arc::new))
    }
}

#[async_trait]
impl WorkSource for Declared {
    async fn work(&self, _: &Hardware) -> Result<Work, SourceError> {
        Ok(self.0.work.clone())
    }
}

#[derive(Default)]
pub struct Recorded(Mutex<Vec<String>>);

impl Recorded {
    /// The names of the events, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl BootRecorder for Recorded {
    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap().push(event.kind.name().to_owned());
    }
}

pub fn run(program: &str, args: &str) {
    let status = Command::new(program).args(args.split(' ')).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}: install iproute2 and busybox"));
    assert!(status.success(), "{program} {args}: {status}");
}

/// Runs `body` on a thread that has a network namespace of its own, with a veth pair `srv0` and `cli0`.
pub fn on_a_wire(body: impl FnOnce() + Send + 'static) {
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

pub fn config() -> DhcpConfig {
    DhcpConfig { interfaces: vec!["srv0".into()], site: crate::common::site(), probe: true }
}

pub fn sources(world: &World, recorded: &Arc<Recorded>) -> Sources {
    let declared = Arc::new(Declared(world.clone()));
    Sources {
        hardware: declared.clone(),
        networks: declared.clone(),
        work: declared,
        sessions: Arc::new(BootSessions::new()),
        policy: Arc::new(DefaultPolicy),
        leases: None,
        unknown: None,
        recorder: recorded.clone(),
        clock: Arc::new(SystemClock),
    }
}

/// Serves `world` while `client` runs on a thread of this namespace; what that returns, and the timeline.
pub fn served<T: Send + 'static>(
    world: &World,
    client: impl FnOnce() -> T + Send + 'static,
) -> (T, Vec<String>) {
    served_from(world, None, client)
}

/// The same, with a store for the leases of pools.
pub fn served_from<T: Send + 'static>(
    world: &World,
    leases: Option<Arc<dyn Store>>,
    client: impl FnOnce() -> T + Send + 'static,
) -> (T, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let recorded = Arc::new(Recorded::default());
        let sources = Sources { leases, ..sources(world, &recorded) };
        let server = DhcpServer::bind(config(), sources).await.unwrap();
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(server.run(cancel.clone()));
        let got = tokio::task::spawn_blocking(client).await.unwrap();
        cancel.cancel();
        serving.await.unwrap();
        (got, recorded.names())
    })
}
