//! What a lab shall do: the flags, and what the preparation on the host adds to them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::error::TaskError;

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
    /// What the firmware loads, and what loads OSIE: the server's iPXE, or another boot loader that has only its own configuration to go by.
    #[arg(long, value_enum, default_value_t = Loader::Ipxe)]
    pub loader: Loader,
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

/// What loads OSIE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Loader {
    /// iPXE, by its script.
    Ipxe,
    /// pxelinux (BIOS), by `pxelinux.cfg/01-<mac>`.
    Pxelinux,
    /// Debian's signed GRUB (UEFI), by `grub.cfg-01-<mac>`.
    Grub,
}

impl LabFlags {
    /// Of a lab that nobody watches: the defaults.
    pub(crate) const fn unattended() -> Self {
        Self {
            firmware: Firmware::Bios,
            yes: true,
            memory: 1024,
            until: None,
            crash_server: None,
            dhcp: Dhcp::Own,
            loader: Loader::Ipxe,
            fresh_store: false,
            wrong_digest: false,
        }
    }

    /// What does not go together.
    ///
    /// # Errors
    /// A boot loader that this firmware cannot run.
    pub(crate) fn check(&self) -> Result<(), TaskError> {
        let firmware = match self.loader {
            Loader::Ipxe => return Ok(()),
            Loader::Pxelinux => Firmware::Bios,
            Loader::Grub => Firmware::Uefi,
        };
        if self.firmware == firmware {
            return Ok(());
        }
        let (loader, name) = (self.loader, firmware.name());
        Err(TaskError::Flags { message: format!("--loader {} takes --firmware {name}", loader.name()) })
    }
}

impl Loader {
    /// As on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ipxe => "ipxe",
            Self::Pxelinux => "pxelinux",
            Self::Grub => "grub",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_loader_is_for_one_firmware() {
        for (loader, firmware, goes) in [
            (Loader::Ipxe, Firmware::UefiHttp, true),
            (Loader::Pxelinux, Firmware::Bios, true),
            (Loader::Pxelinux, Firmware::Uefi, false),
            (Loader::Grub, Firmware::Uefi, true),
            (Loader::Grub, Firmware::Bios, false),
        ] {
            let flags = LabFlags { loader, firmware, ..LabFlags::unattended() };
            assert_eq!(flags.check().is_ok(), goes, "{flags:?}");
        }
    }
}
