//! What a worker asks of the engine, in process or over HTTP.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{ActionOutputs, HookEnd, HookStart, Outputs};
use crate::{secret::Secret, timeline::Reason};

/// The engine as workers see it. A worker cannot tell whether it is in process or behind HTTP.
#[async_trait]
pub trait WorkflowService: Send + Sync {
    /// Redeems a boot token. The same token and nonce get the same session again.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where the token is not valid or was used by another boot.
    async fn hello(&self, hello: Hello) -> Result<Session, ServiceError>;
    /// What to do next; waits some seconds where there is nothing.
    ///
    /// # Errors
    /// See [`ServiceError`].
    async fn claim(&self, session: &str) -> Result<Claim, ServiceError>;
    /// Reports the end of an attempt. Repeating a report gets the same answer again.
    ///
    /// # Errors
    /// See [`ServiceError`].
    async fn report(&self, session: &str, report: Report) -> Result<ReportAck, ServiceError>;
    /// Says that an attempt is still under way.
    ///
    /// # Errors
    /// See [`ServiceError`].
    async fn heartbeat(&self, session: &str, workflow: &str, attempt: u32)
    -> Result<Heartbeat, ServiceError>;
    /// Says that the hook of an attempt starts. Its end comes with the attempt's report, so that a call that is lost loses little.
    ///
    /// # Errors
    /// See [`ServiceError`].
    async fn hook(&self, session: &str, start: HookStart) -> Result<(), ServiceError>;
    /// Appends to an action's log. Returns how many bytes of this attempt's log the server has.
    ///
    /// # Errors
    /// See [`ServiceError`].
    async fn log(&self, session: &str, chunk: LogChunk) -> Result<u64, ServiceError>;
}

/// A call was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The caller may not; trying again does not help.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: Reason,
    },
    /// The report is about an attempt that is not the open one.
    #[error("attempt {attempt} of {workflow}/{action} is not the open one")]
    StaleAttempt {
        /// The workflow.
        workflow: String,
        /// The action.
        action: String,
        /// The attempt's number.
        attempt: u32,
    },
    /// The service cannot answer now; trying again may help.
    #[error("not available now: {message}")]
    Unavailable {
        /// What is wrong.
        message: String,
    },
}

/// A worker's first words.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The boot token from the kernel command line.
    pub token: String,
    /// Random, 128 bits or more in hexadecimal digits; kept on tmpfs, so that a restarted worker gets its session again.
    pub nonce: String,
    /// `/proc/sys/kernel/random/boot_id`: another one means that the machine restarted.
    pub boot_id: String,
    /// What the machine is.
    pub inventory: Inventory,
}

/// What a machine is, as far as rules need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inventory {
    /// `uname -m`.
    pub arch: String,
    /// Whether the kernel was started by UEFI.
    pub uefi: bool,
    /// SMBIOS system serial number.
    pub serial: Option<String>,
    /// SMBIOS system UUID.
    pub uuid: Option<String>,
    /// Bytes of RAM.
    pub memory_bytes: u64,
    /// Its disks, before anything was written.
    pub disks: Vec<DiskReport>,
}

/// A disk as the worker found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiskReport {
    /// Its node, as `/dev/vda`.
    pub device: String,
    /// Other paths of the same disk, as `/dev/disk/by-path/..`.
    pub paths: Vec<String>,
    /// World-wide name.
    pub wwn: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Bytes.
    pub size_bytes: u64,
    /// `ssd`, `hdd` or `nvme`.
    pub kind: String,
    /// First and last MiB zero, no partition table, no known signature.
    pub blank: bool,
    /// What was found where it is not blank: `gpt`, `dos`, `ext4` ..
    pub found: String,
    /// The GPT's disk GUID, or the MBR's signature in hexadecimal digits.
    pub table_id: Option<String>,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The session's token, for every further call.
    pub token: String,
    /// The machine's name.
    pub hardware: String,
    /// How often a heartbeat is expected.
    pub heartbeat_ms: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum Claim {
    /// Run this action.
    Run(Box<Assignment>),
    /// Everything here is done: do this with the machine.
    Finish {
        /// The workflow that ended.
        workflow: String,
        /// What to do.
        action: MachineAction,
    },
    /// Nothing now; ask again after so many milliseconds.
    Wait {
        /// Why, for the console.
        reason: String,
        /// When to ask again.
        retry_ms: u64,
    },
}

