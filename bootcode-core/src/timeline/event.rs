//! Boot events.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::{arch::ClientArch, clock::Timestamp, mac::MacAddr};

/// Something that one protocol saw of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BootEvent {
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub subject: Subject,
    /// What.
    #[serde(flatten)]
    pub kind: BootEventKind,
}

/// How the protocol knew the machine. The recorder finds the machine's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// By its hardware address.
    Mac(MacAddr),
    /// By its network address.
    Ip(IpAddr),
    /// By its name, behind a token.
    Hardware(String),
}

/// What happened. The name of the variant is the event's name everywhere: log, timeline, metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum BootEventKind {
    /// DHCPDISCOVER.
    Discover {
        /// Option 93, the first that was sent.
        arch: Option<ClientArch>,
        /// Option 60 as text.
        vendor_class: Option<String>,
        /// Option 77 as text.
        user_class: Option<String>,
    },
    /// DHCPOFFER sent.
    Offer {
        /// `yiaddr`; unspecified from a proxy.
        ip: Ipv4Addr,
        /// The NBP or script it named.
        file: Option<String>,
    },
    /// DHCPREQUEST.
    Request {
        /// Option 50 or `ciaddr`.
        ip: Option<Ipv4Addr>,
    },
    /// DHCPACK sent.
    Ack {
        /// `yiaddr`, or `ciaddr` from a proxy.
        ip: Ipv4Addr,
        /// The NBP or script it named.
        file: Option<String>,
    },
    /// DHCPNAK sent.
    Nak {
        /// The address that was refused.
        ip: Option<Ipv4Addr>,
    },
    /// A message that was not answered.
    Ignored {
        /// Why.
        reason: Reason,
    },
    /// A TFTP transfer began.
    TftpStarted {
        /// The file.
        file: String,
    },
    /// A TFTP transfer ended with the last block acknowledged.
    TftpFinished {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
    },
    /// A TFTP transfer ended early.
    TftpAborted {
        /// The file.
        file: String,
        /// Why.
        reason: Reason,
    },
    /// An iPXE script was served.
    ScriptServed {
        /// What the script does: `osie`, `inventory`, `script` or `local-disk`.
        boots: String,
    },
    /// A request for a script or file was refused.
    Refused {
        /// What was asked for.
        file: String,
        /// Why.
        reason: Reason,
    },
    /// OSIE's kernel was fetched whole.
    KernelFetched {
        /// Its length.
        bytes: u64,
    },
    /// OSIE's initramfs was fetched whole.
    InitrdFetched {
        /// Its length.
        bytes: u64,
    },
    /// OSIE runs: the first word of its worker in this boot.
    OsieStarted {
        /// The kernel's boot id.
        boot_id: String,
    },
    /// The worker opened a session.
    WorkerConnected {
        /// The kernel's boot id.
        boot_id: String,
    },
    /// A worker was refused a session.
    WorkerRefused {
        /// Why.
        reason: Reason,
    },
    /// A machine that nobody declared told what it is.
    InventoryTold {
        /// How many disks it has.
        disks: u32,
        /// SMBIOS system serial number.
        serial: Option<String>,
    },
    /// An attempt at an action began.
    ActionStarted {
        /// The workflow.
        workflow: String,
        /// The action.
        action: String,
        /// Its image as the template names it.
        image: String,
        /// Counts from 1.
        attempt: u32,
    },
    /// An attempt ended well.
    ActionSucceeded {
        /// The workflow.
        workflow: String,
        /// The action.
        action: String,
        /// Counts from 1.
        attempt: u32,
    },
    /// An attempt ended badly.
    ActionFailed {
        /// The workflow.
        workflow: String,
        /// The action.
        action: String,
        /// Counts from 1.
        attempt: u32,
        /// Why, in one line.
        message: String,
    },
    /// The workflow came to rest or was held.
    WorkflowState {
        /// The workflow.
        workflow: String,
        /// Its state's name, with the reason where it has one.
        state: String,
    },
    /// The worker was told to restart or stop the machine.
    Rebooted {
        /// What it was told: `reboot`, `poweroff`, `kexec`.
        action: String,
    },
    /// Metadata were read.
    MetadataFetched {
        /// The path, without token.
        path: String,
    },
    /// The installed system called home.
    PhonedHome {
        /// Its instance id.
        instance_id: String,
        /// The public SSH host keys that it told, a line each: who logs in can compare them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        host_keys: Vec<String>,
    },
    /// The recorder lost events because its queue was full.
    Dropped {
        /// How many.
        count: u64,
    },
}

impl BootEventKind {
    /// The event's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Discover { .. } => "Discover",
            Self::Offer { .. } => "Offer",
            Self::Request { .. } => "Request",
            Self::Ack { .. } => "Ack",
            Self::Nak { .. } => "Nak",
            Self::Ignored { .. } => "Ignored",
            Self::TftpStarted { .. } => "TftpStarted",
            Self::TftpFinished { .. } => "TftpFinished",
            Self::TftpAborted { .. } => "TftpAborted",
            Self::ScriptServed { .. } => "ScriptServed",
            Self::Refused { .. } => "Refused",
            Self::KernelFetched { .. } => "KernelFetched",
            Self::InitrdFetched { .. } => "InitrdFetched",
            Self::OsieStarted { .. } => "OsieStarted",
            Self::WorkerConnected { .. } => "WorkerConnected",
            Self::WorkerRefused { .. } => "WorkerRefused",
            Self::InventoryTold { .. } => "InventoryTold",
            Self::ActionStarted { .. } => "ActionStarted",
            Self::ActionSucceeded { .. } => "ActionSucceeded",
            Self::ActionFailed { .. } => "ActionFailed",
            Self::WorkflowState { .. } => "WorkflowState",
            Self::Rebooted { .. } => "Rebooted",
            Self::MetadataFetched { .. } => "MetadataFetched",
            Self::PhonedHome { .. } => "PhonedHome",
            Self::Dropped { .. } => "Dropped",
        }
    }
}
