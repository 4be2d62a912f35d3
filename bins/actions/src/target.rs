//! The selected disks of this machine, and the partitions that disk-partition made on them.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use gptman::GPT;

use crate::{
    ActionError,
    disk::{self, Device, Selected},
    layout::{Planned, plan},
    limits,
    metadata::{Kind, Metadata, Storage, Table},
};

/// The disk does not hold what the layout says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Another table than GPT.
    #[error(
        "disk `{disk}`: `table: {table}` is not supported by this action, use `table: gpt` (BIOS machines boot it by a bios-boot partition)"
    )]
    Table {
        /// The disk's id.
        disk: String,
        /// What the document says.
        table: String,
    },
    /// A layout for a disk that is not selected.
    #[error("`storage.partitions` lays out disk `{disk}`, which is not among `storage.disks`, or is kept")]
    UnknownDisk {
        /// The disk's id.
        disk: String,
    },
    /// Two layouts for one disk.
    #[error("`storage.partitions` lays out disk `{disk}` twice")]
    DiskTwice {
        /// The disk's id.
        disk: String,
    },
    /// Nothing is laid out.
    #[error("the document lays out no disk (`storage.partitions`)")]
    NoLayout,
    /// No table.
    #[error("{} has no readable GPT ({source}): disk-partition must run before this action", node.display())]
    NoTable {
        /// The disk's node.
        node: PathBuf,
        /// The cause.
        #[source]
        source: gptman::Error,
    },
    /// The GPT could not be written.
    #[error("{}: writing its GPT failed: {source}", node.display())]
    WriteTable {
        /// The disk's node.
        node: PathBuf,
        /// The cause.
        #[source]
        source: gptman::Error,
    },
    /// Another table than the layout's.
    #[error("partition {number} of {} is not `{id}` as the layout has it: run disk-partition again", node.display())]
    Differs {
        /// The disk's node.
        node: PathBuf,
        /// The partition.
        number: u32,
        /// Its id in the layout.
        id: String,
    },
    /// The kernel does not show a partition.
    #[error("{} did not appear within {waited:?} as the layout has it: does the container see the machine's /dev (`volumes: /dev:/dev`), and does the kernel read GPT?", node.display())]
    NoNode {
        /// The partition's node.
        node: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// No partition for `/`.
    #[error("the layout has no partition with `mount: /`")]
    NoRoot,
}

/// A disk with its layout.
#[derive(Debug, Clone)]
pub(crate) struct Laid {
    pub(crate) disk: Selected,
    pub(crate) parts: Vec<Planned>,
}

/// A partition that exists.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) disk: PathBuf,
    pub(crate) node: PathBuf,
    pub(crate) part: Planned,
}

/// The disks that this machine's document selects.
pub(crate) fn selected(storage: &Storage) -> Result<Vec<Selected>, ActionError> {
    Ok(disk::select(&storage.disks, &disk::inventory()?, disk::resolve)?)
}

/// The selected disks that are laid out, each with the places of its partitions.
pub(crate) fn laid_out(metadata: &Metadata) -> Result<Vec<Laid>, ActionError> {
    let storage = metadata.storage()?;
    let disks = selected(storage)?;
    let mut laid: Vec<Laid> = Vec::new();
    for Table { disk: id, table, layout } in &storage.partitions {
        if table != "gpt" {
            return Err(TargetError::Table { disk: id.clone(), table: table.clone() }.into());
        }
        let disk = disks.iter().find(|disk| disk.id == *id);
        let disk = disk.ok_or_else(|| TargetError::UnknownDisk { disk: id.clone() })?;
        if laid.iter().any(|other| other.disk == *disk) {
            return Err(TargetError::DiskTwice { disk: id.clone() }.into());
        }
        let sector_bytes = Device::open(&disk.node())?.sector_bytes();
        laid.push(Laid { disk: disk.clone(), parts: plan(layout, disk.bytes, sector_bytes)? });
    }
    if laid.is_empty() { Err(TargetError::NoLayout.into()) } else { Ok(laid) }
}

/// The partitions of all laid-out disks, each compared with the table that stands on its disk.
pub(crate) fn volumes(metadata: &Metadata) -> Result<Vec<Volume>, ActionError> {
    let mut volumes = Vec::new();
    for Laid { disk, parts } in laid_out(metadata)? {
        let node = disk.node();
        let mut device = Device::open(&node)?;
        let gpt = GPT::find_from(device.file())
            .map_err(|source| TargetError::NoTable { node: node.clone(), source })?;
        compare(&node, &gpt, &parts)?;
        drop(device);
        for part in parts {
            let sector_bytes = gpt.sector_size;
            volumes.push(Volume { node: await_node(&disk, &part, sector_bytes)?, disk: node.clone(), part });
        }
    }
    Ok(volumes)
}

