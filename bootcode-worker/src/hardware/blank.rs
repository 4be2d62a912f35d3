//! What is on a disk: nothing, or what its bytes say. A pure function over a reader.

use std::io::{self, Read, Seek, SeekFrom};

const MIB: u64 = 1 << 20;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// First and last MiB zero, no partition table, no known signature.
    pub blank: bool,
    /// `gpt`, `dos`, `ext4` ..; `data` where the bytes say nothing; empty where it is blank.
    pub found: String,
    /// The GPT's disk GUID, or the MBR's signature in hexadecimal digits.
    pub table_id: Option<String>,
}

/// Looks at a disk of `size` bytes.
///
/// # Errors
/// It cannot be read.
pub fn inspect(disk: &mut (impl Read + Seek), size: u64) -> io::Result<Contents> {
    let head = read_at(disk, 0, MIB.min(size))?;
    let tail_at = size.saturating_sub(MIB);
    let tail = read_at(disk, tail_at, MIB.min(size))?;
    let guid = gpt(&head).or_else(|| gpt_backup(&tail));
    let is_gpt = guid.is_some();
    let mbr = mbr(&head).filter(|_| !is_gpt);
    let signature = known(&head).or_else(|| known_at_end(&tail, tail_at, size));
    let signature = match signature {
        None => far(disk, size)?,
        signature => signature,
    };
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let data = !zero(&head) || !zero(&tail);
    let found = if is_gpt {
        "gpt"
    } else if mbr.is_some() {
        "dos"
    } else if let Some(name) = signature {
        name
    } else if data {
        "data"
    } else {
        ""
    };
    Ok(Contents { blank: found.is_empty(), found: found.to_owned(), table_id: guid.or(mbr) })
}

struct Signature {
    at: usize,
    magic: &'static [u8],
    name: &'static str,
}

const fn at(at: usize, magic: &'static [u8], name: &'static str) -> Signature {
    Signature { at, magic, name }
}

/// Signatures in the first MiB, by their own documentation; the more telling ones first.
const KNOWN: [Signature; 47] = [
    at(0, b"LUKS\xba\xbe", "luks"),
    at(0x4000, b"SKUL\xba\xbe", "luks"),
    at(0x18, b"LVM2 001", "lvm"),
    at(0x218, b"LVM2 001", "lvm"),
    at(0x418, b"LVM2 001", "lvm"),
    at(0x618, b"LVM2 001", "lvm"),
    at(0, b"\xfc\x4e\x2b\xa9", "md"),
    at(4096, b"\xfc\x4e\x2b\xa9", "md"),
    at(4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcache"),
    at(0, b"bluestore block device\n", "ceph"),
    at(3, b"-FVE-FS-", "bitlocker"),
    at(0, b"XFSB", "xfs"),
    at(0x1_0040, b"_BHRfS_M", "btrfs"),
    at(4086, b"SWAPSPACE2", "swap"),
    at(4086, b"SWAP-SPACE", "swap"),
    at(8182, b"SWAPSPACE2", "swap"),
    at(16374, b"SWAPSPACE2", "swap"),
    at(65526, b"SWAPSPACE2", "swap"),
    at(128 << 10, b"\x0c\xb1\xba\x00\x00\x00\x00\x00", "zfs"),
    at(128 << 10, b"\x00\x00\x00\x00\x00\xba\xb1\x0c", "zfs"),
    at(384 << 10, b"\x0c\xb1\xba\x00\x00\x00\x00\x00", "zfs"),
    at(0x8001, b"CD001", "iso9660"),
    at(0x8001, b"BEA01", "udf"),
    at(0x8001, b"NSR0", "udf"),
    at(3, b"NTFS    ", "ntfs"),
    at(3, b"EXFAT   ", "exfat"),
    at(0x52, b"FAT32   ", "vfat"),
    at(0x36, b"FAT12   ", "vfat"),
    at(0x36, b"FAT16   ", "vfat"),
    at(0, b"hsqs", "squashfs"),
    at(1024, b"\xe2\xe1\xf5\xe0", "erofs"),
    at(1024, b"\x10\x20\xf5\xf2", "f2fs"),
    at(1024, b"H+", "hfsplus"),
    at(1024, b"HX", "hfsplus"),
    at(1024, b"BD", "hfs"),
    at(32, b"NXSB", "apfs"),
    at(0x8000, b"JFS1", "jfs"),
    at(0x1_0034, b"ReIsEr", "reiserfs"),
    at(0x2034, b"ReIsEr", "reiserfs"),
    at(0x1_0000, b"\x01\x16\x19\x70", "gfs2"),
    at(1024, b"OCFSV2", "ocfs2"),
    at(2048, b"OCFSV2", "ocfs2"),
    at(4096, b"OCFSV2", "ocfs2"),
    at(8192, b"OCFSV2", "ocfs2"),
    at(1024 + 6, b"\x34\x34", "nilfs2"),
    at(0x218, b"\x97\xf8\xae\x7f", "drbd"),
    at(0x2_5c5c, b"\x54\x19\x01\x19", "ufs"),
];

fn known(head: &[u8]) -> Option<&'static str> {
    let holds = |signature: &&Signature| {
        head.get(signature.at..signature.at + signature.magic.len())
            .is_some_and(|bytes| bytes == signature.magic)
    };
    ext(head).or_else(|| KNOWN.iter().find(holds).map(|signature| signature.name))
}

