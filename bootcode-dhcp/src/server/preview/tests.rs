use std::collections::HashMap;

use bootcode_core::{
    boot::Site,
    clock::SystemClock,
    document::{Hardware, NetworkSpec},
    mac::MacAddr,
    policy::DefaultPolicy,
    preview::Program,
    session::BootSessions,
    source::{HardwareKey, HardwareSource, NetworkSource, NoWork},
    store::MemoryStore,
    timeline::NoRecorder,
};
use prometheus_client::registry::Registry;

use super::*;
use crate::server::{DhcpConfig, DhcpMetrics, Sources, leases::Leases, relays::Relays};

/// One Network with a small pool, of which a Hardware reserves the first address.
struct Declared(Arc<Network>);

#[async_trait]
impl HardwareSource for Declared {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let owner = Hardware { name: "owner".into(), labels: Default::default(), spec: Default::default() };
        Ok((*key == HardwareKey::Ip([10, 0, 0, 10].into())).then(|| Arc::new(owner)))
    }
}

#[async_trait]
impl NetworkSource for Declared {
    async fn network(&self, _: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        Ok(Some(Arc::clone(&self.0)))
    }

    async fn named(&self, _: &str) -> Result<Option<Arc<Network>>, SourceError> {
        Ok(Some(Arc::clone(&self.0)))
    }
}

async fn shell() -> Arc<Shell> {
    let spec = serde_json::json!({"cidr": "10.0.0.0/24", "pool": ["10.0.0.10-10.0.0.14"], "unknown": "pool",
        "dhcp": {"mode": "authoritative", "relays": ["10.0.0.2"]}});
    let spec: NetworkSpec = serde_json::from_value(spec).unwrap();
    let declared = Arc::new(Declared(Arc::new(Network { name: "lab".into(), spec })));
    let store: Arc<dyn bootcode_core::store::Store> = Arc::new(MemoryStore::new());
    let (leases, _) = Leases::open(Arc::clone(&store), &[]).await;
    let sources = Sources {
        hardware: declared.clone(),
        networks: declared,
        work: Arc::new(NoWork),
        sessions: Arc::new(BootSessions::new()),
        policy: Arc::new(DefaultPolicy),
        leases: Some(store),
        unknown: None,
        recorder: Arc::new(NoRecorder),
        clock: Arc::new(SystemClock),
    };
    let site = Site { addresses: vec![Ipv4Addr::new(10, 0, 0, 1)], http_port: 80, disk_loader: false };
    Arc::new(Shell {
        config: DhcpConfig { interfaces: Vec::new(), site, probe: false },
        sources,
        leases: Some(leases),
        doubts: HashMap::new(),
        searches: HashMap::new(),
        relays: Relays::default(),
        metrics: DhcpMetrics::default(),
    })
}

fn ask(last: u8, message: Asked, ip: Option<u8>) -> PreviewAsk {
    PreviewAsk {
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        arch: Some(bootcode_core::arch::ClientArch::X64_EFI),
        program: Program::Auto,
        vendor_class: None,
        user_class: None,
        message,
        ip: ip.map(|last| Ipv4Addr::new(10, 0, 0, last)),
        network: Some("lab".into()),
        relay: None,
        link: None,
    }
}

/// All that a preview could change: the lease table, the counters, the boot sessions, the relays that asked.
fn state(shell: &Shell) -> String {
    let mut registry = Registry::default();
    shell.metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let table = shell.leases.as_ref().unwrap().table();
    format!("{table:?}\n{text}\n{:?}\n{:?}", shell.sources.sessions, shell.relays)
}

/// What a client itself is found to be told: its look-ups hold what they find.
async fn client(shell: &Shell, ask: &PreviewAsk, ip: Option<Ipv4Addr>) -> Option<Standing> {
    let (bytes, rx) = preview::request(ask, ip, Ipv4Addr::new(10, 0, 0, 1));
    let packet = Packet::decode(&bytes).unwrap();
    let Verdict::Answer(query) = classify(&packet, &rx) else { panic!("a well-formed request") };
    let network = shell.sources.networks.named("lab").await.unwrap();
    let at = At::Network(network.as_ref());
    shell.look_up(&query, at, (Touch::Hold, shell.sources.clock.now())).await.unwrap().lease
}

/// The pool has four addresses to give, so that the fifth machine finds it exhausted.
#[tokio::test]
async fn a_preview_changes_nothing_and_says_what_the_client_finds_a_moment_later() {
    let shell = shell().await;
    let looks = Preview(Arc::clone(&shell));
    let mut said = Vec::new();
    for (n, ask) in [
        // Reserved, which nobody has found out yet.
        ask(1, Asked::Discover, Some(10)),
        ask(2, Asked::Discover, Some(13)),
        ask(2, Asked::Request, Some(13)),
        ask(3, Asked::Request, Some(13)),
        ask(3, Asked::Request, Some(10)),
        ask(3, Asked::Discover, Some(10)),
        ask(1, Asked::InitReboot, Some(11)),
        ask(4, Asked::Discover, None),
        ask(5, Asked::Discover, None),
        ask(1, Asked::Discover, None),
        PreviewAsk {
            network: None,
            relay: Some(Ipv4Addr::new(10, 0, 0, 2)),
            ..ask(2, Asked::Discover, None)
        },
    ]
    .into_iter()
    .enumerate()
    {
        let before = state(&shell);
        let first = looks.preview(&ask).await.unwrap();
        let second = looks.preview(&ask).await.unwrap();
        assert_eq!(first, second, "{n}: the same again");
        assert_eq!(state(&shell), before, "{n}: nothing changed");
        let found = client(&shell, &ask, ask.ip).await;
        assert_eq!(first.pool, found.map(preview::standing), "{n}: {ask:?}");
        said.push(first.pool.unwrap());
    }
    assert_eq!(
        said,
        [
            "it may have 10.0.0.11",
            "it may have 10.0.0.13",
            "it may have 10.0.0.13",
            "10.0.0.13 is another machine's, or in quarantine",
            "10.0.0.10 is another machine's, or in quarantine",
            "it may have 10.0.0.12",
            "nothing is known of it",
            "it may have 10.0.0.14",
            "no address is free",
            "it may have 10.0.0.11",
            "it may have 10.0.0.13",
        ]
    );
}
