//! EC2's tree of metadata: what a version of it holds, its leaves and the listings that follow from them.
//!
//! ```text
//!  <version>/ -> meta-data/..  user-data  vendor-data  dynamic/instance-identity/document
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
};

use bootcode_core::document::{Hardware, Interface, Network};
use serde_json::{Value, json};

/// The versions that are served: the first, those that cloud-init asks for beside it, and the newest by its name.
pub const VERSIONS: [&str; 5] = ["2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest"];

/// What a path below a version stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ec2Answer {
    /// A leaf or a listing, whole.
    Text(String),
    /// `user-data`, which may be a secret.
    UserData,
    /// `vendor-data`, which may be one too.
    VendorData,
    /// `dynamic/instance-identity/document`, JSON.
    Document(String),
}

/// What is at `path` below a version; `None` where nothing is. A slash at the end changes nothing, and none but the
/// machine's own leaves are ever looked at.
///
/// `networks` are those of the machine, by the ids of its interfaces.
#[must_use]
pub fn answer(
    hardware: &Hardware,
    instance_id: &str,
    networks: &BTreeMap<String, Arc<Network>>,
    path: &str,
) -> Option<Ec2Answer> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path {
        "" => Some(Ec2Answer::Text(top(hardware))),
        "user-data" => hardware.spec.user_data.as_ref().map(|_| Ec2Answer::UserData),
        "vendor-data" => hardware.spec.vendor_data.as_ref().map(|_| Ec2Answer::VendorData),
        "dynamic" => Some(Ec2Answer::Text("instance-identity/".to_owned())),
        "dynamic/instance-identity" => Some(Ec2Answer::Text("document".to_owned())),
        "dynamic/instance-identity/document" => Some(Ec2Answer::Document(identity(hardware, instance_id))),
        "meta-data/public-keys" if !hardware.spec.ssh_keys.is_empty() => {
            let keys = 0..hardware.spec.ssh_keys.len();
            Some(Ec2Answer::Text(keys.map(|key| format!("{key}=key-{key}")).collect::<Vec<_>>().join("\n")))
        }
        _ => {
            let below =
                path.strip_prefix("meta-data").filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
            let wanted = below.trim_start_matches('/');
            meta_data(hardware, instance_id, networks, wanted).map(Ec2Answer::Text)
        }
    }
}

fn top(hardware: &Hardware) -> String {
    let mut names = vec!["dynamic/", "meta-data/"];
    names.extend(hardware.spec.user_data.as_ref().map(|_| "user-data"));
    names.extend(hardware.spec.vendor_data.as_ref().map(|_| "vendor-data"));
    names.join("\n")
}

/// The one leaf that is wanted, or the names below the directory that is: of a hundred questions that a boot asks, each is about one.
struct Wanted<'a> {
    path: &'a str,
    leaf: Option<String>,
    below: BTreeSet<String>,
}

impl Wanted<'_> {
    /// Whether anything in this directory of the first level may be it, or be below it.
    fn concerns(&self, directory: &str) -> bool {
        self.path.is_empty() || self.path.split('/').next() == Some(directory)
    }

    fn leaf(&mut self, path: &str, value: impl FnOnce() -> String) {
        if path == self.path {
            self.leaf = Some(value());
            return;
        }
        let below = match self.path {
            "" => Some(path),
            directory => path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')),
        };
        // Those that hold others end in a slash.
        if let Some(name) = below.map(|below| below.split_inclusive('/').next().unwrap_or(below))
            && !self.below.contains(name)
        {
            self.below.insert(name.to_owned());
        }
    }

    /// A listing has one name a line.
    fn answer(self) -> Option<String> {
        let listing = || self.below.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        self.leaf.clone().or_else(|| (!self.below.is_empty()).then(listing))
    }
}

