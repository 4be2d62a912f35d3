//! The disks that the kernel shows.

use std::{fs, io::Read as _, path::Path};

use crate::limits;

/// A disk as sysfs describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockDisk {
    /// `vda`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Serial number, as the disk says it.
    pub serial: Option<String>,
    /// World-wide name, in lower case without its prefix.
    pub wwn: Option<String>,
    /// Whether it turns.
    pub rotational: bool,
    /// Whether it is set read-only.
    pub read_only: bool,
    /// Where it hangs: the device's path below /sys.
    pub path: String,
}

/// The kernel's list cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("/sys/block cannot be read ({source}): does the container see sysfs?")]
pub struct InventoryError {
    #[from]
    source: std::io::Error,
}

/// All disks, in the order of their names.
///
/// # Errors
/// There is no sysfs.
pub fn inventory() -> Result<Vec<BlockDisk>, InventoryError> {
    let mut disks = Vec::new();
    for entry in fs::read_dir("/sys/block")?.take(limits::DISKS) {
        let entry = entry?;
        let base = entry.path();
        let text = |file: &str| read(&base.join(file));
        let bytes = text("size").and_then(|sectors| sectors.parse::<u64>().ok()).unwrap_or(0) * 512;
        if bytes == 0 {
            continue;
        }
        disks.push(BlockDisk {
            name: entry.file_name().to_string_lossy().into_owned(),
            bytes,
            serial: text("serial").or_else(|| text("device/serial")).or_else(|| vpd_serial(&base)),
            wwn: text("wwid").or_else(|| text("device/wwid")).map(|wwn| bare_wwn(&wwn)),
            rotational: text("queue/rotational").is_some_and(|flag| flag == "1"),
            read_only: text("ro").is_some_and(|flag| flag == "1"),
            path: base.canonicalize().map(|path| path.display().to_string()).unwrap_or_default(),
        });
    }
    disks.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(disks)
}

/// The name of the disk behind a node or a link to one.
#[must_use]
pub fn resolve(device: &str) -> Option<String> {
    Some(Path::new(device).canonicalize().ok()?.file_name()?.to_str()?.to_owned())
}

pub(super) fn bare_wwn(wwn: &str) -> String {
    let lower = wwn.trim().to_ascii_lowercase();
    let bare = ["naa.", "eui.", "0x", "t10."].iter().find_map(|prefix| lower.strip_prefix(prefix));
    bare.map(ToOwned::to_owned).unwrap_or(lower)
}

/// A line of sysfs; none is longer than a page.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// SCSI disks say their serial number in vital product data page 0x80, after four bytes of head (SPC-4 7.8.17).
fn vpd_serial(base: &Path) -> Option<String> {
    let mut page = Vec::new();
    fs::File::open(base.join("device/vpd_pg80")).ok()?.take(4096).read_to_end(&mut page).ok()?;
    Some(String::from_utf8_lossy(page.get(4..)?).trim().to_owned()).filter(|text| !text.is_empty())
}
