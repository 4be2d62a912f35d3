//! install-grub: the boot loader, for each firmware that the layout has a place for.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{
    file,
    grub_config::{Boot, defaults, grub_cfg, is_safe, kernels},
    root_fs::{INCOMPLETE, RECORD},
};
use crate::{
    ActionError,
    format::superblock,
    metadata::{Firmware, Kind, Metadata},
    mount::{BASE, Mounted},
    run::run as run_tool,
    target::{self, Volume},
};

/// Why the system would not boot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrubError {
    /// The files are not all there.
    #[error("the root file system is not completely installed: run install-root-fs before this action")]
    Incomplete,
    /// The layout has no place for this firmware's boot loader.
    #[error(
        "this machine boots by {firmware}, but its layout has no {needed} partition: add one to `storage.partitions`"
    )]
    NoPlace {
        /// `BIOS` or `UEFI`.
        firmware: &'static str,
        /// The type that is missing.
        needed: &'static str,
    },
    /// There is no kernel.
    #[error("the installed system has no /boot/vmlinuz-*: its image needs a kernel")]
    NoKernel,
    /// A kernel argument that would break the menu.
    #[error("`kernelArgs` holds {argument:?}: an argument is printable ASCII on one line")]
    Argument {
        /// The argument.
        argument: String,
    },
    /// A file that should be there is not.
    #[error("{} is not there as grub-install should have left it: {wrong}", path.display())]
    Missing {
        /// The file or device.
        path: PathBuf,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// The file system of `/` or `/boot` cannot be named.
    #[error("{} has no file system that GRUB can search for", node.display())]
    NoUuid {
        /// The partition.
        node: PathBuf,
    },
}

/// Installs GRUB and its menu.
pub(super) async fn run(metadata: &Metadata) -> Result<String, ActionError> {
    let arguments = metadata.os.as_ref().map(|os| os.kernel_args.clone()).unwrap_or_default();
    if let Some(argument) = arguments.iter().find(|argument| !is_safe(argument)) {
        return Err(GrubError::Argument { argument: argument.clone() }.into());
    }
    let volumes = target::volumes(metadata)?;
    let firmware = metadata.firmware.unwrap_or_else(running_firmware);
    let of = |kind: Kind| volumes.iter().find(|volume| volume.part.spec.kind == kind);
    let (bios, esp) = (of(Kind::BiosBoot), of(Kind::Esp));
    match firmware {
        Firmware::Bios if bios.is_none() => {
            return Err(GrubError::NoPlace { firmware: "BIOS", needed: "bios-boot" }.into());
        }
        Firmware::Uefi if esp.is_none() => {
            return Err(GrubError::NoPlace { firmware: "UEFI", needed: "esp" }.into());
        }
        _ => {}
    }
    let root_uuid = uuid_of(&volumes, "/")?;
    let separate = volumes.iter().any(|volume| volume.part.spec.mount.as_deref() == Some("/boot"));
    let boot_uuid = if separate { uuid_of(&volumes, "/boot")? } else { root_uuid.clone() };

    let mounted = Mounted::layout(&volumes, true)?;
    if file::exists(INCOMPLETE)? || !file::exists(RECORD)? {
        return Err(GrubError::Incomplete.into());
    }
    let kernels = kernels(&names_in("/boot")?);
    let newest = kernels.first().ok_or(GrubError::NoKernel)?.version.clone();
    let mut done = Vec::new();
    if let Some(bios) = bios {
        install_bios(&bios.disk).await?;
        done.push(format!("BIOS on {}", bios.disk.display()));
    }
    if let Some(esp) = esp {
        let place = esp.part.spec.mount.as_deref().unwrap_or("/boot/efi");
        install_uefi(place).await?;
        done.push(format!("UEFI in {}", esp.node.display()));
    }
    let prefix = if separate { "" } else { "/boot" };
    let boot = Boot {
        boot_uuid: &boot_uuid,
        prefix,
        root_uuid: &root_uuid,
        kernels: &kernels,
        arguments: &arguments,
    };
    file::write("/boot/grub/grub.cfg", &grub_cfg(&boot), 0o600)?;
    file::write("/etc/default/grub.d/50-bootcode.cfg", &defaults(&arguments), 0o644)?;
    tokio::task::spawn_blocking(move || mounted.finish()).await??;
    if let Some(bios) = bios {
        check_boot_sector(bios)?;
    }
    Ok(format!("GRUB for {}; starts Linux {newest} with root=UUID={root_uuid}", done.join(" and ")))
}

