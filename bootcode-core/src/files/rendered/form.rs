//! The forms that a decision is written in: which file is asked for, and what stands in it.

use crate::{arch::Arch, boot::Stage, document::LocalBoot, ipxe, loader, mac::MacAddr, timeline::Reason};

/// What a machine is told to boot, before it is written for the program that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// OSIE, for its workflow.
    Osie {
        /// Its Hardware's name.
        machine: String,
        arch: Arch,
        base_url: String,
        /// Where the script comes from.
        again: String,
        /// The kernel's.
        arguments: Vec<String>,
    },
    /// OSIE, which looks at a machine that nobody declared.
    Inventory { mac: MacAddr, base_url: String, again: String, arguments: Vec<String> },
    /// The script of its own document.
    Declared { text: String },
    /// A script on whatever server.
    Elsewhere { url: String },
    /// Its own disk.
    LocalDisk { how: LocalBoot },
}

impl Told {
    /// As the timeline says it.
    pub(super) const fn boots(&self) -> &'static str {
        match self {
            Self::Osie { .. } => "osie",
            Self::Inventory { .. } => "inventory",
            Self::Declared { .. } | Self::Elsewhere { .. } => "script",
            Self::LocalDisk { .. } => "local-disk",
        }
    }
}

/// The program that reads the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Ipxe,
    /// And U-Boot.
    Pxelinux,
    Grub,
    /// A Raspberry Pi's own loader.
    CommandLine,
}

/// A file of these, and whose it is: of that address, or of the machine that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) form: Form,
    pub(super) mac: Option<MacAddr>,
}

impl Asked {
    /// By its name. Boot loaders look in the directory that they were loaded from, whichever that is; the names hold an ARP hardware type
    /// before the address, 01 for Ethernet.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (directory, file) = name.rsplit_once('/').unwrap_or(("", name));
        let of = |form, mac| Some(Self { form, mac });
        let of_mac = |form, mac: &str| of(form, Some(mac.parse().ok()?));
        let parent = directory.rsplit('/').next().unwrap_or(directory);
        match file {
            "auto.ipxe" if directory.is_empty() => of(Form::Ipxe, None),
            "auto.ipxe" => of_mac(Form::Ipxe, directory),
            // It asks by its serial number, eight digits, or its address: `TFTP_PREFIX` in its EEPROM.
            "cmdline.txt" if is_serial(directory) => of(Form::CommandLine, None),
            "cmdline.txt" => of_mac(Form::CommandLine, directory),
            _ => match (file.strip_prefix("grub.cfg-01-"), file.strip_prefix("01-")) {
                (Some(mac), _) => of_mac(Form::Grub, mac),
                (None, Some(mac)) if parent == "pxelinux.cfg" => of_mac(Form::Pxelinux, mac),
                _ => None,
            },
        }
    }
}

fn is_serial(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Form {
    /// Who asks for it.
    pub(super) const fn stage(self) -> Stage {
        match self {
            Self::Ipxe => Stage::Ipxe,
            Self::Pxelinux | Self::Grub | Self::CommandLine => Stage::Loader,
        }
    }

    /// The file.
    ///
    /// # Errors
    /// [`Reason::IllegalRequest`] where a value cannot stand in it, [`Reason::LocalBoot`] and [`Reason::NotFound`] where it has no words for that.
    pub(super) fn write(self, told: &Told) -> Result<String, Reason> {
        let text = match (self, told) {
            (Self::Ipxe, told) => return in_ipxe(told),
            (_, Told::Declared { .. } | Told::Elsewhere { .. }) => return Err(Reason::NotFound),
            (Self::Pxelinux, Told::LocalDisk { .. }) => Ok(loader::pxelinux_local()),
            (Self::Grub, Told::LocalDisk { .. }) => Ok(loader::GRUB_LOCAL_DISK.to_owned()),
            (Self::CommandLine, Told::LocalDisk { .. }) => return Err(Reason::LocalBoot),
            (Self::Pxelinux, Told::Osie { machine, arch, arguments, .. }) => {
                loader::pxelinux(machine, *arch, arguments)
            }
            // It cannot tell architectures apart; U-Boot's are declared.
            (Self::Pxelinux, Told::Inventory { mac, arguments, .. }) => {
                loader::pxelinux(&mac.to_string(), Arch::X86_64, arguments)
            }
            (Self::Grub, Told::Osie { machine, arch, arguments, .. }) => {
                loader::grub(machine, Some(*arch), arguments)
            }
            (Self::Grub, Told::Inventory { mac, arguments, .. }) => {
                loader::grub(&mac.to_string(), None, arguments)
            }
            (Self::CommandLine, Told::Osie { arguments, .. } | Told::Inventory { arguments, .. }) => {
                loader::command_line(arguments)
            }
        };
        text.map_err(|_| Reason::IllegalRequest)
    }
}

fn in_ipxe(told: &Told) -> Result<String, Reason> {
    let text = match told {
        Told::Osie { machine, arch, base_url, again, arguments } => {
            ipxe::osie(base_url, arch.name(), machine, again, arguments)
        }
        Told::Inventory { mac, base_url, again, arguments } => {
            ipxe::inventory(base_url, &mac.to_string(), again, arguments)
        }
        Told::Declared { text } => return Ok(text.clone()),
        Told::Elsewhere { url } => ipxe::chain(url),
        Told::LocalDisk { how: LocalBoot::Sanboot } => return Ok(ipxe::sanboot()),
        Told::LocalDisk { .. } => return Ok(ipxe::exit()),
    };
    text.map_err(|_| Reason::IllegalRequest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_program_asks_and_for_which_machine() {
        let mac = Some(MacAddr([0x52, 0x54, 0, 0, 0, 1]));
        let asked = |form, mac| Some(Asked { form, mac });
        for (name, expected) in [
            ("auto.ipxe", asked(Form::Ipxe, None)),
            ("52:54:00:00:00:01/auto.ipxe", asked(Form::Ipxe, mac)),
            ("a/52:54:00:00:00:01/auto.ipxe", None),
            ("pxelinux.cfg/01-52-54-00-00-00-01", asked(Form::Pxelinux, mac)),
            ("a/b/pxelinux.cfg/01-52-54-00-00-00-01", asked(Form::Pxelinux, mac)),
            ("pxelinux.cfg/01-52-54-00-00-00-01/x", None),
            ("pxelinux.cfg/06-52-54-00-00-00-01", None),
            ("pxelinux.cfg/01-52-54-00-00-00", None),
            ("pxelinux.cfg/C0A8630B", None),
            ("pxelinux.cfg/default", None),
            ("01-52-54-00-00-00-01", None),
            ("grub.cfg-01-52-54-00-00-00-01", asked(Form::Grub, mac)),
            ("boot/grub/grub.cfg-01-52-54-00-00-00-01", asked(Form::Grub, mac)),
            ("grub/grub.cfg-01-52:54:00:00:00:01", asked(Form::Grub, mac)),
            ("grub/grub.cfg-C0A8630B", None),
            ("grub/grub.cfg", None),
            ("9ffefdef/cmdline.txt", asked(Form::CommandLine, None)),
            ("52-54-00-00-00-01/cmdline.txt", asked(Form::CommandLine, mac)),
            ("cmdline.txt", None),
            ("9ffefde/cmdline.txt", None),
            ("9ffefdeg/cmdline.txt", None),
            ("9ffefdef/config.txt", None),
        ] {
            assert_eq!(Asked::of(name), expected, "{name}");
        }
    }
}
