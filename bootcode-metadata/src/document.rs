//! The JSON document at `/metadata`.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use bootcode_core::{
    document::{Hardware, Network},
    template::Variable,
};
use serde_json::{Value, json};

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
    let spec = &hardware.spec;
    let interfaces: Vec<Value> = spec
        .interfaces
        .iter()
        .map(|interface| {
            let network = addresses.networks.get(interface.id.as_str());
            json!({
                "id": interface.id,
                "mac": interface.mac,
                "ip": interface.ip,
                "prefix": network.map(|network| network.spec.cidr.prefix_len()),
                "gateway": network.and_then(|network| network.spec.gateway),
                "dns": network.map_or_else(|| json!({"servers": [], "search": []}), |network| json!(network.spec.dns)),
                "netboot": interface.netboot,
            })
        })
        .collect();
    json!({
        "id": addresses.instance_id,
        "hostname": hardware.hostname(),
        "arch": spec.arch,
        "firmware": spec.firmware,
        "interfaces": interfaces,
        "links": spec.links,
        "networkConfig": network_config(hardware, &addresses.networks),
        "storage": spec.storage,
        "os": spec.os.as_ref().map(|os| json!({
            "url": os_url(&os.image, &addresses.base_url),
            "sha256": os.sha256,
            "size": addresses.os_bytes,
            "kernelArgs": spec.kernel_args,
        })),
        "instance": {
            "tags": spec.instance.tags,
            "sshKeys": spec.ssh_keys,
            "userData": spec.user_data.as_deref().and_then(Variable::as_text),
            "vendorData": spec.vendor_data.as_deref().and_then(Variable::as_text),
        },
        "phoneHome": addresses.phone_home.as_ref().map(|url| json!({"url": url})),
    })
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

/// Names what a document says: another one says something else. Its phone-home does not count, for its token is another each time.
#[must_use]
pub fn revision(document: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    for (key, value) in document.as_object().into_iter().flatten().filter(|(key, _)| *key != "phoneHome") {
        (key, value).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
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
