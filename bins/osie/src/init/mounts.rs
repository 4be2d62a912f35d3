//! The file systems of the kernel, where every program expects them.

use std::fs;
use std::path::Path;

use nix::mount::MsFlags;

use super::console::say;
use super::error::InitError;
use crate::limits::RUN_SIZE;

const EFI: &str = "/sys/firmware/efi";
const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";

/// Mounts all that workers and containers need.
///
/// # Errors
/// The first mount that failed.
pub(super) fn mount_all() -> Result<(), InitError> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let data = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount("proc", "/proc", plain, "")?;
    mount("sysfs", "/sys", plain, "")?;
    mount("devtmpfs", "/dev", MsFlags::MS_NOSUID, "mode=0755")?;
    mount("devpts", "/dev/pts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666")?;
    mount("tmpfs", "/dev/shm", data, "mode=1777,size=10%")?;
    mount("tmpfs", "/run", data, &format!("mode=0755,size={RUN_SIZE}"))?;
    mount("cgroup2", "/sys/fs/cgroup", plain, "")
}

/// Whether UEFI firmware started this kernel.
pub(super) fn booted_by_uefi() -> bool {
    Path::new(EFI).exists()
}

/// Mounts the firmware's variables, which GRUB's installer writes; says so where that fails, since a machine
/// can be installed without.
pub(super) fn mount_efi_variables() {
    if booted_by_uefi() && fs::read_dir(EFI_VARIABLES).is_ok() {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if let Err(error) = mount("efivarfs", EFI_VARIABLES, flags, "") {
            say(format_args!("{error}; boot entries cannot be written"));
        }
    }
}

/// Mounts a file system of `kind` on `path`, which is made when it is missing.
pub(super) fn mount(kind: &'static str, path: &str, flags: MsFlags, options: &str) -> Result<(), InitError> {
    if !Path::new(path).exists() {
        fs::create_dir_all(path).map_err(InitError::file("make", path))?;
    }
    nix::mount::mount(Some(kind), path, Some(kind), flags, Some(options)).map_err(|source| InitError::Mount {
        kind,
        path: path.into(),
        source,
    })
}
