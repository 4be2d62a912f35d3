//! A site of two machines in memory: what the service is made of, and what it recorded.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::{MetadataMetrics, MetadataParts, router};
use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode, request},
};
use bootcode_core::{
    boot::Site,
    clock::{Clock, Timestamp},
    document::{Hardware, MetadataIdentity, Network},
    files::Memory,
    secret::{Secret, SecretError, SecretRef, SecretSource},
    session::{Claims, Sealer, Use},
    source::{
        CalledHome, HardwareKey, HardwareSource, InstanceStore, NetworkKey, NetworkSource, NoWork,
        SourceError,
    },
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason},
};
use http_body_util::BodyExt as _;
use ipnet::IpNet;
use serde_json::json;
use tower::ServiceExt as _;

/// The moment at which every request comes.
pub(crate) const NOW: i64 = 1_700_000_000;
/// The key that seals the site's tokens.
const KEY: [u8; 32] = [7; 32];

/// A running service and its record.
pub(crate) struct World {
    pub(crate) recorded: Arc<Recorded>,
    parts: MetadataParts,
    called: Arc<Mutex<Vec<CalledHome>>>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) cache_control: String,
    /// Without its quotes.
    pub(crate) etag: String,
    pub(crate) body: String,
}

impl World {
    /// `node-1` has an address, an OS and user data; `node-2` an address only. `identity` is the Network's.
    pub(crate) fn new(identity: MetadataIdentity) -> Self {
        Self::with_sources(Arc::new(Machines(machines())), identity)
    }

    /// With one machine.
    pub(crate) fn with_machine(name: &str, spec: serde_json::Value) -> Self {
        Self::with_sources(Arc::new(Machines(vec![named(name, spec)])), MetadataIdentity::Address)
    }

    /// With one machine, which is this instance.
    pub(crate) fn with_instance(name: &str, spec: serde_json::Value, instance: &'static str) -> Self {
        let machines = Arc::new(Machines(vec![named(name, spec)]));
        Self::of(machines, Arc::new(Installed(instance, Arc::default())), MetadataIdentity::Address)
    }

    /// With somebody's own machines.
    pub(crate) fn with_sources(hardware: Arc<dyn HardwareSource>, identity: MetadataIdentity) -> Self {
        Self::of(hardware, Arc::new(NoWork), identity)
    }

    /// Whose machines are all this instance.
    pub(crate) fn installed(instance: &'static str) -> Self {
        let called = Arc::<Mutex<Vec<CalledHome>>>::default();
        let instances = Arc::new(Installed(instance, Arc::clone(&called)));
        let world = Self::of(Arc::new(Machines(machines())), instances, MetadataIdentity::Address);
        Self { called, ..world }
    }

    /// Who called home last.
    pub(crate) fn called(&self) -> Option<CalledHome> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// With somebody's own machines and installations.
    pub(crate) fn of(
        hardware: Arc<dyn HardwareSource>,
        instances: Arc<dyn InstanceStore>,
        identity: MetadataIdentity,
    ) -> Self {
        let recorded = Arc::new(Recorded::default());
        let mut spec = json!({"cidr": "192.168.99.0/24", "gateway": "192.168.99.1"});
        spec["mtu"] = json!(1400);
        spec["routes"] = json!([{"to": "10.9.0.0/16", "via": "192.168.99.2"}, {"to": "10.8.0.0/16", "via": "192.168.99.11"}]);
        spec["dns"] = json!({"servers": ["192.168.99.1"], "search": ["lab.example"]});
        let mut network = Network { name: "lab".into(), spec: serde_json::from_value(spec).unwrap() };
        network.spec.identity = identity;
        let parts = MetadataParts {
            hardware,
            instances,
            networks: Arc::new(OneNetwork(Arc::new(network))),
            files: Arc::new(Memory::default().with("debian 12.tar.zst", vec![0; 1234])),
            proxies: Arc::new([IpNet::from(IpAddr::from([10, 0, 0, 9]))]),
            site: Site {
                addresses: vec![Ipv4Addr::new(192, 168, 99, 1)],
                http_port: 7080,
                disk_loader: false,
            },
            secrets: Arc::new(OneSecret),
            sealer: Sealer::new(KEY),
            entropy: Arc::new(|| [0xab; 16]),
            metrics: MetadataMetrics::default(),
            recorder: Arc::clone(&recorded) as Arc<dyn BootRecorder>,
            clock: Arc::new(At(AtomicI64::new(NOW))),
        };
        Self { recorded, parts, called: Arc::default() }
    }

    /// A GET from an address, with a bearer token where one is given.
    pub(crate) async fn get(&self, peer: &str, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(peer, request, Body::empty()).await
    }