/// What the running system was started by.
fn running_firmware() -> Firmware {
    if Path::new("/sys/firmware/efi").exists() { Firmware::Uefi } else { Firmware::Bios }
}

fn uuid_of(volumes: &[Volume], place: &str) -> Result<String, ActionError> {
    let volume = volumes.iter().find(|volume| volume.part.spec.mount.as_deref() == Some(place));
    let volume = volume.ok_or(target::TargetError::NoRoot)?;
    let found = superblock(&volume.node)?.ok_or_else(|| GrubError::NoUuid { node: volume.node.clone() })?;
    Ok(found.uuid)
}

async fn install_bios(disk: &Path) -> Result<(), ActionError> {
    let boot = format!("--boot-directory={BASE}/boot");
    let disk = disk.display().to_string();
    run_tool("grub-install", &["--target=i386-pc", "--no-floppy", &boot, &disk]).await?;
    for (name, least) in [("core.img", 8 << 10), ("normal.mod", 1 << 10), ("boot.img", 512)] {
        expect_file(&format!("/boot/grub/i386-pc/{name}"), least)?;
    }
    Ok(())
}

async fn install_uefi(place: &str) -> Result<(), ActionError> {
    let boot = format!("--boot-directory={BASE}/boot");
    let efi = format!("--efi-directory={BASE}{}", place.trim_end_matches('/'));
    // Removable: the firmware's own list may be read-only, full or lost; every UEFI looks at this path.
    run_tool("grub-install", &["--target=x86_64-efi", "--removable", "--no-nvram", &boot, &efi]).await?;
    expect_file("/boot/grub/x86_64-efi/normal.mod", 1 << 10)?;
    let loader = format!("{}/EFI/BOOT/BOOTX64.EFI", place.trim_end_matches('/'));
    expect_file(&loader, 64 << 10)?;
    let path = file::in_target(&loader)?;
    let mut magic = [0; 2];
    let read = fs::File::open(&path).and_then(|mut file| file.read_exact(&mut magic));
    read.map_err(|source| ActionError::File { path: path.clone(), doing: "reading it back", source })?;
    if magic != *b"MZ" {
        return Err(GrubError::Missing { path, wrong: "it is not an EFI program" }.into());
    }
    Ok(())
}

fn expect_file(name: &str, least: u64) -> Result<(), ActionError> {
    let path = file::in_target(name)?;
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() && meta.len() >= least => Ok(()),
        Ok(_) => Err(GrubError::Missing { path, wrong: "it is too short" }.into()),
        Err(_) => Err(GrubError::Missing { path, wrong: "no such file" }.into()),
    }
}

/// The first sector has code, and so has the partition that it loads.
fn check_boot_sector(bios: &Volume) -> Result<(), ActionError> {
    for node in [&bios.disk, &bios.node] {
        let mut device = crate::disk::Device::open(node)?;
        let head = device.head(440)?;
        if head.iter().all(|byte| *byte == 0) {
            return Err(GrubError::Missing { path: node.clone(), wrong: "its first sector is empty" }.into());
        }
    }
    Ok(())
}

fn names_in(directory: &str) -> Result<Vec<String>, ActionError> {
    let path = file::in_target(directory)?;
    let fault = |source| ActionError::File { path: path.clone(), doing: "listing it", source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(fault)? {
        names.push(entry.map_err(fault)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
