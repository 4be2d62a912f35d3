use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use bootcode_core::{
    boot::Site,
    clock::{Clock, Timestamp},
    document::{Hardware, HardwareSpec, Network, NetworkSpec},
    files::Memory,
    secret::NoSecrets,
    session::{Claims, Sealer, Use},
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, NoWork, SourceError},
    timeline::NoRecorder,
};
use bootcode_metadata::{MetadataMetrics, MetadataParts, router};
use http_body_util::BodyExt as _;
use serde_json::{from_value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

const KEY: [u8; 32] = [7; 32];

static SERVICE: LazyLock<Router> = LazyLock::new(|| router(parts()));
/// Install files are rendered on a thread of their own.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime without a clock"));

/// Whatever is asked for, in whatever words: the machine that asks is told nothing of its neighbour, the service never fails, and
/// what it answers is bounded.
///
/// The first line is a method and a path, those after it are headers, and behind an empty one is the body. `$TOKEN` is the asking
/// machine's, `$OTHER` its neighbour's.
pub fn metadata_route(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = text
        .replace("$TOKEN", &token("asks", Use::Instance))
        .replace("$OTHER", &token("other", Use::Instance));
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next().unwrap_or_default().split_once(' ').unwrap_or(("GET", "/"));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        request = request.header(name, value.trim());
    }
    let peer = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 40_000));
    // What is no request at all never comes this far.
    let Ok(request) = request.extension(ConnectInfo(peer)).body(Body::from(body.to_owned())) else { return };
    let Ok(response) = RUNTIME.block_on(SERVICE.clone().oneshot(request));
    assert!(!response.status().is_server_error(), "{}", response.status());
    let found = response.status() == StatusCode::OK;
    let body = RUNTIME.block_on(response.into_body().collect());
    let answer = body.expect("a body that is whole").to_bytes();
    assert!(answer.len() <= 16 << 10, "{} bytes", answer.len());
    let answer = String::from_utf8(answer.to_vec()).expect("text");
    for secret in ["neighbour", "10.0.0.77", "52:54:00:00:00:77"] {
        assert!(!found || !answer.contains(secret) || text.contains(secret), "{secret}: {answer}");
    }
}

fn token(hardware: &str, used_for: Use) -> String {
    let (hardware, id, bound) = (hardware.to_owned(), "00".repeat(16), format!("i-{hardware}"));
    Sealer::new(KEY).seal(&Claims { used_for, hardware, id, bound, expires: 60 })
}

fn parts() -> MetadataParts {
    let site = Arc::new(Neighbours);
    MetadataParts {
        hardware: Arc::clone(&site) as _,
        instances: Arc::new(NoWork),
        networks: site,
        files: Arc::new(Memory::default()),
        proxies: Arc::new([]),
        site: Site { addresses: vec![Ipv4Addr::new(10, 0, 0, 254)], http_port: 7080, disk_loader: false },
        secrets: Arc::new(NoSecrets),
        sealer: Sealer::new(KEY),
        entropy: Arc::new(|| [0xab; 16]),
        metrics: MetadataMetrics::default(),
        recorder: Arc::new(NoRecorder),
        clock: Arc::new(Epoch),
    }
}

/// Two machines of one network.
struct Neighbours;

fn machine(name: &str) -> Arc<Hardware> {
    let (number, says) = if name == "asks" { (1, "myself") } else { (77, "neighbour") };
    let spec: HardwareSpec = from_value(json!({
        "hostname": says,
        "interfaces": [{"id": "nic0", "mac": format!("52:54:00:00:00:{number:02}"), "network": "lab", "ip": format!("10.0.0.{number}"), "netboot": true}],
        "sshKeys": [format!("ssh-ed25519 AAAA {says}")],
        "instance": {"install": {
            "ks.cfg": "network --hostname {{ .hardware.spec.hostname }} --ip {{ (index .Hardware.Interfaces 0).DHCP.IP.Address }}\n",
            "user-data": "#cloud-config\n{\"mac\": {{ quote .device_1 }}}\n",
        }},
        "userData": format!("#cloud-config\n{{\"name\": \"{says}\"}}\n"),
    }))
    .expect("a machine in the shape that core reads");
    Arc::new(Hardware { name: name.to_owned(), labels: Default::default(), spec })
}

#[async_trait]
impl HardwareSource for Neighbours {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let name = match key {
            HardwareKey::Name(name) => name.as_str(),
            HardwareKey::Ip(IpAddr::V4(ip)) if ip.octets() == [10, 0, 0, 1] => "asks",
            HardwareKey::Ip(IpAddr::V4(ip)) if ip.octets() == [10, 0, 0, 77] => "other",
            _ => return Ok(None),
        };
        Ok(["asks", "other"].contains(&name).then(|| machine(name)))
    }
}

#[async_trait]
impl NetworkSource for Neighbours {
    async fn network(&self, _: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        let spec: NetworkSpec =
            from_value(json!({"cidr": "10.0.0.0/24", "gateway": "10.0.0.254"})).expect("a network");
        Ok(Some(Arc::new(Network { name: "lab".into(), spec })))
    }
}

struct Epoch;

#[async_trait]
impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}
