//! Disks that no action may write (I12): the kernel refuses writes to them before anything runs.

mod ioctl;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bootcode_core::workflow::WritableDisk;

use crate::hardware::{self, Roots};

/// Why a disk is not protected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// The disks cannot be listed.
    #[error("cannot list the machine's disks: {source}")]
    List {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A disk that is to be written is not there.
    #[error("{device}, which the workflow writes, is not a disk of this machine; its disks are {disks}")]
    Missing {
        /// Its node.
        device: String,
        /// What there is.
        disks: String,
    },
    /// The kernel refuses.
    #[error("cannot set {device} {mode}: {source}")]
    Set {
        /// The disk or partition.
        device: PathBuf,
        /// What it should become.
        mode: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The kernel accepted and did not do it.
    #[error("{device} was set {mode} and is not: its driver does not know how")]
    Ignored {
        /// The disk or partition.
        device: PathBuf,
        /// What it should be.
        mode: &'static str,
    },
}

/// What becomes of one disk and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskMode {
    /// Kernel names, the disk's first: `vda`, `vda1`.
    pub names: Vec<String>,
    /// Whether it may be written.
    pub writable: bool,
}

/// Sets every disk of this machine read-only but these, which become writable, and looks whether it is so.
///
/// # Errors
/// A disk is not what it should be: nothing may run.
pub fn protect_disks(roots: &Roots, writable: &[WritableDisk]) -> Result<(), ProtectError> {
    let disks = hardware::disk_names(roots).map_err(|source| ProtectError::List { source })?;
    let modes = plan(&disks, &resolved(roots, writable), |name| hardware::partitions(roots, name))?;
    for mode in &modes {
        for name in &mode.names {
            set(&roots.dev.join(name), !mode.writable)?;
        }
        tracing::info!(disk = %mode.names[0], writable = mode.writable, "disk protection set");
    }
    Ok(())
}

/// Which disk becomes what. Pure.
///
/// # Errors
/// A writable disk is not one of `disks`.
pub fn plan(
    disks: &[String],
    writable: &BTreeSet<String>,
    partitions: impl Fn(&str) -> Vec<String>,
) -> Result<Vec<DiskMode>, ProtectError> {
    if let Some(missing) = writable.iter().find(|name| !disks.contains(name)) {
        let disks = if disks.is_empty() { "none".to_owned() } else { disks.join(", ") };
        return Err(ProtectError::Missing { device: missing.clone(), disks });
    }
    Ok(disks
        .iter()
        .map(|disk| DiskMode {
            names: std::iter::once(disk.clone()).chain(partitions(disk)).collect(),
            writable: writable.contains(disk),
        })
        .collect())
}

/// Kernel names of the nodes, links followed.
fn resolved(roots: &Roots, writable: &[WritableDisk]) -> BTreeSet<String> {
    let name = |device: &str| {
        let relative = Path::new(device).strip_prefix("/dev").unwrap_or(Path::new(device));
        let path = roots.dev.join(relative);
        let path = fs::canonicalize(&path).unwrap_or(path);
        path.file_name().map_or_else(|| device.to_owned(), |name| name.to_string_lossy().into_owned())
    };
    writable.iter().map(|disk| name(&disk.device)).collect()
}

fn set(device: &Path, read_only: bool) -> Result<(), ProtectError> {
    let mode = if read_only { "read-only" } else { "writable" };
    let fault = |source: io::Error| ProtectError::Set { device: device.to_owned(), mode, source };
    let node = match File::open(device) {
        // A card reader without a card has nothing to protect.
        Err(source) if source.raw_os_error() == Some(nix::libc::ENOMEDIUM) => return Ok(()),
        opened => opened.map_err(fault)?,
    };
    if ioctl::is_read_only(&node).map_err(fault)? == read_only {
        return Ok(());
    }
    ioctl::set_read_only(&node, read_only).map_err(fault)?;
    if ioctl::is_read_only(&node).map_err(fault)? == read_only {
        Ok(())
    } else {
        Err(ProtectError::Ignored { device: device.to_owned(), mode })
    }
}

#[cfg(test)]
mod tests;
