//! Processor architectures: of machines, and as firmware names them in DHCP option 93.

use serde::{Deserialize, Serialize};

/// The processor architecture of a machine, by the names that Linux uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64", alias = "amd64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Arch {
    /// As in file names: `vmlinuz-<arch>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// The firmware that starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// PC BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

/// DHCP option 93, Client System Architecture Type (RFC 4578 2.1, extended by IANA's registry "Processor Architecture Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientArch(pub u16);

impl ClientArch {
    /// x86 BIOS.
    pub const X86_BIOS: Self = Self(0);
    /// x86 UEFI, 32 bits.
    pub const IA32_EFI: Self = Self(6);
    /// x64 UEFI.
    pub const X64_EFI: Self = Self(7);
    /// EFI byte code; many x64 machines send it.
    pub const EBC: Self = Self(9);
    /// ARM UEFI, 64 bits.
    pub const ARM64_EFI: Self = Self(11);
    /// x64 UEFI that boots over HTTP.
    pub const X64_EFI_HTTP: Self = Self(16);
    /// ARM64 UEFI that boots over HTTP.
    pub const ARM64_EFI_HTTP: Self = Self(19);

    /// The processor architecture, where one is known.
    #[must_use]
    pub const fn arch(self) -> Option<Arch> {
        match self.0 {
            0 | 6 | 7 | 9 | 15 | 16 => Some(Arch::X86_64),
            11 | 19 => Some(Arch::Aarch64),
            _ => None,
        }
    }

    /// The kind of firmware, where one is known.
    #[must_use]
    pub const fn firmware(self) -> Option<Firmware> {
        match self.0 {
            0 => Some(Firmware::Bios),
            6 | 7 | 9 | 10 | 11 | 15..=19 => Some(Firmware::Uefi),
            _ => None,
        }
    }

    /// Whether the firmware fetches its NBP over HTTP (UEFI specification 24.7).
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self.0, 15..=20)
    }
}
