//! The JSON document at `/metadata`.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::Ipv4Addr,
    sync::Arc,
};

use bootcode_core::{
    arch::{Arch, Firmware},
    document::{Dns, Hardware, Interface, Links, Network, Storage},
    mac::MacAddr,
    template::Variable,
};
use serde::Serialize;
use serde_json::Value;

use crate::nocloud::network_config;

/// What the document takes from outside the Hardware.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// The id of the machine's instance, as [`bootcode_core::source::InstanceStore`] tells it.
    pub instance_id: String,
    /// The machine's Networks by the ids of its interfaces and VLANs.
    pub networks: BTreeMap<String, Arc<Network>>,
    /// Where the server is, without a slash at the end.
    pub base_url: String,
    /// Bytes of the file that is installed, where the server has it.
    pub os_bytes: Option<u64>,
    /// Where the installed system phones home, its token included; only for who holds a token.
    pub phone_home: Option<String>,
}

/// The document of a machine: `{id, hostname, arch, firmware, interfaces, links, networkConfig, storage, os, instance, phoneHome}`.
/// `networkConfig` is NoCloud's, version 2.
#[must_use]
pub fn document(hardware: &Hardware, addresses: &Addresses) -> Value {
    // Its keys are texts, so that nothing of it can fail.
    serde_json::to_value(Document::of(hardware, addresses)).unwrap_or_default()
}

/// The document as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub json: String,
    /// Names what it says: another one says something else. Its phone-home does not count, for its token is another each time.
    pub revision: String,
}

/// The document's text without the way over a [`Value`]: many times as fast.
#[must_use]
pub fn render(hardware: &Hardware, addresses: &Addresses) -> Rendered {
    const END: &str = "null}";
    let whole = Document { phone_home: None, ..Document::of(hardware, addresses) };
    let mut json = serde_json::to_string(&whole).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    let revision = format!("{:016x}", hasher.finish());
    // It stands last.
    if let (Some(url), Some(length)) = (&addresses.phone_home, json.strip_suffix(END).map(str::len)) {
        json.truncate(length);
        json.push_str(&serde_json::to_string(&PhoneHome { url }).unwrap_or_default());
        json.push('}');
    }
    Rendered { json, revision }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    id: &'a str,
    hostname: &'a str,
    arch: &'a Option<Arch>,
    firmware: &'a Option<Firmware>,
    interfaces: Vec<Nic<'a>>,
    links: Option<&'a Links>,
    network_config: Value,
    storage: Option<&'a Storage>,
    os: Option<Installed<'a>>,
    instance: Owned<'a>,
    phone_home: Option<PhoneHome<'a>>,
}

#[derive(Serialize)]
struct Nic<'a> {
    id: &'a str,
    mac: MacAddr,
    ip: Option<Ipv4Addr>,
    prefix: Option<u8>,
    gateway: Option<Ipv4Addr>,
    dns: Cow<'a, Dns>,
    netboot: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Installed<'a> {
    url: String,
    sha256: &'a str,
    size: Option<u64>,
    kernel_args: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Owned<'a> {
    tags: &'a [String],
    ssh_keys: &'a [String],
    user_data: Option<&'a str>,
    vendor_data: Option<&'a str>,
}

#[derive(Serialize)]
struct PhoneHome<'a> {
    url: &'a str,
}

impl<'a> Document<'a> {
    fn of(hardware: &'a Hardware, addresses: &'a Addresses) -> Self {
        let spec = &hardware.spec;
        let nic = |interface: &'a Interface| {
            let network = addresses.networks.get(interface.id.as_str()).map(|network| &network.spec);
            Nic {
                id: interface.id.as_str(),
                mac: interface.mac,
                ip: interface.ip,
                prefix: network.map(|network| network.cidr.prefix_len()),
                gateway: network.and_then(|network| network.gateway),
                dns: network.map_or_else(Cow::default, |network| Cow::Borrowed(&network.dns)),
                netboot: interface.netboot,
            }
        };
        Self {
            id: &addresses.instance_id,
            hostname: hardware.hostname(),
            arch: &spec.arch,
            firmware: &spec.firmware,
            interfaces: spec.interfaces.iter().map(nic).collect(),
            links: spec.links.as_deref(),
            network_config: network_config(hardware, &addresses.networks),
            storage: spec.storage.as_deref(),
            os: spec.os.as_ref().map(|os| Installed {
                url: os_url(&os.image, &addresses.base_url),
                sha256: os.sha256.as_str(),
                size: addresses.os_bytes,
                kernel_args: &spec.kernel_args,
            }),
            instance: Owned {
                tags: &spec.instance.tags,
                ssh_keys: &spec.ssh_keys,
                user_data: spec.user_data.as_deref().and_then(Variable::as_text),
                vendor_data: spec.vendor_data.as_deref().and_then(Variable::as_text),
            },
            phone_home: addresses.phone_home.as_deref().map(|url| PhoneHome { url }),
        }
    }
}

/// What stands at `path` of a document: keys, and the numbers of lists counted from 0, joined by slashes; one at the end
/// changes nothing. `None` where nothing does, or null.
#[must_use]
pub fn part<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let found = path.split('/').try_fold(document, |value, key| match value {
        Value::Array(list) => list.get(key.parse::<usize>().ok().filter(|number| number.to_string() == key)?),
        value => value.get(key),
    })?;
    Some(found).filter(|value| !value.is_null())
}

/// A URL stays; a name is one of the server's files, its bytes encoded where a path cannot hold them (RFC 3986 3.3).
fn os_url(image: &str, base_url: &str) -> String {
    use std::fmt::Write as _;
    if image.contains("://") {
        return image.to_owned();
    }
    let mut url = format!("{base_url}/files/");
    for byte in image.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}
