//! What a machine loads from the network instead of the server's own choice: another NBP, script or URI.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Blank;
use crate::{
    arch::{ClientArch, Firmware, Platform},
    files::FileName,
    limits::{BOOT_URL_BYTES, NBP_NAME_BYTES, SCRIPT_BYTES},
};

/// `netboot` of a Hardware or Profile. What is not written here the Network says, and then the server itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Netboot {
    /// The file that firmware loads, such as a signed shim: a name under the server's `files:` or `ipxe:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbp: Option<String>,
    /// What UEFI HTTP boot loads instead of `nbp`: a URL, on whatever server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_uri: Option<String>,
    /// The iPXE script instead of the server's: a URL. Whoever writes one starts the worker, or does without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The same as text, which the server hands out itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_text: Option<String>,
    /// Also while no workflow is open: for machines that never boot from a disk. Needs a script of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
}

impl Blank for Netboot {
    fn blank() -> &'static Self {
        static BLANK: Netboot =
            Netboot { nbp: None, http_uri: None, script: None, script_text: None, always: false };
        &BLANK
    }
}

impl Netboot {
    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with it: the field and a sentence.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        faults.extend(self.nbp.as_deref().and_then(nbp_fault).map(|fault| ("nbp", fault)));
        faults.extend(self.http_uri.as_deref().and_then(http_fault).map(|fault| ("httpUri", fault)));
        faults.extend(self.script.as_deref().and_then(script_fault).map(|fault| ("script", fault)));
        faults.extend(self.script_text.as_deref().and_then(text_fault).map(|fault| ("scriptText", fault)));
        faults
    }
}

/// `netboot` of a Network: the same for machines of several platforms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkNetboot {
    /// The file that firmware of a platform loads: a name under the server's `files:` or `ipxe:`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nbp: BTreeMap<Platform, String>,
    /// What UEFI HTTP boot of a platform loads instead.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub http_uri: BTreeMap<Platform, String>,
    /// The iPXE script instead of the server's: a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

impl NetworkNetboot {
    /// What is wrong with it: the field and a sentence.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (platform, file) in &self.nbp {
            faults.extend(nbp_fault(file).map(|fault| (format!("nbp.{}", platform.name()), fault)));
        }
        for (platform, url) in &self.http_uri {
            faults.extend(http_fault(url).map(|fault| (format!("httpUri.{}", platform.name()), fault)));
        }
        faults
            .extend(self.script.as_deref().and_then(script_fault).map(|fault| ("script".to_owned(), fault)));
        faults
    }
}

/// The boot file for this architecture: of the machine, of its network, or the server's own; `None` where there is none.
pub(crate) fn nbp<'a>(
    machine: &'a Netboot,
    network: Option<&'a NetworkNetboot>,
    arch: ClientArch,
) -> Option<&'a str> {
    // One file is written for a machine whose firmware has two modes: PC BIOS cannot run what UEFI does.
    let runs =
        |file: &&str| arch.firmware() != Some(Firmware::Bios) || !file.to_ascii_lowercase().ends_with(".efi");
    let platform = arch.platform();
    let of_network = || network?.nbp.get(&platform?).map(String::as_str);
    machine.nbp.as_deref().filter(runs).or_else(of_network).or_else(|| platform?.nbp())
}

/// The URI that HTTP boot is told instead of a file of ours.
pub(crate) fn http_uri<'a>(
    machine: &'a Netboot,
    network: Option<&'a NetworkNetboot>,
    arch: ClientArch,
) -> Option<&'a str> {
    machine.http_uri.as_deref().or_else(|| network?.http_uri.get(&arch.platform()?).map(String::as_str))
}

fn nbp_fault(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/".contains(&byte);
    let normal = FileName::normalise(name.as_bytes()).is_ok_and(|normal| normal.as_str() == name);
    (!normal || name.len() > NBP_NAME_BYTES || !name.bytes().all(plain)).then(|| {
        format!(
            "`{name}` is no name that firmware can ask for: write a file under the server's `files:` or `ipxe:` in at most {NBP_NAME_BYTES} letters, digits and ._-+/, as in shimx64.efi"
        )
    })
}

fn http_fault(url: &str) -> Option<String> {
    url_fault(url, &["http://", "https://"])
}

fn script_fault(url: &str) -> Option<String> {
    url_fault(url, &["http://", "https://", "tftp://"])
}

fn url_fault(url: &str, schemes: &[&str]) -> Option<String> {
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\`|<>#".contains(&byte);
    (rest.is_empty() || url.len() > BOOT_URL_BYTES || !url.bytes().all(plain)).then(|| {
        format!(
            "`{url}` is no URL that a loader takes: begin with {}, in at most {BOOT_URL_BYTES} bytes",
            schemes.join(" or ")
        )
    })
}

fn text_fault(text: &str) -> Option<String> {
    if !text.starts_with("#!ipxe") {
        return Some("an iPXE script begins with the line `#!ipxe`".to_owned());
    }
    (text.len() > SCRIPT_BYTES)
        .then(|| format!("a script has at most {SCRIPT_BYTES} bytes: load the rest with `chain`"))
}
