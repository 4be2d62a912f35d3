//! `kind: Hardware`: a machine. The same keys in a Profile are what many machines share.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use super::{Blank, Bond, DhcpOption, InstallFiles, Links, Netboot, Rare};
use crate::{
    arch::{Arch, Firmware},
    mac::MacAddr,
    template::Variable,
};

/// A machine as protocols see it: its name, and its spec with the Profile's merged in.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardware {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What is declared.
    pub spec: HardwareSpec,
}

/// `spec` of a Hardware, and of a Profile apart from `profile`, `interfaces`, `links` and `identity`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HardwareSpec {
    /// The Profile whose fields it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// An assertion; a mismatch has a named cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// An assertion too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
    /// Default: the document's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Checked against SMBIOS before anything is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Box<Identity>>,
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// What the installed system makes of the interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Box<Links>>,
    /// Disks and their layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Box<Storage>>,
    /// What is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<Box<Os>>,
    /// Arguments of OSIE's kernel and of the installed one.
    pub kernel_args: Vec<String>,
    /// How a ROM is told to boot its disk.
    pub local_boot: LocalBoot,
    /// What it loads from the network instead of the server's own choice.
    #[serde(skip_serializing_if = "Netboot::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Netboot"))]
    pub netboot: Rare<Netboot>,
    /// DHCP options by their numbers, before those of its Network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dhcp_options: Vec<DhcpOption>,
    /// Keys that the installed system lets in, in OpenSSH's form.
    pub ssh_keys: Vec<String>,
    /// cloud-init's user data, or the secret that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::schema::Text>"))]
    pub user_data: Option<Arc<Variable>>,
    /// cloud-init's vendor data, or the secret that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::schema::Text>"))]
    pub vendor_data: Option<Arc<Variable>>,
    /// What metadata serves besides.
    #[cfg_attr(feature = "schema", schemars(with = "Instance"))]
    pub instance: Rare<Instance>,
    /// What a `tinkerbell.org/v1alpha1` document that this was read from said in its `spec`, as written: templates see it as
    /// `.hardware.spec` and `.Hardware`. Nothing else reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tinkerbell: Option<Box<Value>>,
    /// Reserved for BMCs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bmc: Option<Box<BTreeMap<String, Value>>>,
    /// A reason here blocks workflows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hold: String,
}

/// What SMBIOS must say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Identity {
    /// System serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// System UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interface {
    /// Unique within the machine.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub id: SmolStr,
    /// Its hardware address.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub mac: MacAddr,
    /// The Network that it is in.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub network: Option<SmolStr>,
    /// Its reservation in that Network.
    #[serde(default)]
    pub ip: Option<Ipv4Addr>,
    /// Whether it boots from the network.
    #[serde(default)]
    pub netboot: bool,
    /// DHCP options by their numbers, before those of the machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dhcp_options: Vec<DhcpOption>,
    /// The switch port that it is on: whoever asks from there, and has no Hardware of its own, is this interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<Box<Circuit>>,
}

/// Where a relay agent heard a machine (RFC 3046). A text is its bytes; `0x..` is hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Circuit {
    /// `giaddr` of the relay agent; where it is not written, any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
    /// Agent Circuit ID, sub-option 1: the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_id: Option<String>,
    /// Agent Remote ID, sub-option 2: the switch, or the subscriber.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
}

impl Interface {
    /// An interface of which nothing else is said: it does not boot from the network.
    #[must_use]
    pub fn new(id: impl Into<SmolStr>, mac: MacAddr) -> Self {
        Self {
            id: id.into(),
            mac,
            network: None,
            ip: None,
            netboot: false,
            dhcp_options: Vec::new(),
            circuit: None,
        }
    }
}

impl Circuit {
    /// The bytes of an identifier; `None` where it begins with `0x` and is not hexadecimal.
    #[must_use]
    pub fn bytes(id: &str) -> Option<Vec<u8>> {
        match id.strip_prefix("0x") {
            Some(digits) => HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok(),
            None => Some(id.as_bytes().to_vec()),
        }
    }
}

/// Disks and their layout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Storage {
    /// The selected disks; only these may be written.
    pub disks: Vec<Disk>,
    /// The layout of disks.
    pub partitions: Vec<PartitionTable>,
}

/// A disk, by path or by what it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Disk {
    /// Unique within the machine.
    pub id: String,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// `wwn`, `serial`, `type`, `size` or `path`: exactly one disk must fit.
    #[serde(rename = "match", skip_serializing_if = "BTreeMap::is_empty")]
    pub matching: BTreeMap<String, String>,
    /// Never touched.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}

