//! Boot loaders other than the server's iPXE: the files that they are made of, and what brings the machine to them.

use std::fs;
use std::path::{Path, PathBuf};

use super::dir::LabDir;
use super::network::SERVER;
use super::plan::Loader;
use crate::error::TaskError;

/// Debian's GRUB for the network, signed: every module that it may use is in it.
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed";
const PXELINUX: [&str; 2] = ["/usr/lib/PXELINUX/pxelinux.0", "/usr/lib/syslinux/modules/bios/ldlinux.c32"];
/// iPXE as a kernel. The ROM of QEMU's card is iPXE too, which the server sends to its own script; this one plays a ROM that loads the file
/// that it was told to.
pub(crate) const ROM: &str = "/usr/lib/ipxe/ipxe.lkrn";

impl Loader {
    /// The Hardware's field that has firmware load it, a line of YAML.
    pub(crate) const fn nbp(self) -> Option<&'static str> {
        match self {
            Self::Ipxe | Self::Pxelinux => None,
            Self::Grub => Some("  netboot: {nbp: grubnetx64.efi}\n"),
        }
    }

    /// Puts its files where the server serves files from.
    ///
    /// # Errors
    /// When one cannot be copied.
    pub(crate) fn serve(self, dir: &LabDir) -> Result<(), TaskError> {
        let copy = |from: &str, name: &str| {
            let to = dir.path("files").join(name);
            fs::copy(from, &to).map_err(TaskError::file("copying", Path::new(from))).map(drop)
        };
        match self {
            Self::Ipxe => Ok(()),
            Self::Pxelinux => {
                let name = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
                PXELINUX.into_iter().try_for_each(|path| copy(path, name(path)))
            }
            Self::Grub => copy(GRUB, "grubnetx64.efi"),
        }
    }

    /// The script of [`ROM`], where that is what the machine boots.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn rom_script(self, dir: &LabDir) -> Result<Option<PathBuf>, TaskError> {
        if self != Self::Pxelinux {
            return Ok(None);
        }
        // pxelinux looks for its files where DHCP's answer says that it came from.
        let told = format!("set net0/next-server {SERVER}\nset net0/filename pxelinux.0");
        let text = format!(
            "#!ipxe\n:again\ndhcp || goto again\n{told}\nchain tftp://{SERVER}/pxelinux.0 ||\nexit\n"
        );
        dir.write("rom.ipxe", &text)?;
        Ok(Some(dir.path("rom.ipxe")))
    }
}
