//! disk-partition: a new table, and file systems on it.

use std::path::Path;

use gptman::{GPT, GPTPartitionEntry};
use uuid::Uuid;

use crate::{
    ActionError,
    disk::Device,
    format,
    layout::Planned,
    limits,
    metadata::Metadata,
    target::{self, Laid, TargetError, await_node},
};

/// Lays the selected disks out as the document says.
pub(super) async fn run(metadata: &Metadata) -> Result<String, ActionError> {
    let laid = target::laid_out(metadata)?;
    let mut done = Vec::new();
    for disk in laid {
        done.push(lay_out(disk).await?);
    }
    Ok(done.join("; "))
}

async fn lay_out(laid: Laid) -> Result<String, ActionError> {
    let Laid { disk, parts } = laid;
    let node = disk.node();
    let guid = Uuid::new_v4();
    let (blocking_node, blocking_parts) = (node.clone(), parts.clone());
    let sector_bytes =
        tokio::task::spawn_blocking(move || write_table(&blocking_node, &blocking_parts, guid)).await??;
    let mut texts = Vec::new();
    for part in &parts {
        let partition = await_node(&disk, part, sector_bytes)?;
        let mut text =
            format!("{} {} MiB", part.spec.id, ((part.last_lba + 1 - part.first_lba) * sector_bytes) >> 20);
        if let Some(kind) = part.format() {
            let made = format::format(&partition, kind, part.spec.label.as_deref()).await?;
            text += &format!(" {} {}", kind.name(), made.uuid);
        }
        texts.push(text);
    }
    Ok(format!("{} ({}): GPT {guid}: {}", disk.id, node.display(), texts.join(", ")))
}

/// Writes both copies of the table, reads them back, and has the kernel read them. Answers the sector's bytes.
fn write_table(node: &Path, parts: &[Planned], guid: Uuid) -> Result<u64, ActionError> {
    let mut device = Device::open(node)?;
    let sector_bytes = device.sector_bytes();
    // An old superblock must not show up in a new partition.
    for part in parts {
        let (start, end) = (part.first_lba * sector_bytes, (part.last_lba + 1) * sector_bytes);
        let edge = limits::WIPE_EDGE_BYTES.min(end - start);
        device.zero(start, edge)?;
        device.zero(end - edge, edge)?;
    }
    let fault = |source| TargetError::WriteTable { node: node.to_owned(), source };
    let mut gpt = GPT::new_from(device.file(), sector_bytes, guid.to_bytes_le()).map_err(fault)?;
    for part in parts {
        gpt[part.number] = entry(part, Uuid::new_v4().to_bytes_le());
    }
    GPT::write_protective_mbr_into(device.file(), sector_bytes).map_err(fault)?;
    gpt.write_into(device.file()).map_err(fault)?;
    device.flush()?;
    let unread = |source| TargetError::NoTable { node: node.to_owned(), source };
    let read = GPT::read_from(device.file(), sector_bytes).map_err(unread)?;
    // `read_from` falls back to the backup copy where the first one's checksum is wrong.
    if !read.is_primary() || read.header.disk_guid != guid.to_bytes_le() {
        let id = parts.first().map(|part| part.spec.id.clone()).unwrap_or_default();
        return Err(TargetError::Differs { node: node.to_owned(), number: 1, id }.into());
    }
    target::compare(node, &read, parts)?;
    device.reread_table()?;
    Ok(sector_bytes)
}

/// A partition as the table holds it.
pub(crate) fn entry(part: &Planned, guid: [u8; 16]) -> GPTPartitionEntry {
    GPTPartitionEntry {
        partition_type_guid: part.spec.kind.guid(),
        unique_partition_guid: guid,
        starting_lba: part.first_lba,
        ending_lba: part.last_lba,
        attribute_bits: 0,
        partition_name: part.spec.id.as_str().into(),
    }
}
