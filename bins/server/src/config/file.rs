//! The shape of `bootcode.yaml`.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use bootcode_core::limits;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ConfigError, ConnectionLimits, LargeFiles};

/// The server's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The store, leases, journals and keys.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// Where documents and logs are kept.
    #[serde(default)]
    pub store: StoreKind,
    /// Where machines are.
    pub interfaces: Vec<String>,
    /// What machines are told; default: the interface's address in their Network.
    #[serde(default)]
    pub advertise: Option<Ipv4Addr>,
    /// TFTP.
    #[serde(default)]
    pub tftp: Tftp,
    /// Machines' HTTP.
    #[serde(default)]
    pub http: Http,
    /// Operators' API.
    #[serde(default)]
    pub api: Api,
    /// Machines' syslog.
    #[serde(default)]
    pub syslog: Syslog,
    /// What is removed with time.
    #[serde(default)]
    pub retention: Retention,
    /// Directories of files for machines: TFTP and `/files/`.
    #[serde(default = "default_files")]
    pub files: Vec<PathBuf>,
    /// MiB of small files for machines that are kept in memory; 0 keeps none. A change of one of them is seen within 20 ms.
    #[serde(default = "default_hot_mib")]
    pub hot_mib: u64,
    /// An OCI image layout.
    #[serde(default = "default_images")]
    pub images: PathBuf,
    /// Another registry, for images that the layout lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// iPXE's binaries.
    #[serde(default = "default_ipxe")]
    pub ipxe: PathBuf,
    /// OSIE's kernels and initramfses.
    #[serde(default = "default_osie")]
    pub osie: PathBuf,
    /// Directories of documents, applied at start and on every change.
    #[serde(default)]
    pub sources: Vec<SourceDir>,
    /// The keys that the file or an override sets.
    #[serde(skip)]
    pub(super) set: BTreeSet<String>,
}

/// Where documents and logs are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In `data_dir`, durable.
    #[default]
    Sqlite,
    /// In memory: gone with the process.
    Memory,
}

/// TFTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tftp {
    /// The address and port.
    #[serde(default = "default_tftp_listen")]
    pub listen: SocketAddr,
    /// All transfers from that port: for NAT, and for containers whose other ports nobody reaches.
    #[serde(rename = "singlePort", default)]
    pub single_port: bool,
    /// The most transfers of one address at once; without it only the bound of all together holds, because a hall behind a relay or
    /// a NAT may have one address.
    #[serde(rename = "perAddress", default, skip_serializing_if = "Option::is_none")]
    pub per_address: Option<usize>,
}

/// Machines' HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The address and port.
    pub listen: SocketAddr,
    /// Proxies of metadata, by their networks: what these write into `X-Forwarded-For` says which machine asks.
    #[serde(rename = "trustedProxies", skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<IpNet>,
    /// How many connections there may be, and how long a quiet one is borne.
    pub connections: ConnectionLimits,
    /// What of them is large, and what that may take of the link.
    #[serde(rename = "largeDownloads")]
    pub large_downloads: LargeFiles,
    /// The same with TLS, besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<HttpTls>,
}

/// Machines' HTTP with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTls {
    /// The address and port.
    #[serde(default = "default_machines_tls_listen")]
    pub listen: SocketAddr,
    /// The server's certificate and those between it and its authority, in PEM; default: the one that `bootcode-server ca` made in `data_dir`, with an RSA
    /// key, which all firmware reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// Operators' API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// A Unix socket: who may use it is a matter of its permissions.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
    /// Plain HTTP with tokens on the loopback, for browsers and Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopback: Option<SocketAddr>,
    /// HTTP with TLS and tokens, for operators on other hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ApiTls>,
}

/// Operators' API with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTls {
    /// The address and port.
    #[serde(default = "default_tls_listen")]
    pub listen: SocketAddr,
    /// The server's certificate and those between it and its authority, in PEM; default: the one that `bootcode-server ca` made in `data_dir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// Another registry, for images that the layout lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// `https://HOST[:PORT]`, or `http://`.
    pub upstream: String,
    /// Seconds after which a tag is asked for again.
    #[serde(rename = "tagSeconds", default = "default_tag_seconds")]
    pub tag_seconds: u64,
    /// GiB that the images may have by what is fetched.
    #[serde(rename = "maxGiB", default = "default_max_gib")]
    pub max_gib: u64,
}

/// Machines' syslog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// `none`; receiving is not built yet.
    pub listen: String,
}

/// What is removed with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days that the logs of actions are kept after the last event of their workflow, once it ended or stopped.
    #[serde(rename = "logDays")]
    pub log_days: u32,
}

impl Retention {
    /// How long the logs of actions are kept.
    #[must_use]
    pub fn logs(self) -> Duration {
        Duration::from_secs(u64::from(self.log_days) * 86_400)
    }
}

/// A directory of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDir {
    /// Where.
    pub dir: PathBuf,
    /// Whether documents that are gone from it are deleted.
    #[serde(default)]
    pub prune: bool,
    /// How many may be deleted at once before it is taken for an accident.
    #[serde(rename = "maxDelete", default = "default_max_delete")]
    pub max_delete: u32,
}

impl Default for Tftp {
    fn default() -> Self {
        Self { listen: default_tftp_listen(), single_port: false, per_address: None }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 7080)),
            trusted_proxies: Vec::new(),
            connections: ConnectionLimits::default(),
            large_downloads: LargeFiles::default(),
            tls: None,
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self { socket: default_socket(), loopback: None, tls: None }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { log_days: 90 }
    }
}