    /// A POST of cloud-init's phone_home.
    pub(crate) async fn phone_home(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        self.send("192.168.99.11", Request::post(path).header("content-type", content_type), body).await
    }

    /// Seconds that were slept.
    pub(crate) fn slept(&self) -> i64 {
        self.parts.clock.now().as_second() - NOW
    }

    /// What it is made of.
    pub(crate) fn parts(&self) -> &MetadataParts {
        &self.parts
    }

    /// The service.
    pub(crate) fn router(&self) -> Router {
        router(self.parts.clone())
    }

    /// Any request, sent as from `peer`.
    pub(crate) async fn send(&self, peer: &str, request: request::Builder, body: impl Into<Body>) -> Answer {
        let peer = SocketAddr::new(peer.parse::<IpAddr>().unwrap(), 40_000);
        let request = request.extension(ConnectInfo(peer)).body(body.into()).unwrap();
        let response = self.router().oneshot(request).await.unwrap();
        let status = response.status();
        let header = response.headers().get("cache-control");
        let etag =
            response.headers().get("etag").map(|tag| tag.to_str().unwrap().trim_matches('"').to_owned());
        let etag = etag.unwrap_or_default();
        let cache_control = header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, cache_control, etag, body: String::from_utf8(body.to_vec()).unwrap() }
    }
}

/// A token of the site.
pub(crate) fn token(hardware: &str, used_for: Use, expires: i64) -> String {
    seal(KEY, hardware, used_for, expires)
}

/// A token that another key sealed.
pub(crate) fn forged_token(hardware: &str) -> String {
    seal([8; 32], hardware, Use::Instance, NOW + 60)
}

/// What a token of the site says.
pub(crate) fn claims(token: &str) -> Claims {
    let now = Timestamp::from_second(NOW).unwrap();
    Sealer::new(KEY).open(token, Use::Instance, now).unwrap()
}

fn seal(key: [u8; 32], hardware: &str, used_for: Use, expires: i64) -> String {
    let (id, bound) = ("00".repeat(16), "install-node-1".to_owned());
    Sealer::new(key).seal(&Claims { used_for, hardware: hardware.to_owned(), id, bound, expires })
}

fn machines() -> Vec<Arc<Hardware>> {
    let node_1 = json!({
        "arch": "x86_64", "firmware": "bios", "kernelArgs": ["console=ttyS0,115200n8"],
        "interfaces": [
            {"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11", "netboot": true},
            {"id": "nic1", "mac": "52:54:00:00:00:11"},
        ],
        "storage": {
            "disks": [{"id": "a", "device": "/dev/vda"}],
            "partitions": [{"disk": "a", "table": "gpt", "layout": [
                {"id": "bios", "size": "1MiB", "type": "bios-boot"},
                {"id": "root", "size": "rest", "type": "linux", "format": "ext4", "mount": "/"},
            ]}],
        },
        "os": {"image": "debian 12.tar.zst", "sha256": "00".repeat(32)},
        "sshKeys": ["ssh-ed25519 AAAA owner"], "userData": "#cloud-config\npackages: [vim]\n",
        "instance": {"tags": ["lab"]},
    });
    let node_2 = json!({
        "interfaces": [{"id": "nic0", "mac": "52:54:00:00:00:02", "network": "lab", "ip": "192.168.99.12"}],
    });
    let secretive = |number: u8, key: &str| {
        json!({
            "interfaces": [{"id": "nic0", "mac": format!("52:54:00:00:00:0{number}"), "network": "lab", "ip": format!("192.168.99.1{number}")}],
            "userData": {"secretRef": format!("site/{key}")},
        })
    };
    let (node_3, node_4) = (secretive(3, "init"), secretive(4, "gone"));
    let node_5 = json!({
        "interfaces": [{"id": "nic0", "mac": "52:54:00:00:00:05", "network": "lab", "ip": "192.168.99.15"}],
        "userData": "{\"ignition\": {\"version\": \"3.3.0\"}}",
        "instance": {"httpTokens": "required"},
    });
    let all =
        [("node-1", node_1), ("node-2", node_2), ("node-3", node_3), ("node-4", node_4), ("node-5", node_5)];
    all.map(|(name, spec)| named(name, spec)).to_vec()
}