/// The partition table of a disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartitionTable {
    /// The disk's id.
    pub disk: String,
    /// `gpt`.
    pub table: String,
    /// The partitions in their order.
    pub layout: Vec<Partition>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partition {
    /// Unique within the machine.
    pub id: String,
    /// `512MiB`, `10GiB` .. or `rest`.
    pub size: String,
    /// `bios-boot`, `esp`, `linux` or `swap`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `ext4`, `vfat` or `swap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Where the installed system mounts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// The file system's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// What is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Os {
    /// A name under the server's `files:`, or a URL.
    pub image: String,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// How a ROM is told to boot its disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LocalBoot {
    /// What was found to work for the firmware that asks: x64 UEFI is given a program that starts the loader on its disk where the server
    /// has that program, other firmware no boot file, and iPXE leaves.
    #[default]
    Auto,
    /// DHCP names no boot file.
    NoReply,
    /// iPXE leaves and the firmware goes on.
    Exit,
    /// iPXE boots the first disk itself (BIOS only).
    Sanboot,
}

/// What metadata serves besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Instance {
    /// Free tags.
    pub tags: Vec<String>,
    /// Whether EC2's routes want a session's token (IMDSv2).
    #[serde(skip_serializing_if = "HttpTokens::is_optional")]
    pub http_tokens: HttpTokens,
    /// What `/install/<name>` renders for the machine: kickstart, preseed and autoinstall files, each a Go template or a `file` with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, super::schema::InstallText>"))]
    pub install: Option<Arc<InstallFiles>>,
    /// How far a session's token goes to this machine, in hops from the server: 1 to 64, where 1 is the machine itself and not what runs behind
    /// its own forwarding. Without it, as far as the network carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 64)))]
    pub http_put_response_hop_limit: Option<u8>,
}

impl Blank for Instance {
    fn blank() -> &'static Self {
        static BLANK: Instance = Instance {
            tags: Vec::new(),
            http_tokens: HttpTokens::Optional,
            install: None,
            http_put_response_hop_limit: None,
        };
        &BLANK
    }
}

/// Whether EC2's metadata are answered without a session, by EC2's own names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HttpTokens {
    /// With and without (IMDSv1 and v2).
    #[default]
    Optional,
    /// Only with one (IMDSv2).
    Required,
}

impl HttpTokens {
    /// Whether both versions are served.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        matches!(self, Self::Optional)
    }
}

impl Hardware {
    /// The host name: declared, or the document's name.
    #[must_use]
    pub fn hostname(&self) -> &str {
        self.spec.hostname.as_deref().unwrap_or(&self.name)
    }

    /// Its bonds and VLANs.
    #[must_use]
    pub fn links(&self) -> &Links {
        const NONE: &Links = &Links { bonds: Vec::new(), vlans: Vec::new() };
        self.spec.links.as_deref().unwrap_or(NONE)
    }

    /// The interfaces of a bond, first the one whose reservation it has.
    #[must_use]
    pub fn bonded(&self, bond: &Bond) -> Vec<&Interface> {
        let found = |id: &String| self.spec.interfaces.iter().find(|interface| interface.id == id.as_str());
        let mut members: Vec<&Interface> = bond.interfaces.iter().filter_map(found).collect();
        members.sort_by_key(|interface| interface.ip.is_none());
        members
    }

    /// Its reservations, with the ids of the interfaces and VLANs that have them.
    pub fn reservations(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        let interfaces = self.spec.interfaces.iter().map(|interface| (interface.id.as_str(), interface.ip));
        let vlans = self.links().vlans.iter().map(|vlan| (vlan.id.as_str(), vlan.ip));
        interfaces.chain(vlans).filter_map(|(id, ip)| Some((id, ip?)))
    }

    /// The interface with this hardware address.
    #[must_use]
    pub fn interface(&self, mac: MacAddr) -> Option<&Interface> {
        self.spec.interfaces.iter().find(|interface| interface.mac == mac)
    }

    /// The interface that boots from the network: the first with `netboot: true`.
    #[must_use]
    pub fn netboot_interface(&self) -> Option<&Interface> {
        self.spec.interfaces.iter().find(|interface| interface.netboot)
    }

    /// The id of its first instance, until an installation of ours gives its own.
    #[must_use]
    pub fn instance_id(&self) -> String {
        first_instance(&self.name)
    }
}

/// The id of the first instance of the machine of this name.
#[must_use]
pub fn first_instance(machine: &str) -> String {
    format!("i-{machine}")
}