impl Default for Syslog {
    fn default() -> Self {
        Self { listen: "none".into() }
    }
}

fn default_socket() -> PathBuf {
    "/run/bootcode/api.sock".into()
}

fn default_tls_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7443))
}

fn default_machines_tls_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7444))
}

fn default_tftp_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 69))
}

const fn default_hot_mib() -> u64 {
    limits::HOT_BYTES >> 20
}

fn default_data_dir() -> PathBuf {
    "/var/lib/bootcode".into()
}

fn default_files() -> Vec<PathBuf> {
    vec!["./files".into()]
}

fn default_images() -> PathBuf {
    "./images".into()
}

const fn default_tag_seconds() -> u64 {
    300
}

const fn default_max_gib() -> u64 {
    50
}

fn default_ipxe() -> PathBuf {
    "/usr/lib/ipxe".into()
}

fn default_osie() -> PathBuf {
    "./osie".into()
}

const fn default_max_delete() -> u32 {
    5
}

impl Config {
    /// Whether nobody set this key, so that the absence of what it names is only worth a warning.
    #[must_use]
    pub fn is_default(&self, key: &str) -> bool {
        !self.set.contains(key)
    }

    pub(super) fn resolve(&mut self, directory: &Path) {
        let absolute = |path: &mut PathBuf| {
            if path.is_relative() {
                *path = directory.join(path.strip_prefix(".").unwrap_or(path));
            }
        };
        self.files.iter_mut().for_each(absolute);
        self.sources.iter_mut().for_each(|source| absolute(&mut source.dir));
        for path in
            [&mut self.data_dir, &mut self.images, &mut self.ipxe, &mut self.osie, &mut self.api.socket]
        {
            absolute(path);
        }
        if let Some(tls) = &mut self.api.tls {
            tls.certificate.iter_mut().chain(&mut tls.key).for_each(absolute);
        }
        if let Some(tls) = &mut self.http.tls {
            tls.certificate.iter_mut().chain(&mut tls.key).for_each(absolute);
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.interfaces.is_empty() {
            let message = "name at least one network interface that machines are on, as in [br0]".to_owned();
            return Err(ConfigError::Value { key: "interfaces", message });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.interfaces.iter().find(|name| !seen.insert(*name)) {
            let message = format!("`{twice}` is there twice: name each network interface once");
            return Err(ConfigError::Value { key: "interfaces", message });
        }
        if self.syslog.listen != "none" {
            let message = "receiving syslog is not built yet: leave it out, or write none".to_owned();
            return Err(ConfigError::Value { key: "syslog.listen", message });
        }
        if self.retention.log_days == 0 {
            let message = "logs that go at once help nobody: write a number of days, 1 at least".to_owned();
            return Err(ConfigError::Value { key: "retention.logDays", message });
        }
        if self.tftp.per_address == Some(0) {
            let message = "no machine could boot: write 1 at least, or leave it out".to_owned();
            return Err(ConfigError::Value { key: "tftp.perAddress", message });
        }
        self.http.connections.check()?;
        self.http.large_downloads.check()?;
        if self.hot_mib > 1 << 20 {
            let message = "more than a TiB of memory: write MiB, as in 64".to_owned();
            return Err(ConfigError::Value { key: "hot_mib", message });
        }
        if let Some(registry) = &self.registry {
            let host =
                ["https://", "http://"].iter().find_map(|scheme| registry.upstream.strip_prefix(scheme));
            let is_host = |host: &str| {
                let host = host.trim_end_matches('/');
                !host.is_empty()
                    && !host.contains(['/', '@', '?', '#'])
                    && !host.contains(char::is_whitespace)
            };
            if !host.is_some_and(is_host) {
                let message = "it is no registry: write https://HOST or https://HOST:PORT".to_owned();
                return Err(ConfigError::Value { key: "registry.upstream", message });
            }
            if registry.max_gib == 0 || registry.max_gib > 1 << 20 {
                let message = "nothing could be kept, or more than a PiB: write GiB, as in 50".to_owned();
                return Err(ConfigError::Value { key: "registry.maxGiB", message });
            }
        }
        // `sockaddr_un` holds 108 bytes, the last of them NUL.
        if self.api.socket.as_os_str().len() > 107 {
            let message = "the path is longer than the 107 bytes that a Unix socket can have".to_owned();
            return Err(ConfigError::Value { key: "api.socket", message });
        }
        if let Some(address) = self.api.loopback.filter(|address| !address.ip().is_loopback()) {
            let message = format!(
                "tokens would go over the network in plain at {address}: write 127.0.0.1:{}, or use api.tls",
                address.port()
            );
            return Err(ConfigError::Value { key: "api.loopback", message });
        }
        let halves = [
            (
                "api.tls",
                self.api.tls.as_ref().is_some_and(|tls| tls.certificate.is_some() != tls.key.is_some()),
            ),
            (
                "http.tls",
                self.http.tls.as_ref().is_some_and(|tls| tls.certificate.is_some() != tls.key.is_some()),
            ),
        ];
        if let Some((key, _)) = halves.into_iter().find(|(_, half)| *half) {
            let message = "a certificate and its key belong together: name both, or neither to have those that \
                           `bootcode-server ca` made";
            return Err(ConfigError::Value { key, message: message.to_owned() });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.sources.iter().find(|source| !seen.insert(&source.dir)) {
            let message = format!("{} is there twice: name each directory once", twice.dir.display());
            return Err(ConfigError::Value { key: "sources", message });
        }
        Ok(())
    }
}
