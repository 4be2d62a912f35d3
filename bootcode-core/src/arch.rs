//! Processor architectures: of machines, and as firmware names them in DHCP option 93.

mod parse;

use serde::{Deserialize, Serialize};

pub use self::parse::ClientArchError;

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

/// What an NBP is built for: machines of one platform can run the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Platform {
    /// PC BIOS.
    Bios,
    /// PC-98 by NEC.
    Pc98,
    /// Itanium.
    ItaniumEfi,
    /// Alpha by DEC.
    Alpha,
    /// ARC firmware on x86.
    ArcX86,
    /// Intel's Lean Client.
    LeanClient,
    /// UEFI of 32 bits on x86. It cannot run a file for x64.
    Ia32Efi,
    /// UEFI of 64 bits on x86, which EFI byte code (9, 17) stands for too: RFC 4578 had 7 and 9 the other way round, and ROMs still do.
    X64Efi,
    /// EFI on XScale.
    XscaleEfi,
    /// UEFI of 32 bits on ARM.
    Arm32Efi,
    /// UEFI of 64 bits on ARM.
    Arm64Efi,
    /// Open Firmware on PowerPC.
    PowerpcOf,
    /// ePAPR on PowerPC.
    PowerpcEpapr,
    /// OPAL on POWER: petitboot, which reads a configuration and no NBP.
    Opal,
    /// U-Boot of 32 bits on ARM.
    Arm32Uboot,
    /// U-Boot of 64 bits on ARM.
    Arm64Uboot,
    /// UEFI of 32 bits on RISC-V.
    Riscv32Efi,
    /// UEFI of 64 bits on RISC-V.
    Riscv64Efi,
    /// UEFI of 128 bits on RISC-V.
    Riscv128Efi,
    /// s390, basic.
    S390Basic,
    /// s390, extended.
    S390Extended,
    /// UEFI of 32 bits on MIPS.
    Mips32Efi,
    /// UEFI of 64 bits on MIPS.
    Mips64Efi,
    /// UEFI of 32 bits on Sunway.
    Sunway32Efi,
    /// UEFI of 64 bits on Sunway.
    Sunway64Efi,
    /// UEFI of 32 bits on LoongArch.
    Loong32Efi,
    /// UEFI of 64 bits on LoongArch.
    Loong64Efi,
    /// The boot ROM or EEPROM of a Raspberry Pi.
    RaspberryPi,
}