/// A machine of two interfaces as one, with a VLAN on them, and of a third with a VLAN that asks for a lease.
pub(crate) fn bonded() -> serde_json::Value {
    json!({
        "hostname": "web-1",
        "interfaces": [
            {"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11", "netboot": true},
            {"id": "nic1", "mac": "52:54:00:00:00:11"},
            {"id": "nic2", "mac": "52:54:00:00:00:21"},
        ],
        "links": {
            "bonds": [{"id": "bond0", "interfaces": ["nic1", "nic0"], "mode": "802.3ad"}],
            "vlans": [
                {"id": "storage", "link": "bond0", "vlan": 42, "network": "lab", "ip": "192.168.99.61"},
                {"id": "backup", "link": "nic2", "vlan": 43, "network": "lab"},
            ],
        },
    })
}

/// A machine of this name.
pub(crate) fn named(name: &str, spec: serde_json::Value) -> Arc<Hardware> {
    let spec = serde_json::from_value(spec).unwrap();
    Arc::new(Hardware { name: name.to_owned(), labels: Default::default(), spec })
}

/// Has `site/init`.
struct OneSecret;

#[async_trait]
impl SecretSource for OneSecret {
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        if reference.key() == "init" {
            return Ok(Secret::new("#cloud-config\npassword: hunter2\n".to_owned()));
        }
        Err(SecretError { reference: reference.clone(), problem: "its file is gone".to_owned() })
    }
}

/// Machines in memory.
pub(crate) struct Machines(pub(crate) Vec<Arc<Hardware>>);

#[async_trait]
impl HardwareSource for Machines {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let fits = |hardware: &&Arc<Hardware>| match key {
            HardwareKey::Name(name) => hardware.name == *name,
            HardwareKey::Ip(ip) => hardware.reservations().any(|(_, own)| IpAddr::from(own) == *ip),
            _ => false,
        };
        Ok(self.0.iter().find(fits).cloned())
    }
}

/// A machine that is called otherwise from the seventh look on.
pub(crate) struct Renamed(pub(crate) AtomicI64);

#[async_trait]
impl HardwareSource for Renamed {
    async fn find(&self, _: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let looked = self.0.fetch_add(1, Ordering::SeqCst);
        let nic = json!({"id": "nic0", "mac": "52:54:00:00:00:01", "network": "lab", "ip": "192.168.99.11"});
        let hostname = if looked < 6 { "before" } else { "after" };
        Ok(Some(named("node-1", json!({"interfaces": [nic], "hostname": hostname}))))
    }
}

/// A source whose backend is away.
pub(crate) struct Away;

#[async_trait]
impl HardwareSource for Away {
    async fn find(&self, _: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        Err(SourceError::Unavailable { what: "machines", message: "connection refused".into() })
    }
}

/// Machines that are all one instance, or whose store is away where that has no name; and who called home.
pub(crate) struct Installed(&'static str, Arc<Mutex<Vec<CalledHome>>>);

#[async_trait]
impl InstanceStore for Installed {
    async fn instance_id(&self, _: &Hardware) -> Result<String, SourceError> {
        Ok(self.0.to_owned())
    }

    async fn called_home(&self, _: &Hardware, home: &CalledHome) -> Result<bool, SourceError> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(home.clone());
        if self.0.is_empty() {
            return Err(SourceError::Unavailable {
                what: "installations",
                message: "connection refused".into(),
            });
        }
        Ok(home.instance == self.0)
    }
}

struct OneNetwork(Arc<Network>);

#[async_trait]
impl NetworkSource for OneNetwork {
    async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        let NetworkKey::Of(IpAddr::V4(ip)) = key else { return Ok(None) };
        Ok(self.0.spec.cidr.contains(&ip).then(|| Arc::clone(&self.0)))
    }
}

/// The time, which goes on when somebody sleeps.
pub(crate) struct At(AtomicI64);

#[async_trait]
impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.0.store(at.as_second(), Ordering::SeqCst);
    }
}

/// The timeline.
#[derive(Default)]
pub(crate) struct Recorded(Mutex<Vec<BootEvent>>);

impl Recorded {
    /// All of it, as it would be logged.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().fold(String::new(), |text, event| {
            format!("{text}{event:?}\n{}\n", serde_json::to_string(event).unwrap())
        })
    }

    /// The reason of the last event, which must be a refusal.
    pub(crate) fn last_refusal(&self) -> Option<Reason> {
        match self.last()? {
            BootEventKind::Refused { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// How many events are such.
    pub(crate) fn count(&self, fits: impl Fn(&BootEventKind) -> bool) -> usize {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|event| fits(&event.kind)).count()
    }

    /// The last event, whole.
    pub(crate) fn last_event(&self) -> Option<BootEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// The last event.
    pub(crate) fn last(&self) -> Option<BootEventKind> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.last().map(|event| event.kind.clone())
    }
}

impl BootRecorder for Recorded {
    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}
