//! disk-wipe: nothing on the selected disks is recognised as anything any more.

use gptman::GPT;

use crate::{
    ActionError,
    disk::{Device, Selected},
    limits,
    metadata::Metadata,
    target,
};

/// Wipes the selected disks and reads the wiped places back.
pub(super) fn run(metadata: &Metadata) -> Result<String, ActionError> {
    let disks = target::selected(metadata.storage()?)?;
    // All are opened before the first is written: one that is in use stops the action with nothing lost.
    let opened: Result<Vec<_>, _> =
        disks.iter().map(|disk| Ok::<_, ActionError>((disk, Device::open(&disk.node())?))).collect();
    let mut done = Vec::new();
    for (disk, mut device) in opened? {
        done.push(wipe(disk, &mut device)?);
    }
    Ok(done.join("; "))
}

fn wipe(disk: &Selected, device: &mut Device) -> Result<String, ActionError> {
    let edge = limits::WIPE_EDGE_BYTES;
    let mut places = vec![(0, edge), (device.bytes().saturating_sub(edge), edge)];
    for (start, bytes) in old_partitions(device) {
        places.push((start, edge.min(bytes)));
        places.push((start + bytes.saturating_sub(edge), edge.min(bytes)));
    }
    // Discarded bytes may read as anything, so the places are zeroed after it.
    let discarded = device.discard_all();
    for &(start, bytes) in &places {
        device.zero(start, bytes)?;
    }
    device.flush()?;
    for &(start, bytes) in &places {
        device.expect_zero(start, bytes)?;
    }
    device.reread_table()?;
    let how = if discarded { "discarded and zeroed at" } else { "zeroed at" };
    Ok(format!("{} ({}, {} bytes) {how} {} places", disk.id, disk.node().display(), disk.bytes, places.len()))
}

/// Start and length of the partitions of an old table, in bytes: their superblocks would show through a new table that
/// happens to lie alike.
fn old_partitions(device: &mut Device) -> Vec<(u64, u64)> {
    let sector = device.sector_bytes();
    let from_gpt = GPT::find_from(device.file()).map(|gpt| {
        let used = gpt.iter().filter(|(_, entry)| entry.is_used());
        used.map(|(_, entry)| (entry.starting_lba, entry.ending_lba)).collect::<Vec<_>>()
    });
    let lbas = match from_gpt {
        Ok(lbas) => lbas,
        Err(_) => device.head(512).map(|head| mbr_partitions(&head)).unwrap_or_default(),
    };
    let in_bytes = |(first, last): (u64, u64)| {
        let start = first.saturating_mul(sector);
        let end = last.saturating_add(1).saturating_mul(sector).min(device.bytes());
        (start < end).then(|| (start, end - start))
    };
    lbas.into_iter().take(limits::PARTITIONS).filter_map(in_bytes).collect()
}

/// First and last sectors of the four primary partitions of an MBR.
fn mbr_partitions(head: &[u8]) -> Vec<(u64, u64)> {
    if head.get(510..512) != Some(&[0x55, 0xaa]) {
        return Vec::new();
    }
    let entries = head.get(446..510).unwrap_or_default().chunks_exact(16);
    let place = |entry: &[u8]| {
        let number = |at: usize| {
            let bytes: [u8; 4] = entry.get(at..at + 4)?.try_into().ok()?;
            Some(u64::from(u32::from_le_bytes(bytes)))
        };
        let (first, sectors) = (number(8)?, number(12)?);
        (sectors > 0).then(|| (first, first + sectors - 1))
    };
    entries.filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_an_mbr_are_found() {
        let mut head = vec![0; 512];
        head[510..].copy_from_slice(&[0x55, 0xaa]);
        head[446 + 8..446 + 16].copy_from_slice(&[0, 8, 0, 0, 0, 0, 1, 0]);
        head[478 + 8..478 + 16].copy_from_slice(&[0xff; 8]);
        let last = u64::from(u32::MAX);
        assert_eq!(mbr_partitions(&head), [(2048, 2048 + 65_536 - 1), (last, 2 * last - 1)]);
        head[511] = 0;
        assert_eq!(mbr_partitions(&head), []);
        assert_eq!(mbr_partitions(&[]), []);
    }
}