impl Platform {
    /// The file that is loaded where no document names another: iPXE's, by the names that its packages use. Where there is none, the machine
    /// is refused until a document names one: a file of another platform would hang it.
    #[must_use]
    pub const fn nbp(self) -> Option<&'static str> {
        match self {
            Self::Bios => Some("undionly.kpxe"),
            Self::X64Efi => Some("snponly.efi"),
            Self::Arm64Efi => Some("ipxe-arm64.efi"),
            Self::RaspberryPi => Some("bootcode.bin"),
            _ => None,
        }
    }

    /// As documents write it.
    #[must_use]
    pub fn name(self) -> String {
        // The names are serde's, so there is one list of them.
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// DHCP option 93, Client System Architecture Type (RFC 4578 2.1, extended by IANA's registry "Processor Architecture Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientArch(pub u16);

/// A row of IANA's registry.
struct Row {
    name: &'static str,
    platform: Platform,
    http: bool,
}

const fn row(name: &'static str, platform: Platform) -> Row {
    Row { name, platform, http: false }
}

const fn http(name: &'static str, platform: Platform) -> Row {
    Row { name, platform, http: true }
}

/// IANA's registry "Processor Architecture Types" (RFC 5970 3.3), its rows at their numbers.
const TABLE: [Row; 42] = [
    row("x86 BIOS", Platform::Bios),
    row("NEC/PC98", Platform::Pc98),
    row("Itanium", Platform::ItaniumEfi),
    row("DEC Alpha", Platform::Alpha),
    row("Arc x86", Platform::ArcX86),
    row("Intel Lean Client", Platform::LeanClient),
    row("x86 UEFI", Platform::Ia32Efi),
    row("x64 UEFI", Platform::X64Efi),
    row("EFI Xscale", Platform::XscaleEfi),
    row("EBC", Platform::X64Efi),
    row("ARM 32-bit UEFI", Platform::Arm32Efi),
    row("ARM 64-bit UEFI", Platform::Arm64Efi),
    row("PowerPC Open Firmware", Platform::PowerpcOf),
    row("PowerPC ePAPR", Platform::PowerpcEpapr),
    row("POWER OPAL v3", Platform::Opal),
    http("x86 UEFI, HTTP", Platform::Ia32Efi),
    http("x64 UEFI, HTTP", Platform::X64Efi),
    http("EBC, HTTP", Platform::X64Efi),
    http("ARM 32-bit UEFI, HTTP", Platform::Arm32Efi),
    http("ARM 64-bit UEFI, HTTP", Platform::Arm64Efi),
    http("PC/AT BIOS, HTTP", Platform::Bios),
    row("ARM 32-bit U-Boot", Platform::Arm32Uboot),
    row("ARM 64-bit U-Boot", Platform::Arm64Uboot),
    http("ARM 32-bit U-Boot, HTTP", Platform::Arm32Uboot),
    http("ARM 64-bit U-Boot, HTTP", Platform::Arm64Uboot),
    row("RISC-V 32-bit UEFI", Platform::Riscv32Efi),
    http("RISC-V 32-bit UEFI, HTTP", Platform::Riscv32Efi),
    row("RISC-V 64-bit UEFI", Platform::Riscv64Efi),
    http("RISC-V 64-bit UEFI, HTTP", Platform::Riscv64Efi),
    row("RISC-V 128-bit UEFI", Platform::Riscv128Efi),
    http("RISC-V 128-bit UEFI, HTTP", Platform::Riscv128Efi),
    row("s390 Basic", Platform::S390Basic),
    row("s390 Extended", Platform::S390Extended),
    row("MIPS 32-bit UEFI", Platform::Mips32Efi),
    row("MIPS 64-bit UEFI", Platform::Mips64Efi),
    row("Sunway 32-bit UEFI", Platform::Sunway32Efi),
    row("Sunway 64-bit UEFI", Platform::Sunway64Efi),
    row("LoongArch 32-bit UEFI", Platform::Loong32Efi),
    http("LoongArch 32-bit UEFI, HTTP", Platform::Loong32Efi),
    row("LoongArch 64-bit UEFI", Platform::Loong64Efi),
    http("LoongArch 64-bit UEFI, HTTP", Platform::Loong64Efi),
    row("ARM rpiboot", Platform::RaspberryPi),
];

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
    /// A Raspberry Pi's own loader. Those in the field send 0.
    pub const RASPBERRY_PI: Self = Self(41);

    /// Every row of the registry, in its order.
    pub fn all() -> impl Iterator<Item = Self> {
        // 42 rows, so the number fits.
        (0..TABLE.len()).map(|number| Self(number as u16))
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.get(usize::from(self.0))
    }

    /// As the registry calls it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.name)
    }

    /// What its NBP must be built for; `None` of a number that the registry does not have.
    #[must_use]
    pub fn platform(self) -> Option<Platform> {
        self.row().map(|row| row.platform)
    }

    /// The processor architecture, where one is known. An x86 of 32 bits may be a 64-bit machine with a small firmware.
    #[must_use]
    pub fn arch(self) -> Option<Arch> {
        match self.platform()? {
            Platform::Bios | Platform::Ia32Efi | Platform::X64Efi => Some(Arch::X86_64),
            Platform::Arm64Efi | Platform::Arm64Uboot => Some(Arch::Aarch64),
            _ => None,
        }
    }

    /// The kind of firmware, where one is known.
    #[must_use]
    pub fn firmware(self) -> Option<Firmware> {
        match self.platform()? {
            Platform::Bios => Some(Firmware::Bios),
            Platform::Ia32Efi
            | Platform::X64Efi
            | Platform::ItaniumEfi
            | Platform::XscaleEfi
            | Platform::Arm32Efi
            | Platform::Arm64Efi
            | Platform::Riscv32Efi
            | Platform::Riscv64Efi
            | Platform::Riscv128Efi
            | Platform::Mips32Efi
            | Platform::Mips64Efi
            | Platform::Sunway32Efi
            | Platform::Sunway64Efi
            | Platform::Loong32Efi
            | Platform::Loong64Efi => Some(Firmware::Uefi),
            _ => None,
        }
    }

    /// Whether the firmware fetches its NBP over HTTP (UEFI specification 24.7).
    #[must_use]
    pub fn is_http(self) -> bool {
        self.row().is_some_and(|row| row.http)
    }

    /// What to do where there is no boot file for it, in one line.
    #[must_use]
    pub fn remedy(self) -> String {
        match self.row() {
            None => format!("architecture {} is not in IANA's registry", self.0),
            Some(row) => format!(
                "{} ({}) has no boot file here: name one in the Network, `netboot: {{nbp: {{{}: FILE}}}}`, and put it into `files:`",
                row.name,
                self.0,
                row.platform.name()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_row_of_the_registry_has_its_own_file_or_a_remedy() {
        let mut text = String::new();
        for arch in ClientArch::all() {
            let platform = arch.platform().unwrap();
            let http = if arch.is_http() { "http" } else { "tftp" };
            let nbp = platform.nbp().unwrap_or("-");
            let (arch_name, firmware) = (arch.arch().map(Arch::name), arch.firmware());
            writeln!(
                text,
                "{:>2} {:<29} {:<14} {http} {nbp:<15} {arch_name:?} {firmware:?}",
                arch.0,
                arch.name().unwrap(),
                platform.name()
            )
            .unwrap();
        }
        insta::assert_snapshot!(text);
        assert!(
            ClientArch::IA32_EFI.remedy().contains("ia32-efi: FILE"),
            "{}",
            ClientArch::IA32_EFI.remedy()
        );
        assert!(ClientArch(99).remedy().contains("99 is not in IANA's registry"));
    }
}
