//! What this machine is: the inventory that rules are asked about before anything is written.

mod blank;
mod disk;
mod path;
mod smbios;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use bootcode_core::{
    limits::INVENTORY_DISKS,
    workflow::{DiskReport, Inventory},
};

pub use self::{
    blank::{Contents, inspect},
    disk::{disk_names, inspect_disk, partitions},
};
use crate::limits;

/// Where the kernel shows itself: other directories in tests.
#[derive(Debug, Clone)]
pub struct Roots {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into(), proc: "/proc".into() }
    }
}

/// Reads the whole inventory. What cannot be known is left out; a disk that cannot be read is reported as not blank.
///
/// # Errors
/// The disks cannot be listed.
pub fn inventory(roots: &Roots) -> io::Result<Inventory> {
    let mut names = disk_names(roots)?;
    if names.len() > INVENTORY_DISKS {
        tracing::warn!(found = names.len(), reported = INVENTORY_DISKS, "more disks than can be reported");
        names.truncate(INVENTORY_DISKS);
    }
    let disks: Vec<DiskReport> = names.iter().map(|name| inspect_disk(roots, name)).collect();
    Ok(Inventory {
        arch: nix::sys::utsname::uname()
            .map(|uname| uname.machine().to_string_lossy().into_owned())
            .unwrap_or_else(|_| std::env::consts::ARCH.to_owned()),
        uefi: roots.sys.join("firmware/efi").is_dir(),
        serial: smbios::serial(roots),
        uuid: smbios::uuid(roots),
        memory_bytes: memory_bytes(&roots.proc.join("meminfo")),
        disks,
    })
}

fn memory_bytes(meminfo: &Path) -> u64 {
    let text = read(meminfo).unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib =
        total.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// An attribute's text, trimmed; `None` where there is none.
fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limits::ATTRIBUTE_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Entries of a directory by name; none where there is no directory.
fn list(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
