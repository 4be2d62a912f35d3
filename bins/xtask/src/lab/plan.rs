//! What a lab shall do: the flags, and what the preparation on the host adds to them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// The name of the lab's machine, its workflow and its hardware address, as `examples/lab` declares them.
pub(crate) const MACHINE: &str = "node-1";
pub(crate) const WORKFLOW: &str = "install-node-1";
pub(crate) const MAC: &str = "52:54:00:00:00:01";

/// Flags of `cargo xtask lab`.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LabFlags {
    /// The machine's firmware.
    #[arg(long, value_enum, default_value_t = Firmware::Bios)]
    pub firmware: Firmware,
    /// Install missing packages without asking.
    #[arg(long)]
    pub yes: bool,
    /// The machine's memory in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=65536))]
    pub memory: u32,
    /// End well when this stage is reached.
    #[arg(long, value_enum, value_name = "STAGE")]
    pub until: Option<Until>,
    /// Kill the server (SIGKILL) in the middle of this action and start it again.
    #[arg(long, value_name = "ACTION")]
    pub crash_server: Option<String>,
    /// Who leases addresses: bootcode-server, or a dnsmasq beside it while bootcode-server is its proxy.
    #[arg(long, value_enum, default_value_t = Dhcp::Own)]
    pub dhcp: Dhcp,
    /// After the installation: lose the server's data directory, bring the Workflow back by a watched
    /// directory, power-cycle the machine, and see that nothing is installed again.
    #[arg(long)]
    pub fresh_store: bool,
    /// Declare a wrong digest for the root file system and see that the installation is refused: a test of the lab.
    #[arg(long, hide = true)]
    pub wrong_digest: bool,
}

/// The machine's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Firmware {
    /// SeaBIOS and the iPXE ROM of the network card.
    Bios,
    /// OVMF, booting by its own PXE client.
    Uefi,
    /// OVMF, booting by UEFI HTTP boot.
    UefiHttp,
}

impl Firmware {
    /// As on the command line and in paths.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
            Self::UefiHttp => "uefi-http",
        }
    }
}

/// A stage that a lab may end at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Until {
    /// The iPXE script was served.
    Script,
    /// The in-memory operating system runs.
    Osie,
    /// The first action runs.
    FirstAction,
    /// The workflow succeeded.
    Installed,
    /// The installed system phoned home.
    PhoneHome,
}

/// Who leases addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dhcp {
    /// bootcode-server.
    Own,
    /// dnsmasq; bootcode-server adds the boot options.
    Proxy,
}

/// How QEMU runs the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Accelerator {
    /// The host's virtualisation.
    Kvm,
    /// Emulation.
    Tcg,
}

/// What runs inside the lab's namespaces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Scenario {
    /// The main job: a blank machine becomes an installed one.
    Provision {
        /// The flags.
        flags: LabFlags,
        /// How QEMU runs the machine.
        accelerator: Accelerator,
        /// The root file system that is installed.
        root_tar: PathBuf,
        /// Its SHA-256, in hexadecimal.
        root_sha256: String,
    },
    /// A server with defaults beside somebody else's DHCP server.
    Beside,
}

impl Scenario {
    /// The name of its directory under `target/lab`.
    pub(crate) const fn dir_name(&self) -> &'static str {
        match self {
            Self::Provision { flags, .. } => flags.firmware.name(),
            Self::Beside => "beside",
        }
    }
}
