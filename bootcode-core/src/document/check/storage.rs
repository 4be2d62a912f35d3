//! Disks and their layout.

use std::collections::HashSet;

use super::Checker;
use crate::document::{
    Disk, Entry, HardwareSpec, Kind, Partition, PartitionTable, parse_size, parse_size_range,
};

const MATCHES: [&str; 5] = ["wwn", "serial", "type", "size", "path"];
const TYPES: [&str; 4] = ["bios-boot", "esp", "linux", "swap"];
/// What a table takes at both ends of a disk, with partitions that begin at whole MiB.
const TABLE_BYTES: u64 = 2 << 20;
const FORMATS: [&str; 3] = ["ext4", "vfat", "swap"];

/// Checks what the document says of storage; what its Profile says is checked there.
pub(super) fn check(checker: &mut Checker<'_>, entry: &Entry, spec: &HardwareSpec) {
    let Some(storage) = &spec.storage else { return };
    if !entry.writes(&["spec", "storage"]) {
        return;
    }
    let own_disks = entry.writes(&["spec", "storage", "disks"]);
    for (n, disk) in storage.disks.iter().enumerate().filter(|_| own_disks) {
        let path = format!("spec.storage.disks[{n}]");
        disk_faults(checker, entry, &path, disk);
        if storage.disks[..n].iter().any(|other| other.id == disk.id) {
            let message = format!("two disks are called `{}`", disk.id);
            checker.fault(entry, &format!("{path}.id"), message);
        }
    }
    if !entry.writes(&["spec", "storage", "partitions"]) {
        return;
    }
    // A Profile may leave the disks to its machines.
    let all_known = entry.document.kind == Kind::Hardware || own_disks;
    let (mut ids, mut mounts) = (HashSet::new(), HashSet::new());
    for (n, table) in storage.partitions.iter().enumerate() {
        let path = format!("spec.storage.partitions[{n}]");
        match storage.disks.iter().find(|disk| disk.id == table.disk) {
            Some(disk) if disk.keep => {
                let message = format!("disk `{}` says `keep: true`, so it gets no layout", disk.id);
                checker.fault(entry, &format!("{path}.disk"), message);
            }
            None if all_known => {
                let known: Vec<&str> = storage.disks.iter().map(|disk| disk.id.as_str()).collect();
                let message =
                    format!("there is no disk `{}` above; known are {}", table.disk, known.join(", "));
                checker.fault(entry, &format!("{path}.disk"), message);
            }
            _ => {}
        }
        if storage.partitions[..n].iter().any(|other| other.disk == table.disk) {
            checker.fault(entry, &path, format_args!("disk `{}` has a second layout", table.disk));
        }
        layout(checker, entry, &path, table);
        if let Some(disk) = storage.disks.iter().find(|disk| disk.id == table.disk) {
            room(checker, entry, &path, table, disk);
        }
        for (m, partition) in table.layout.iter().enumerate() {
            let path = format!("{path}.layout[{m}]");
            if !ids.insert(partition.id.as_str()) {
                let message = format!("two partitions are called `{}`", partition.id);
                checker.fault(entry, &format!("{path}.id"), message);
            }
            if let Some(mount) = &partition.mount
                && !mounts.insert(mount.as_str())
            {
                checker.fault(entry, &format!("{path}.mount"), format_args!("{mount} is mounted twice"));
            }
        }
    }
}

