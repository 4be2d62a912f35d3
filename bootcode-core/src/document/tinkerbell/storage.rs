//! Disks and their layout: `disks`, and `metadata.instance.storage` as the field's `rootio` action reads it.

use serde_json::{Map, Value, json};

use super::{
    reading::Reading,
    types::{Filesystem, Hardware, Mount, Partition, StorageDisk},
};

/// Of a partition's size.
const SECTOR_BYTES: i64 = 512;
const AT: &str = "spec.metadata.instance.storage";

pub(super) fn storage(theirs: &Hardware, reading: &mut Reading<'_>) -> Option<Value> {
    let instance = theirs.metadata.as_ref().and_then(|metadata| metadata.instance.as_ref());
    let layout = instance.and_then(|instance| instance.storage.as_ref());
    let mut disks: Vec<(String, Value)> = Vec::new();
    let selected = theirs.disks.iter().flatten().enumerate();
    let selected = selected.map(|(n, disk)| (format!("spec.disks[{n}]"), disk.device.as_deref()));
    let laid_out = layout.iter().flat_map(|layout| layout.disks.iter().flatten()).enumerate();
    let named = laid_out.clone().map(|(n, disk)| (format!("{AT}.disks[{n}]"), disk.device.as_deref()));
    for (place, device) in selected.chain(named) {
        let Some(device) = device.filter(|device| !device.is_empty()) else {
            reading.warn(&place, "a disk without a `device` is left out");
            continue;
        };
        if disks.iter().any(|(known, _)| known == device) {
            continue;
        }
        let ours = format!("spec.storage.disks[{}]", disks.len());
        reading.paths.add(format!("{ours}.device"), format!("{place}.device"));
        reading.paths.add(ours, place);
        let id = id_of(device, &disks);
        disks.push((device.to_owned(), json!({"id": id, "device": device})));
    }
    let mut tables = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let mounts: Vec<(usize, &Mount)> = layout
        .iter()
        .flat_map(|layout| layout.filesystems.iter().flatten())
        .enumerate()
        .filter_map(|(n, Filesystem { mount })| Some((n, mount.as_ref()?)))
        .collect();
    for (n, disk) in laid_out {
        let known = disks.iter().find(|(device, _)| disk.device.as_ref() == Some(device));
        let Some(id) = known.map(|(_, value)| value["id"].clone()) else { continue };
        let at = format!("{AT}.disks[{n}]");
        if let Some(layout) = table(disk, &at, tables.len(), &mounts, &mut ids, reading) {
            reading.paths.add(format!("spec.storage.partitions[{}]", tables.len()), at);
            tables.push(json!({"disk": id, "table": "gpt", "layout": layout}));
        }
    }
    let mut storage = Map::new();
    if !disks.is_empty() {
        storage.insert("disks".to_owned(), disks.into_iter().map(|(_, disk)| disk).collect());
    }
    if !tables.is_empty() {
        storage.insert("partitions".to_owned(), tables.into());
    }
    (!storage.is_empty()).then(|| storage.into())
}

/// The last part of the device's path, which is how people speak of a disk.
fn id_of(device: &str, disks: &[(String, Value)]) -> String {
    let name = device.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(device);
    let taken = |id: &str| disks.iter().any(|(_, disk)| disk["id"] == id);
    if taken(name) { format!("{name}-{}", disks.len()) } else { name.to_owned() }
}

/// The layout of a disk; `None`, with a warning, where it is none that can be made here.
fn table(
    disk: &StorageDisk,
    at: &str,
    index: usize,
    mounts: &[(usize, &Mount)],
    ids: &mut Vec<String>,
    reading: &mut Reading<'_>,
) -> Option<Vec<Value>> {
    let partitions = disk.partitions.as_ref().filter(|partitions| !partitions.is_empty())?;
    let mut layout = Vec::new();
    for (n, partition) in partitions.iter().enumerate() {
        let path = format!("{at}.partitions[{n}]");
        if partition.number.is_some_and(|number| usize::try_from(number).ok() != Some(n + 1)) {
            reading.warn(
                &format!("{path}.number"),
                "partitions are numbered in their order, from 1: the whole layout is left out",
            );
            return None;
        }
        let size = match partition.size.unwrap_or(0) {
            0 => "rest".to_owned(),
            sectors => match sectors.checked_mul(SECTOR_BYTES).filter(|bytes| *bytes > 0) {
                Some(bytes) => bytes.to_string(),
                None => {
                    reading
                        .fault(&format!("{path}.size"), format_args!("`{sectors}` is no number of sectors"));
                    return None;
                }
            },
        };
        let id = partition_id(partition, n, ids);
        ids.push(id.clone());
        let mut ours = json!({"id": id, "size": size, "type": kind(partition)});
        file_system(&mut ours, disk, n + 1, mounts, reading);
        reading
            .paths
            .add(format!("spec.storage.partitions[{index}].layout[{n}].size"), format!("{path}.size"));
        reading.paths.add(format!("spec.storage.partitions[{index}].layout[{n}]"), path);
        layout.push(ours);
    }
    Some(layout)
}

fn partition_id(partition: &Partition, n: usize, ids: &[String]) -> String {
    let label = partition.label.as_deref().unwrap_or_default().to_ascii_lowercase();
    let taken = |id: &String| ids.contains(id);
    match label {
        label if label.is_empty() || taken(&label) => format!("p{}-{}", n + 1, ids.len()),
        label => label,
    }
}

/// By the label, as the field's action does.
fn kind(partition: &Partition) -> &'static str {
    match partition.label.as_deref().unwrap_or_default() {
        "BIOS" => "bios-boot",
        "EFI" => "esp",
        "SWAP" => "swap",
        _ => "linux",
    }
}

/// What a file system's entry says of a partition, which it names by its node.
fn file_system(
    ours: &mut Value,
    disk: &StorageDisk,
    number: usize,
    mounts: &[(usize, &Mount)],
    reading: &mut Reading<'_>,
) {
    let device = disk.device.as_deref().unwrap_or_default();
    let separator = if device.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    let nodes = [format!("{device}{separator}{number}"), format!("{device}-part{number}")];
    let is_here = |mount: &Mount| mount.device.as_ref().is_some_and(|node| nodes.contains(node));
    let Some((n, mount)) = mounts.iter().find(|(_, mount)| is_here(mount)) else { return };
    let at = format!("{AT}.filesystems[{n}].mount");
    let format = match mount.format.as_deref().unwrap_or_default() {
        "" => return,
        "fat32" | "fat" => "vfat",
        known @ ("ext4" | "vfat" | "swap") => known,
        other => {
            let message = format!(
                "`{other}` is not made here: ext4, vfat and swap are; the partition gets no file system"
            );
            return reading.warn(&format!("{at}.format"), message);
        }
    };
    ours["format"] = format.into();
    if let Some(point) = mount.point.as_deref().filter(|point| point.starts_with('/') && format != "swap") {
        ours["mount"] = point.into();
    }
    let options = mount.create.as_ref().and_then(|create| create.options.as_deref()).unwrap_or_default();
    match options {
        [] => {}
        [flag, label] if flag == "-L" || flag == "-n" => ours["label"] = label.as_str().into(),
        _ => reading.warn(
            &format!("{at}.create.options"),
            "options of mkfs are not passed on, but for a label (`-L`)",
        ),
    }
}
