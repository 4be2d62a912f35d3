//! What is on a disk image, seen from outside the machine.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::error::TaskError;
use crate::run::capture;

const SECTOR: u64 = 512;
/// UEFI 2.10, section 5.3.2: these many entries of 128 bytes at least.
const ENTRIES: u64 = 128;
const ENTRY_BYTES: u64 = 128;
/// The type of a Linux file system, 0FC63DAF-8483-4772-8E79-3D69D8477DE4, as it stands on disk.
const LINUX: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

/// The system on a disk image that nobody uses.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    /// The GPT's disk GUID, as hexadecimal bytes in the order of the disk.
    pub disk_guid: String,
    partition: String,
}

impl Installed {
    /// Finds its root file system; a journal that is open is replayed on the image.
    ///
    /// # Errors
    /// When there is no GPT with a Linux partition.
    pub(crate) fn open(image: &Path) -> Result<Self, TaskError> {
        let (disk_guid, offset) = table(image)?;
        let partition = format!("{}?offset={offset}", image.display());
        // e2fsck exits with 1 when it mended something, which replaying is.
        let mut fsck = Command::new("/usr/sbin/e2fsck");
        fsck.args(["-p", &partition]);
        let _ = capture(&mut fsck);
        Ok(Self { disk_guid, partition })
    }

    /// What a file holds; nothing where there is none.
    ///
    /// # Errors
    /// When the file system cannot be read.
    pub(crate) fn file(&self, path: &str) -> Result<String, TaskError> {
        let mut command = Command::new("/usr/sbin/debugfs");
        command.args(["-R", &format!("cat {path}"), &self.partition]);
        capture(&mut command)
    }
}

/// What tells one installation from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    disk_guid: String,
    machine_id: String,
}

impl Identity {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no machine id.
    pub(crate) fn of(installed: &Installed) -> Result<Self, TaskError> {
        let machine_id = installed.file("/etc/machine-id")?.trim().to_owned();
        let well_formed = machine_id.len() == 32 && machine_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if well_formed {
            return Ok(Self { disk_guid: installed.disk_guid.clone(), machine_id });
        }
        Err(TaskError::Check {
            check: "the installed system has a machine id",
            found: format!("/etc/machine-id holds {machine_id:?}"),
        })
    }
}

/// The GUID of the disk, and where its first Linux partition begins, in bytes.
fn table(image: &Path) -> Result<(String, u64), TaskError> {
    let file = File::open(image).map_err(TaskError::file("reading", image))?;
    let mut header = [0_u8; SECTOR as usize];
    file.read_exact_at(&mut header, SECTOR).map_err(TaskError::file("reading", image))?;
    let none = |found: &str| TaskError::Check {
        check: "the installed disk has a GPT with a Linux partition",
        found: found.to_owned(),
    };
    if !header.starts_with(b"EFI PART") {
        return Err(none("no GPT header"));
    }
    let guid = header[56..72].iter().map(|byte| format!("{byte:02x}")).collect();
    for index in 0..ENTRIES {
        let mut entry = [0_u8; ENTRY_BYTES as usize];
        let at = 2 * SECTOR + index * ENTRY_BYTES;
        file.read_exact_at(&mut entry, at).map_err(TaskError::file("reading", image))?;
        if entry.starts_with(&LINUX) {
            let mut first = [0_u8; 8];
            first.copy_from_slice(&entry[32..40]);
            return Ok((guid, u64::from_le_bytes(first).saturating_mul(SECTOR)));
        }
    }
    Err(none("no entry of that type"))
}

/// Copies an image, holes left as holes.
///
/// # Errors
/// When it does not go.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), TaskError> {
    capture(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn sha256(path: &Path) -> Result<String, TaskError> {
    let text = capture(Command::new("sha256sum").arg(path))?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guid_and_the_linux_partition_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let mut image = vec![0_u8; 64 * 1024];
        image[512..520].copy_from_slice(b"EFI PART");
        image[568..584].copy_from_slice(&[0xab; 16]);
        let entry = 1024 + 2 * 128;
        image[entry..entry + 16].copy_from_slice(&LINUX);
        image[entry + 32..entry + 40].copy_from_slice(&4096_u64.to_le_bytes());
        std::fs::write(&path, &image).unwrap();
        assert_eq!(table(&path).unwrap(), ("ab".repeat(16), 4096 * 512));
        image[512] = 0;
        std::fs::write(&path, &image).unwrap();
        assert!(table(&path).unwrap_err().to_string().contains("no GPT header"));
    }
}
