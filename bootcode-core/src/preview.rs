//! What a client would be told and why, without anything being done: the port between an operator who asks and the server that would answer.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{
    arch::ClientArch,
    boot::{BootStep, Script, Stage},
    document::{DhcpMode, Hardware, LocalBoot},
    mac::MacAddr,
    source::Work,
    timeline::Reason,
};

/// Says what a client would be told. Nothing is written, held, counted or recorded by it.
#[async_trait]
pub trait BootPreview: Send + Sync {
    /// The answer to this client now.
    ///
    /// # Errors
    /// [`PreviewError`]: the question makes no sense, or what it needs could not be looked up.
    async fn preview(&self, ask: &PreviewAsk) -> Result<Preview, PreviewError>;
}

/// Why there is no preview.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// The question makes no sense.
    #[error("{message}")]
    Rejected {
        /// What is wrong with it, and what to write.
        message: String,
    },
    /// What it needs could not be looked up.
    #[error("{message}")]
    Unavailable {
        /// The source's words.
        message: String,
    },
}

/// A client and what it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewAsk {
    /// The interface that asks.
    pub mac: MacAddr,
    /// Option 93; it is not sent where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ClientArch>,
    /// Which program it is.
    #[serde(default)]
    pub program: Program,
    /// Option 60 instead of the program's own; empty: it is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_class: Option<String>,
    /// Option 77 instead of the program's own; empty: it is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_class: Option<String>,
    /// What it asks.
    #[serde(default)]
    pub message: Asked,
    /// The address that it would like, asks for or has. Without it a REQUEST is for what a DISCOVER would be offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Ipv4Addr>,
    /// The Network that it asks from; without it and without a relay the one that the server listens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// `giaddr` of the relay agent that passes it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
    /// The link that the relay agent means (RFC 3527), where its own address is not on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Ipv4Addr>,
}

/// The program whose options a client sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// By its architecture and classes: UEFI HTTP boot, iPXE, else PXE firmware.
    #[default]
    Auto,
    /// PXE firmware.
    Firmware,
    /// UEFI HTTP boot.
    Httpboot,
    /// iPXE.
    Ipxe,
    /// An operating system.
    Os,
}

/// The message that a client sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// DHCPDISCOVER.
    #[default]
    Discover,
    /// DHCPREQUEST that answers our offer.
    Request,
    /// DHCPREQUEST for a remembered address.
    InitReboot,
    /// DHCPREQUEST for an address that it has.
    Renew,
    /// DHCPREQUEST to port 4011, which wants no address.
    BootServer,
}

/// The whole path of one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// What it is taken for.
    pub client: PreviewClient,
    /// Where it asks from.
    pub network: Option<PreviewNetwork>,
    /// Which machine it is; `None` of one that nobody declared.
    pub hardware: Option<PreviewHardware>,
    /// Of one that nobody declared: what its Network does with such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// How it stands with the Network's pool, where that is for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What `plan_boot` said; `None` of who asks for nothing to boot.
    pub plan: Option<PreviewPlan>,
    /// What would be done before the answer leaves: the wire asked, a lease written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// What is sent; `None` is silence.
    pub reply: Option<PreviewReply>,
    /// Why nothing is sent, or why what is sent says no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<PreviewRefusal>,
}

/// What a client is taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewClient {
    /// The interface that asks.
    pub mac: MacAddr,
    /// What it asks, in words.
    pub message: String,
    /// Which stage of a boot; `None` of what is no boot client.
    pub stage: Option<Stage>,
    /// By what that is known.
    pub stage_by: String,
    /// Its architecture by number.
    pub arch: Option<ClientArch>,
    /// As the registry calls it.
    pub arch_name: Option<String>,
    /// By what that is known.
    pub arch_by: String,
}

/// Where a client asks from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewNetwork {
    /// The Network's name.
    pub name: String,
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// What DHCP does in it.
    pub mode: DhcpMode,
    /// By what it was found.
    pub by: String,
}

/// Which machine a client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewHardware {
    /// Its name.
    pub name: String,
    /// The interface that asks.
    pub interface: Option<String>,
    /// The reservation of that interface.
    pub ip: Option<Ipv4Addr>,
    /// Whether that interface may boot from the network.
    pub netboot: bool,
}

/// What `plan_boot` said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewPlan {
    /// `nbp`, `script`, `local-disk` or `refuse`.
    pub step: String,
    /// The file, the script or the way to the disk.
    pub what: String,
    /// What makes it so.
    pub why: String,
}

/// What would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewReply {
    /// `OFFER`, `ACK` or `NAK`.
    pub message: String,
    /// The address that the client gets.
    pub yiaddr: Ipv4Addr,
    /// Where the boot file is.
    pub siaddr: Ipv4Addr,
    /// The boot file, script or URI.
    pub file: Option<String>,
    /// Where it goes.
    pub to: String,
    /// Its length.
    pub bytes: usize,
    /// In the order in which they are sent.
    pub options: Vec<PreviewOption>,
    /// Codes of those that do not fit into what the client takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<u8>,
}

/// An option of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewOption {
    /// Its code.
    pub code: u8,
    /// As IANA's registry calls it; empty for those of a document's own.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// Why a client is told nothing, or no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewRefusal {
    /// The reason that metrics and the timeline would have; `None` where the protocol owes no answer, and of a NAK.
    pub reason: Option<Reason>,
    /// In a sentence.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Preview {
    /// Whether the client is answered with what it asked for.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.reply.is_some() && self.refusal.is_none()
    }
}

impl PreviewPlan {
    /// Of what was decided for a machine with this work.
    #[must_use]
    pub fn new(step: &BootStep, work: &Work, hardware: Option<&Hardware>) -> Self {
        let always = hardware.is_some_and(|hardware| hardware.spec.netboot.always);
        let why = match (step, work) {
            (BootStep::Refuse(reason), _) => reason.to_string(),
            _ if hardware.is_none() => "nobody declared it, and its Network says unknown: boot".to_owned(),
            (_, Work::Provision { workflow }) => format!("Workflow `{workflow}` has work for it"),
            (_, Work::Wait { workflow, reason }) => format!("Workflow `{workflow}` waits: {reason}"),
            (_, Work::Idle) if always => "netboot.always of its document; no Workflow is open".to_owned(),
            (_, Work::Idle) => "no Workflow has work for it".to_owned(),
        };
        let (name, what) = match step {
            BootStep::Nbp { file, url } => ("nbp", format!("{file}, by HTTP {url}")),
            BootStep::Script { url, script } => ("script", format!("{url}, {}", of(*script))),
            BootStep::LocalDisk { how } => ("local-disk", way(*how).to_owned()),
            BootStep::Refuse(reason) => ("refuse", reason.name()),
        };
        Self { step: name.to_owned(), what, why }
    }
}

const fn of(script: Script) -> &'static str {
    match script {
        Script::Osie => "which boots OSIE",
        Script::Inventory => "which boots OSIE for its inventory",
        Script::Declared => "the scriptText of its document",
        Script::Elsewhere => "as a document names it",
    }
}

const fn way(how: LocalBoot) -> &'static str {
    match how {
        LocalBoot::Auto => "as its firmware does it",
        LocalBoot::NoReply => "no boot file: its firmware goes on by itself",
        LocalBoot::Exit => "iPXE leaves, and its firmware goes on",
        LocalBoot::Sanboot => "iPXE boots the first disk itself",
    }
}
