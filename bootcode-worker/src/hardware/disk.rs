//! Disks as the kernel shows them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bootcode_core::workflow::DiskReport;

use super::{Contents, Roots, blank::inspect, list, path::by_path, read};

/// Block devices that are not the machine's disks.
const NOT_DISKS: [&str; 8] = ["loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd"];

/// Kernel names of the machine's disks, in order; none without a medium.
///
/// # Errors
/// `/sys/block` cannot be read.
pub fn disk_names(roots: &Roots) -> io::Result<Vec<String>> {
    let block = roots.sys.join("block");
    // Where it cannot be read, "no disks" would be a dangerous answer.
    fs::read_dir(&block)?;
    let is_disk = |name: &String| {
        let sys = block.join(name);
        // One path of an NVMe disk with several has no node of its own (`nvme0c0n1`): it is reached through the disk's.
        let hidden = read(&sys.join("hidden")).as_deref() == Some("1");
        !NOT_DISKS.iter().any(|prefix| name.starts_with(prefix)) && !hidden && size_bytes(&sys) > 0
    };
    Ok(list(&block).into_iter().filter(is_disk).collect())
}

/// Kernel names of a disk's partitions, in order.
#[must_use]
pub fn partitions(roots: &Roots, disk: &str) -> Vec<String> {
    let dir = roots.sys.join("block").join(disk);
    list(&dir).into_iter().filter(|name| dir.join(name).join("partition").exists()).collect()
}

/// Looks at a disk: what it is and what is on it.
#[must_use]
pub fn inspect_disk(roots: &Roots, name: &str) -> DiskReport {
    let sys = roots.sys.join("block").join(name);
    let node = roots.dev.join(name);
    let size_bytes = size_bytes(&sys);
    let contents =
        File::open(&node).and_then(|mut file| inspect(&mut file, size_bytes)).unwrap_or_else(|error| {
            tracing::warn!(disk = name, %error, "cannot be read");
            // What nobody has seen must not pass as blank.
            Contents { blank: false, found: format!("unreadable ({error})"), table_id: None }
        });
    DiskReport {
        device: format!("/dev/{name}"),
        paths: other_paths(roots, name, &sys),
        wwn: wwn(&sys),
        serial: serial(&sys),
        size_bytes,
        kind: kind(name, &sys).to_owned(),
        blank: contents.blank,
        found: contents.found,
        table_id: contents.table_id,
    }
}

fn size_bytes(sys: &Path) -> u64 {
    // Always in units of 512 bytes, whatever the disk's sectors are.
    read(&sys.join("size")).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default().saturating_mul(512)
}

fn kind(name: &str, sys: &Path) -> &'static str {
    if name.starts_with("nvme") {
        "nvme"
    } else if read(&sys.join("queue/rotational")).as_deref() == Some("1") {
        "hdd"
    } else {
        "ssd"
    }
}

/// As udev writes it: `0x5000..` of SCSI and ATA, `eui.` and `uuid.` of NVMe.
fn wwn(sys: &Path) -> Option<String> {
    let id = ["wwid", "device/wwid"].iter().find_map(|name| read(&sys.join(name)))?;
    match id.split_once('.') {
        Some(("naa", hex)) => Some(format!("0x{hex}")),
        Some(("eui" | "uuid", _)) => Some(id),
        _ => None,
    }
}

fn serial(sys: &Path) -> Option<String> {
    ["serial", "device/serial"].iter().find_map(|name| read(&sys.join(name))).or_else(|| {
        // SCSI's unit serial number page: four bytes of head, then text (SPC-4 7.8.14).
        let page = fs::read(sys.join("device/vpd_pg80")).ok()?;
        let text = String::from_utf8_lossy(page.get(4..)?).trim_matches(['\0', ' ']).to_owned();
        (!text.is_empty()).then_some(text)
    })
}

/// What udev would have made, and what it did make.
fn other_paths(roots: &Roots, name: &str, sys: &Path) -> Vec<String> {
    let mut paths = fs::canonicalize(sys).map(|device| by_path(&device)).unwrap_or_default();
    for dir in ["disk/by-path", "disk/by-id"] {
        let dir = roots.dev.join(dir);
        for link in list(&dir) {
            let leads_here = fs::canonicalize(dir.join(&link)).is_ok_and(|target| target.ends_with(name));
            let path = PathBuf::from("/dev").join(dir.strip_prefix(&roots.dev).unwrap_or(&dir)).join(&link);
            let path = path.to_string_lossy().into_owned();
            if leads_here && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}