/// What `wanted` is among the leaves of `meta-data`. Those that Tinkerbell has are always there, empty where nothing is known; others only
/// where they say something.
fn meta_data(
    hardware: &Hardware,
    instance_id: &str,
    networks: &BTreeMap<String, Arc<Network>>,
    wanted: &str,
) -> Option<String> {
    let mut leaves = Wanted { path: wanted, leaf: None, below: BTreeSet::new() };
    let spec = &hardware.spec;
    let primary = primary(hardware);
    let addresses = || spec.interfaces.iter().filter_map(|interface| interface.ip);
    leaves.leaf("instance-id", || instance_id.to_owned());
    leaves.leaf("hostname", || hardware.hostname().to_owned());
    leaves.leaf("local-hostname", || hardware.hostname().to_owned());
    leaves.leaf("iqn", || primary.map(iscsi_name).unwrap_or_default());
    leaves.leaf("plan", || plan(hardware));
    leaves.leaf("facility", || facility(hardware));
    leaves.leaf("tags", || spec.instance.tags.join("\n"));
    leaves.leaf("local-ipv4", || primary.and_then(|interface| interface.ip).map(text).unwrap_or_default());
    leaves.leaf("public-ipv4", || addresses().find(|ip| is_public(*ip)).map(text).unwrap_or_default());
    leaves.leaf("public-ipv6", String::new);
    for (path, pointer) in [
        ("operating-system/slug", "slug"),
        ("operating-system/distro", "distro"),
        ("operating-system/version", "version"),
        ("operating-system/image_tag", "image_tag"),
        ("operating-system/license_activation/state", "license_activation/state"),
    ] {
        let said = || tinkerbell(hardware, &format!("/metadata/instance/operating_system/{pointer}"));
        leaves.leaf(path, || said().unwrap_or_default());
    }
    leaves.leaf("instance-type", || instance_type(hardware));
    if leaves.concerns("placement") && !facility(hardware).is_empty() {
        leaves.leaf("placement/availability-zone", || facility(hardware));
    }
    if let Some(primary) = primary {
        leaves.leaf("mac", || primary.mac.to_string());
    }
    if leaves.concerns("public-keys") {
        for (key, line) in spec.ssh_keys.iter().enumerate() {
            leaves.leaf(&format!("public-keys/{key}/openssh-key"), || line.clone());
        }
    }
    if leaves.concerns("network") {
        interfaces(hardware, networks, &mut leaves);
    }
    leaves.answer()
}

/// The leaves of `network/interfaces/macs`.
fn interfaces(hardware: &Hardware, networks: &BTreeMap<String, Arc<Network>>, leaves: &mut Wanted<'_>) {
    // Each of EC2's has an address, so cloud-init waits for a lease on every interface that is named.
    let addressed = |interface: &&Interface| interface.ip.is_some() || interface.netboot;
    for (number, interface) in hardware.spec.interfaces.iter().filter(addressed).enumerate() {
        let mac = interface.mac;
        let mut of = |name: &str, value: String| {
            leaves.leaf(&format!("network/interfaces/macs/{mac}/{name}"), || value);
        };
        of("device-number", number.to_string());
        of("local-hostname", hardware.hostname().to_owned());
        of("mac", mac.to_string());
        if let Some(ip) = interface.ip {
            of("local-ipv4s", ip.to_string());
        }
        if let Some(network) = networks.get(interface.id.as_str()) {
            of("subnet-ipv4-cidr-block", network.spec.cidr.to_string());
            // An interface of no VPC is one of EC2 Classic, where cloud-init asks for a new lease at each of its stages, and fails
            // for it has the address already.
            of("vpc-id", network.name.clone());
        }
    }
}

/// The interface that boots from the network, else the first.
fn primary(hardware: &Hardware) -> Option<&Interface> {
    hardware.netboot_interface().or_else(|| hardware.spec.interfaces.first())
}

/// An iSCSI name without a naming authority: `eui.` and the EUI-64 of the hardware address (RFC 3720 3.2.6.3.2).
fn iscsi_name(interface: &Interface) -> String {
    let [a, b, c, d, e, f] = interface.mac.0;
    format!("eui.{a:02X}{b:02X}{c:02X}FFFE{d:02X}{e:02X}{f:02X}")
}

fn identity(hardware: &Hardware, instance_id: &str) -> String {
    let ip = primary(hardware).and_then(|interface| interface.ip);
    let document = json!({
        // The form of the document, as EC2 numbers it.
        "version": "2017-09-30",
        "instanceId": instance_id,
        "instanceType": instance_type(hardware),
        "architecture": hardware.spec.arch,
        "privateIp": ip,
        "availabilityZone": facility(hardware),
        "imageId": hardware.spec.os.as_ref().map(|os| os.sha256.as_str()),
    });
    format!("{document:#}\n")
}

/// The machine's plan, or what a machine without one is.
fn instance_type(hardware: &Hardware) -> String {
    Some(plan(hardware)).filter(|plan| !plan.is_empty()).unwrap_or_else(|| "metal".to_owned())
}

/// The label `plan`, or what a document of Tinkerbell said.
fn plan(hardware: &Hardware) -> String {
    let said = || tinkerbell(hardware, "/metadata/facility/plan_slug");
    hardware.labels.get("plan").cloned().or_else(said).unwrap_or_default()
}

/// The label `facility`, or what a document of Tinkerbell said.
pub(crate) fn facility(hardware: &Hardware) -> String {
    let said = || tinkerbell(hardware, "/metadata/facility/facility_code");
    hardware.labels.get("facility").cloned().or_else(said).unwrap_or_default()
}

fn tinkerbell(hardware: &Hardware, pointer: &str) -> Option<String> {
    hardware.spec.tinkerbell.as_ref()?.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Whether an address is one of the Internet: not private (RFC 1918), of a carrier (RFC 6598), of a link or of the host.
fn is_public(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let carrier = a == 100 && b & 0xc0 == 64;
    !(ip.is_private() || ip.is_link_local() || ip.is_loopback() || ip.is_documentation() || carrier)
}

fn text(ip: Ipv4Addr) -> String {
    ip.to_string()
}