/// Extended file systems share a magic number; their features tell them apart.
fn ext(head: &[u8]) -> Option<&'static str> {
    let word = |at: usize| Some(u32::from_le_bytes(head.get(1024 + at..1024 + at + 4)?.try_into().ok()?));
    if head.get(1024 + 0x38..1024 + 0x3a)? != [0x53, 0xef] {
        return None;
    }
    const JOURNAL: u32 = 0x4;
    const JOURNAL_DEVICE: u32 = 0x8;
    const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
    let (compat, incompat) = (word(0x5c)?, word(0x60)?);
    Some(if incompat & JOURNAL_DEVICE != 0 {
        "jbd"
    } else if incompat & !EXT3_INCOMPAT != 0 {
        "ext4"
    } else if compat & JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    })
}

/// Members of arrays whose superblock stands at the end.
fn known_at_end(tail: &[u8], tail_at: u64, size: u64) -> Option<&'static str> {
    let holds = |position: u64, magic: &[u8]| {
        let at = usize::try_from(position.checked_sub(tail_at)?).ok()?;
        tail.get(at..at + magic.len()).is_some_and(|bytes| bytes == magic).then_some(())
    };
    const MD: &[u8] = b"\xfc\x4e\x2b\xa9";
    let sectors = size / 512;
    let md_10 = sectors.checked_sub(16).map(|sector| (sector & !7) * 512);
    let md_090 = (size & !0xffff).checked_sub(0x1_0000);
    let imsm = size.checked_sub(1024);
    let ddf = size.checked_sub(512);
    [
        (md_10, MD, "md"),
        (md_090, MD, "md"),
        (imsm, b"Intel Raid ISM Cfg Sig. ", "isw"),
        (ddf, b"\xde\x11\xde\x11", "ddf"),
        (ddf, b"\x11\xde\x11\xde", "ddf"),
    ]
    .into_iter()
    .find_map(|(position, magic, name)| holds(position?, magic).map(|()| name))
}

/// Signatures behind the first MiB.
fn far(disk: &mut (impl Read + Seek), size: u64) -> io::Result<Option<&'static str>> {
    const FAR: [(u64, &[u8], &str); 3] = [
        (MIB, b"\x0d\xd0\x01\xc0", "vmfs"),
        (2 * MIB, b"\x5e\xf1\xab\x2f", "vmfs"),
        (64 * MIB + 0x40, b"_BHRfS_M", "btrfs"),
    ];
    for (position, magic, name) in FAR {
        if position + magic.len() as u64 <= size && read_at(disk, position, magic.len() as u64)? == magic {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The disk GUID of a GPT (UEFI 2.10, 5.3.2), for sectors of 512 and 4096 bytes.
fn gpt(head: &[u8]) -> Option<String> {
    [512, 4096].into_iter().find_map(|sector| guid(head.get(sector..sector + 92)?))
}

/// The same from the copy in the last sector.
fn gpt_backup(tail: &[u8]) -> Option<String> {
    [512, 4096].into_iter().find_map(|sector| {
        let at = tail.len().checked_sub(sector)?;
        guid(tail.get(at..at + 92)?)
    })
}

fn guid(header: &[u8]) -> Option<String> {
    if header.get(..8)? != b"EFI PART" {
        return None;
    }
    let bytes = header.get(56..72)?;
    let hex =
        |bytes: &mut dyn Iterator<Item = &u8>| bytes.map(|byte| format!("{byte:02x}")).collect::<String>();
    // The first three fields are little-endian.
    Some(format!(
        "{}-{}-{}-{}-{}",
        hex(&mut bytes[..4].iter().rev()),
        hex(&mut bytes[4..6].iter().rev()),
        hex(&mut bytes[6..8].iter().rev()),
        hex(&mut bytes[8..10].iter()),
        hex(&mut bytes[10..].iter())
    ))
}

/// The signature of an MBR that holds a partition.
fn mbr(head: &[u8]) -> Option<String> {
    if head.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    // A boot sector of FAT or NTFS has the same two bytes and code where the entries would be.
    let entries: Vec<&[u8]> = head.get(446..510)?.chunks(16).collect();
    let sound = entries.iter().all(|entry| matches!(entry[0], 0 | 0x80));
    let used = entries.iter().any(|entry| entry[4] != 0 && entry[12..16] != [0; 4]);
    let id = u32::from_le_bytes(head.get(440..444)?.try_into().ok()?);
    (sound && used).then(|| format!("{id:08x}"))
}

fn read_at(disk: &mut (impl Read + Seek), position: u64, length: u64) -> io::Result<Vec<u8>> {
    disk.seek(SeekFrom::Start(position))?;
    let mut bytes = Vec::new();
    disk.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the disk ends before its size"))
    }
}

#[cfg(test)]
mod tests;