fn disk_faults(checker: &mut Checker<'_>, entry: &Entry, path: &str, disk: &Disk) {
    if disk.id.is_empty() {
        checker.fault(entry, path, "a disk needs an `id`");
    }
    match (&disk.device, disk.matching.is_empty()) {
        (Some(_), false) => checker.fault(entry, path, "a disk has a `device` or a `match`, not both"),
        (None, true) => checker.fault(entry, path, "a disk needs a `device`, as in /dev/sda, or a `match`"),
        (Some(device), true)
            if !device.starts_with("/dev/") || device.split('/').any(|part| part == "..") =>
        {
            let message = format!("`{device}` is no device: write its path, as in /dev/sda");
            checker.fault(entry, &format!("{path}.device"), message);
        }
        _ => {}
    }
    for (key, value) in &disk.matching {
        let at = format!("{path}.match.{key}");
        if !MATCHES.contains(&key.as_str()) {
            let message = format!("a disk cannot be matched by `{key}`; known are {}", MATCHES.join(", "));
            checker.fault(entry, &at, message);
        } else if value.trim().is_empty() {
            checker.fault(entry, &at, "no disk is matched by nothing");
        } else if key == "size" && parse_size_range(value).is_none() {
            checker.fault(entry, &at, format_args!("`{value}` is no size: write 960GB or 400GB..1TB"));
        } else if key == "path" && !value.starts_with(['/', '*']) {
            checker.fault(
                entry,
                &at,
                format_args!("`{value}` is no path: write it from the root, as in /dev/disk/by-path/*-ata-1"),
            );
        }
    }
}

fn layout(checker: &mut Checker<'_>, entry: &Entry, path: &str, table: &PartitionTable) {
    if table.table != "gpt" {
        checker.fault(
            entry,
            &format!("{path}.table"),
            format_args!("`{}` is no partition table: write gpt", table.table),
        );
    }
    if table.layout.is_empty() {
        checker.fault(entry, &format!("{path}.layout"), "a layout has at least one partition");
    }
    let last = table.layout.len().saturating_sub(1);
    for (n, partition) in table.layout.iter().enumerate() {
        let path = format!("{path}.layout[{n}]");
        if partition.size == "rest" {
            if n != last {
                checker.fault(entry, &format!("{path}.size"), "only the last partition takes the `rest`");
            }
        } else if parse_size(&partition.size).is_none_or(|bytes| bytes < 1 << 20) {
            let message =
                format!("`{}` is no size: write 512MiB, 10GiB .. (at least 1MiB), or rest", partition.size);
            checker.fault(entry, &format!("{path}.size"), message);
        }
        partition_faults(checker, entry, &path, partition);
    }
}

/// Whether the partitions fit on the largest disk that the match lets in.
fn room(checker: &mut Checker<'_>, entry: &Entry, path: &str, table: &PartitionTable, disk: &Disk) {
    let largest = disk.matching.get("size").and_then(|size| parse_size_range(size)).map(|range| *range.end());
    let Some(largest) = largest.filter(|largest| *largest < u64::MAX) else { return };
    let sizes = table.layout.iter().filter_map(|partition| parse_size(&partition.size));
    let sum = sizes.fold(TABLE_BYTES, u64::saturating_add);
    if sum > largest {
        let message = format!(
            "the partitions need {sum} bytes, their table included, and disk `{}` has at most {largest}",
            disk.id
        );
        checker.fault(entry, &format!("{path}.layout"), message);
    }
}

fn partition_faults(checker: &mut Checker<'_>, entry: &Entry, path: &str, partition: &Partition) {
    if partition.id.is_empty() {
        checker.fault(entry, path, "a partition needs an `id`");
    }
    let one_of = |what: &str, value: &str, known: &[&str]| {
        (!known.contains(&value)).then(|| format!("`{value}` is no {what}; known are {}", known.join(", ")))
    };
    if let Some(message) = one_of("type of partition", &partition.kind, &TYPES) {
        checker.fault(entry, &format!("{path}.type"), message);
    }
    if let Some(format) = &partition.format
        && let Some(message) = one_of("format", format, &FORMATS)
    {
        checker.fault(entry, &format!("{path}.format"), message);
    }
    if let Some(mount) = &partition.mount {
        if !mount.starts_with('/') || mount.split('/').any(|part| matches!(part, "." | "..")) {
            checker.fault(entry, &format!("{path}.mount"), format_args!("`{mount}` is no absolute path"));
        }
        if partition.format.is_none() || partition.format.as_deref() == Some("swap") {
            let message = "what is mounted needs a `format` with files: ext4 or vfat";
            checker.fault(entry, &format!("{path}.mount"), message);
        }
    }
}