/// What to do with the machine when its workflow has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MachineAction {
    /// Restart it.
    Reboot,
    /// Start the installed kernel without firmware.
    Kexec,
    /// Switch it off.
    Poweroff,
    /// Stay in OSIE.
    Stay,
}

/// One attempt at one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The workflow.
    pub workflow: String,
    /// The task.
    pub task: String,
    /// The action.
    pub action: String,
    /// Its place in the workflow, counting over all tasks from 0.
    pub index: u32,
    /// Counts from 1 for each action.
    pub attempt: u32,
    /// As the template names it.
    pub image: String,
    /// The manifest's digest in the built-in registry; `None` where the image names its own registry.
    pub digest: Option<String>,
    /// Arguments; the image's entry point stays.
    pub command: Vec<String>,
    /// Task's and action's, merged.
    pub environment: BTreeMap<String, String>,
    /// More variables, whose values are secrets; read for this answer, kept nowhere.
    #[serde(with = "crate::secret::revealed", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// `src:dst[:opt]`.
    pub volumes: Vec<String>,
    /// Namespaces that the container shares.
    pub namespaces: Namespaces,
    /// How long it may run from the container's start; a duration, for machines have no wall time.
    pub timeout_ms: u64,
    /// How long pulling the image may take.
    pub pull_timeout_ms: u64,
    /// Command to run in the same image after a failure.
    pub on_failure: Option<Vec<String>>,
    /// Command to run in the same image after a time-out.
    pub on_timeout: Option<Vec<String>>,
    /// The disks that may be written from now on; all others are to be read-only before anything runs.
    pub writable: Vec<WritableDisk>,
    /// What earlier actions of the workflow left, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<ActionOutputs>,
    /// A token for metadata, mounted into the container as a file.
    #[serde(with = "crate::secret::revealed_text")]
    pub metadata_token: Secret,
}

/// A disk that may be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WritableDisk {
    /// Its id in the document.
    pub id: String,
    /// Its node.
    pub device: String,
}

/// Namespaces of the host that a container shares: `host`, or absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Namespaces {
    /// The PID namespace.
    pub pid: Option<String>,
    /// The network namespace.
    pub network: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub enum Outcome {
    /// Exit status 0.
    Succeeded,
    /// It did not do its work.
    Failed {
        /// Why.
        reason: super::FailureReason,
        /// The container's exit status, where it ran.
        exit: Option<i32>,
        /// One line.
        message: String,
        /// The last of its log.
        tail: String,
    },
    /// It ran longer than it may and was killed.
    TimedOut {
        /// The last of its log.
        tail: String,
    },
    /// It was told to stop.
    Cancelled,
}

/// The end of an attempt. Kept on disk by the worker until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The workflow.
    pub workflow: String,
    /// The action's place.
    pub index: u32,
    /// The action.
    pub action: String,
    /// The attempt's number: a report from an old attempt is refused.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// How long the container ran.
    pub ran_ms: u64,
    /// The writable disks as they are now; tells the installation's id with the last action.
    pub disks: Vec<DiskReport>,
    /// How its hook ended, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookEnd>,
    /// What a successful action left in `/workflow/outputs.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Arc<Outputs>>,
}

/// The report is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportAck {
    /// Whether it was counted before.
    pub repeated: bool,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heartbeat {
    /// Go on.
    Continue,
    /// Stop the container: cancelled, out of time, or no longer the open attempt.
    Cancel,
}

/// A piece of an action's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogChunk {
    /// The workflow.
    pub workflow: String,
    /// The action.
    pub action: String,
    /// The attempt.
    pub attempt: u32,
    /// Where it begins in this attempt's log, in bytes: repeats are recognised.
    pub offset: u64,
    /// The text; bytes that were no UTF-8 are replaced.
    pub text: String,
}
