//! `localboot-x86_64.efi`: what a UEFI machine is given to boot its own disk. Firmware that came over the network
//! tries every other network protocol first when its boot program just ends (minutes), or opens its menu; this GRUB
//! image looks for the boot loader on the disk and starts it at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::run::capture;
use crate::workspace::Workspace;

/// The one place that UEFI names for a boot loader on a disk (UEFI 2.10, section 3.5.1.1).
const CONFIG: &str = "\
echo \"bootcode: starting the system on the disk of this machine\"
search --no-floppy --set=root --file /EFI/BOOT/BOOTX64.EFI
chainloader /EFI/BOOT/BOOTX64.EFI
boot
echo \"bootcode: no disk of this machine has /EFI/BOOT/BOOTX64.EFI\"
sleep 5
exit
";
const MODULES: &[&str] = &[
    "part_gpt",
    "part_msdos",
    "fat",
    "search",
    "search_fs_file",
    "chain",
    "boot",
    "echo",
    "sleep",
    "minicmd",
];
const GRUB: &str = "/usr/lib/grub/x86_64-efi";

/// Builds it into `target/osie`, from Debian's GRUB.
///
/// # Errors
/// When GRUB's tools are missing or refuse.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, TaskError> {
    let dir = workspace.osie();
    fs::create_dir_all(&dir).map_err(TaskError::file("making", &dir))?;
    let config = dir.join("localboot.cfg");
    fs::write(&config, CONFIG).map_err(TaskError::file("writing", &config))?;
    let (draft, image) = (dir.join("localboot-x86_64.efi.part"), dir.join("localboot-x86_64.efi"));
    let mut command = Command::new("grub-mkimage");
    command.args(["--format", "x86_64-efi", "--prefix", "/grub", "--directory"]).arg(Path::new(GRUB));
    command.arg("--config").arg(&config).arg("--output").arg(&draft).args(MODULES);
    let made = capture(&mut command).map(drop);
    let _ = fs::remove_file(&config);
    made?;
    fs::rename(&draft, &image).map_err(TaskError::file("writing", &image))?;
    Ok(image)
}
