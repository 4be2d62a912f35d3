//! The machine's own document, as `/metadata` serves it to the machine's token.
//!
//! Unknown keys are taken as they come: a newer server must not stop an older action. What an action acts upon is typed.

use std::{collections::BTreeMap, net::IpAddr};

use bootcode_worker::image::{HttpError, http::get_document};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::{Environment, limits};

/// `{id, hostname, arch, firmware, interfaces, storage, os, instance, phoneHome}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The instance's id.
    pub id: String,
    /// The host name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// What the document asserts.
    #[serde(default)]
    pub firmware: Option<Firmware>,
    /// Network interfaces.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// The network configuration of version 2 that the server made of them, where it makes one.
    #[serde(default)]
    pub network_config: Option<serde_json::Value>,
    /// Disks and their layout.
    #[serde(default)]
    pub storage: Option<Storage>,
    /// What is installed.
    #[serde(default)]
    pub os: Option<Os>,
    /// What cloud-init is told besides.
    #[serde(default)]
    pub instance: Instance,
    /// Where the installed system reports that it is up.
    #[serde(default)]
    pub phone_home: Option<PhoneHome>,
}

/// What starts the boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// The boot sector of the first disk.
    Bios,
    /// A file in the EFI system partition.
    Uefi,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Interface {
    /// Unique within the machine.
    pub id: String,
    /// Its hardware address, six octets with colons.
    pub mac: String,
    /// Its address; without one it is configured by DHCP when it is the one that boots from the network.
    #[serde(default)]
    pub ip: Option<IpAddr>,
    /// Bits of the network in that address.
    #[serde(default)]
    pub prefix: Option<u8>,
    /// The router.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Name servers.
    #[serde(default)]
    pub dns: Option<Dns>,
    /// Whether it boots from the network.
    #[serde(default)]
    pub netboot: bool,
}

/// Name servers and search domains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses.
    pub servers: Vec<IpAddr>,
    /// Domains.
    pub search: Vec<String>,
}

/// Disks and their layout: `spec.storage` of the document.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// The selected disks.
    pub disks: Vec<DiskSpec>,
    /// Their tables.
    pub partitions: Vec<Table>,
}

/// A disk, by its node or by what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DiskSpec {
    /// Unique within the machine.
    pub id: String,
    /// Its node, `/dev/vda`, or a link to it.
    pub device: Option<String>,
    /// `wwn`, `serial`, `type`, `size`, `path`: all must fit, and exactly one disk.
    #[serde(rename = "match")]
    pub matching: BTreeMap<String, String>,
    /// Never touched.
    pub keep: bool,
}

/// The partition table of a disk.
#[derive(Debug, Clone, Deserialize)]
pub struct Table {
    /// The disk's id.
    pub disk: String,
    /// `gpt`.
    #[serde(default = "gpt")]
    pub table: String,
    /// Partitions in their order.
    pub layout: Vec<Partition>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Partition {
    /// Unique within the machine; the partition's name in the table.
    pub id: String,
    /// `512MiB`, `rest`.
    pub size: String,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What is made on it.
    #[serde(default)]
    pub format: Option<Format>,
    /// Where the installed system mounts it.
    #[serde(default)]
    pub mount: Option<String>,
    /// The file system's label.
    #[serde(default)]
    pub label: Option<String>,
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Where GRUB's core stands on a GPT disk that a BIOS boots.
    BiosBoot,
    /// The EFI system partition.
    Esp,
    /// A Linux file system.
    Linux,
    /// Swap space.
    Swap,
}

/// What is made on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Linux's own.
    Ext4,
    /// What UEFI reads.
    Vfat,
    /// Swap space.
    Swap,
}

/// What is installed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Os {
    /// A tar, plain or compressed, over plain HTTP.
    pub url: String,
    /// Its digest as it is on the server.
    pub sha256: String,
    /// Its bytes on the server.
    #[serde(default)]
    pub size: Option<u64>,
    /// Arguments of the installed kernel.
    #[serde(default)]
    pub kernel_args: Vec<String>,
}

/// What cloud-init is told besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Instance {
    /// Keys that are let in.
    pub ssh_keys: Vec<String>,
    /// The machine's own user data.
    pub user_data: Option<String>,
}

/// Where the installed system reports that it is up.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct PhoneHome {
    /// Where; it may hold the token already.
    pub url: String,
    /// What proves who calls, where the URL does not hold it.
    #[serde(default)]
    pub token: Option<String>,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The service does not answer, or refuses.
    #[error("the metadata service gives no answer: {source}")]
    Http {
        /// The last attempt's failure.
        #[source]
        source: HttpError,
    },
    /// The answer is not the document.
    #[error("{url} answers with something else than this action understands: {source}")]
    Shape {
        /// What was asked for.
        url: String,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
    /// The document lacks what this action needs.
    #[error(
        "the machine's document has no `{key}`: this action needs it (add it to its Hardware or Profile)"
    )]
    Missing {
        /// The key within `spec`.
        key: &'static str,
    },
}