/// Fails where the table is not the layout's.
pub(crate) fn compare(node: &Path, gpt: &GPT, parts: &[Planned]) -> Result<(), TargetError> {
    for part in parts {
        let found = gpt.iter().find(|(number, _)| *number == part.number).map(|(_, entry)| entry);
        let same = found.is_some_and(|entry| {
            entry.partition_type_guid == part.spec.kind.guid()
                && entry.partition_name.as_str() == part.spec.id
                && (entry.starting_lba, entry.ending_lba) == (part.first_lba, part.last_lba)
        });
        if !same {
            let id = part.spec.id.clone();
            return Err(TargetError::Differs { node: node.to_owned(), number: part.number, id });
        }
    }
    Ok(())
}

/// Waits until the kernel shows the partition, with the place that the table gives it.
pub(crate) fn await_node(disk: &Selected, part: &Planned, sector_bytes: u64) -> Result<PathBuf, TargetError> {
    let name = partition_name(&disk.name, part.number);
    let node = Path::new("/dev").join(&name);
    let base = Path::new("/sys/class/block").join(&name);
    // sysfs counts in sectors of 512 bytes, whatever the disk's are.
    let sectors = |lba: u64| lba * (sector_bytes / 512);
    let begin = Instant::now();
    loop {
        let number = |file: &str| fs::read_to_string(base.join(file)).ok()?.trim().parse::<u64>().ok();
        let placed = number("start") == Some(sectors(part.first_lba))
            && number("size") == Some(sectors(part.last_lba + 1 - part.first_lba));
        let kernels = fs::read_to_string(base.join("dev")).unwrap_or_default();
        let shown = fs::metadata(&node).ok().filter(|meta| meta.file_type().is_block_device());
        let same = shown.is_some_and(|meta| {
            let (major, minor) = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
            kernels.trim() == format!("{major}:{minor}")
        });
        if placed && same {
            return Ok(node);
        }
        if begin.elapsed() > limits::NODES {
            return Err(TargetError::NoNode { node, waited: limits::NODES });
        }
        sleep(Duration::from_millis(50));
    }
}

/// `vda1`, `nvme0n1p1`: a `p` between two digits, as the kernel does it.
fn partition_name(disk: &str, number: u32) -> String {
    let infix = if disk.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    format!("{disk}{infix}{number}")
}

impl Kind {
    /// Its type in a GPT, in the table's byte order (UEFI 5.3.3; Discoverable Partitions Specification).
    pub(crate) const fn guid(self) -> [u8; 16] {
        let number = match self {
            Self::BiosBoot => 0x2168_6148_6449_6e6f_744e_6565_6445_4649,
            Self::Esp => 0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b,
            Self::Linux => 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4,
            Self::Swap => 0x0657_fd6d_a4ab_43c4_84e5_0933_c84b_4f4f,
        };
        uuid::Uuid::from_u128(number).to_bytes_le()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_as_the_kernel_names_them() {
        for (disk, name) in
            [("vda", "vda2"), ("sdaa", "sdaa2"), ("nvme0n1", "nvme0n1p2"), ("mmcblk0", "mmcblk0p2")]
        {
            assert_eq!(partition_name(disk, 2), name);
        }
    }

    #[test]
    fn a_table_that_differs_from_the_layout_is_noticed() {
        let layout = r#"[{"id": "bios", "size": "1MiB", "type": "bios-boot"}, {"id": "root", "size": "rest", "type": "linux"}]"#;
        let parts = plan(&serde_json::from_str::<Vec<_>>(layout).unwrap(), 64 << 20, 512).unwrap();
        let mut disk = std::io::Cursor::new(vec![0; 64 << 20]);
        let mut gpt = GPT::new_from(&mut disk, 512, [7; 16]).unwrap();
        let node = Path::new("/dev/vda");
        assert!(matches!(compare(node, &gpt, &parts), Err(TargetError::Differs { number: 1, .. })));
        for part in &parts {
            gpt[part.number] = crate::programs::entry(part, [part.number as u8; 16]);
        }
        gpt.write_into(&mut disk).unwrap();
        let mut read = GPT::find_from(&mut disk).unwrap();
        assert!(compare(node, &read, &parts).is_ok());
        read[2].ending_lba -= 1;
        assert!(matches!(compare(node, &read, &parts), Err(TargetError::Differs { number: 2, .. })));
    }
}