impl Metadata {
    /// Fetches the document, patient while the service restarts.
    ///
    /// # Errors
    /// See [`MetadataError`]; a refusal (a wrong token, an unknown machine) is final at once.
    pub async fn fetch(environment: &Environment) -> Result<Self, MetadataError> {
        let token = environment.token.as_ref().map(crate::environment::Token::reveal);
        let begin = Instant::now();
        let mut pause = std::time::Duration::from_millis(250);
        let text = loop {
            match get_document(&environment.metadata, token).await {
                Ok(text) => break text,
                Err(source) => {
                    let refused = matches!(&source, HttpError::Status { status, .. } if *status < 500);
                    if refused || begin.elapsed() > limits::METADATA {
                        return Err(MetadataError::Http { source });
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(std::time::Duration::from_secs(4));
        };
        let mut metadata: Self = serde_json::from_slice(&text)
            .map_err(|source| MetadataError::Shape { url: environment.metadata.to_string(), source })?;
        if let (Some(storage), Some(disks)) = (&mut metadata.storage, &environment.disks) {
            storage.limit(disks);
        }
        Ok(metadata)
    }

    /// Disks and layout.
    ///
    /// # Errors
    /// The document has none.
    pub fn storage(&self) -> Result<&Storage, MetadataError> {
        self.storage.as_ref().ok_or(MetadataError::Missing { key: "storage" })
    }

    /// What is installed.
    ///
    /// # Errors
    /// The document has none.
    pub fn os(&self) -> Result<&Os, MetadataError> {
        self.os.as_ref().ok_or(MetadataError::Missing { key: "os" })
    }

    /// The host name, else the id.
    #[must_use]
    pub fn hostname(&self) -> &str {
        self.hostname.as_deref().unwrap_or(&self.id)
    }
}

impl Storage {
    /// Keeps the disks that this action was handed, each by its node in this boot, and their layouts. Which disk a document means is
    /// decided once, by the server: a second opinion here could only be another one.
    fn limit(&mut self, handed: &BTreeMap<String, String>) {
        let left_out = |disk: &DiskSpec| disk.keep || !handed.contains_key(&disk.id);
        let not_ours: Vec<String> =
            self.disks.iter().filter(|disk| left_out(disk)).map(|disk| disk.id.clone()).collect();
        self.partitions.retain(|table| !not_ours.contains(&table.disk));
        self.disks.retain(|disk| !left_out(disk));
        for disk in &mut self.disks {
            disk.device = handed.get(&disk.id).cloned();
            disk.matching.clear();
        }
    }
}

impl std::fmt::Debug for PhoneHome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PhoneHome(..)")
    }
}

fn gpt() -> String {
    "gpt".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_sees_the_disks_that_it_was_handed_and_no_other() {
        let storage = |disks: serde_json::Value| -> Storage {
            let tables = [("a", "root"), ("b", "data"), ("z", "none")]
                .map(|(disk, id)| serde_json::json!({"disk": disk, "layout": [{"id": id, "size": "rest", "type": "linux"}]}));
            serde_json::from_value(serde_json::json!({"disks": disks, "partitions": tables})).unwrap()
        };
        // What a document says of a disk may need udev's links, which the in-memory system has not.
        let declared = serde_json::json!([
            {"id": "a", "match": {"path": "/dev/disk/by-path/pci-0000:00:04.0"}}, {"id": "b", "device": "/dev/vdb"},
            {"id": "c", "device": "/dev/vdc", "keep": true},
        ]);
        let limited = |handed: &[(&str, &str)]| {
            let mut storage = storage(declared.clone());
            storage.limit(&handed.iter().map(|(id, node)| ((*id).to_owned(), (*node).to_owned())).collect());
            let disk = |disk: &DiskSpec| format!("{}={}", disk.id, disk.device.as_deref().unwrap_or("?"));
            let disks: Vec<_> = storage.disks.iter().map(disk).collect();
            let tables: Vec<_> = storage.partitions.iter().map(|table| table.disk.clone()).collect();
            assert!(storage.disks.iter().all(|disk| disk.matching.is_empty()));
            (disks.join(" "), tables.join(" "))
        };
        let text = |disks: &str, tables: &str| (disks.to_owned(), tables.to_owned());
        assert_eq!(limited(&[("a", "/dev/vdd"), ("b", "/dev/vdb")]), text("a=/dev/vdd b=/dev/vdb", "a b z"));
        assert_eq!(limited(&[("a", "/dev/vda")]), text("a=/dev/vda", "a z"));
        assert_eq!(limited(&[("c", "/dev/vdc")]), text("", "z"), "a kept disk is never handed out");
        assert_eq!(limited(&[]), text("", "z"));
    }
}
