//! What stands on a partition, told by its superblock.

use crate::metadata::Format;

/// Bytes from the start that [`probe`] looks at: swap's magic ends the first page.
pub(crate) const PROBE_BYTES: usize = 4096;

/// A file system or swap space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Its kind.
    pub format: Format,
    /// Its identity, in the form that fstab and GRUB take.
    pub uuid: String,
}

/// Reads the superblock out of a partition's first 4096 bytes.
#[must_use]
pub fn probe(head: &[u8]) -> Option<FileSystem> {
    let is = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let long = |at: usize| Some(uuid::Uuid::from_slice(head.get(at..at + 16)?).ok()?.to_string());
    let short = |at: usize| {
        let bytes: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
        let id = u32::from_le_bytes(bytes);
        Some(format!("{:04X}-{:04X}", id >> 16, id & 0xffff))
    };
    let (format, uuid) = if is(1080, &[0x53, 0xef]) {
        (Format::Ext4, long(1128)?)
    } else if is(4086, b"SWAPSPACE2") {
        (Format::Swap, long(1036)?)
    } else if is(510, &[0x55, 0xaa]) && is(82, b"FAT32   ") {
        (Format::Vfat, short(67)?)
    } else if is(510, &[0x55, 0xaa]) && (is(54, b"FAT16   ") || is(54, b"FAT12   ")) {
        (Format::Vfat, short(39)?)
    } else {
        return None;
    };
    Some(FileSystem { format, uuid })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Against the programs that make the file systems, and blkid as the judge.
    #[test]
    fn what_mkfs_made_is_recognised_with_its_uuid() {
        let dir = tempfile::tempdir().unwrap();
        for (program, arguments, format) in [
            ("mkfs.ext4", &["-q", "-F"][..], Format::Ext4),
            ("mkswap", &[], Format::Swap),
            ("mkfs.vfat", &["-F", "32"], Format::Vfat),
            ("mkfs.vfat", &["-F", "16"], Format::Vfat),
        ] {
            let image = dir.path().join("image");
            drop(std::fs::remove_file(&image));
            std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
            let sbin = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
            let run = |program: &str, arguments: &[&str]| {
                let output = Command::new(program).args(arguments).arg(&image).env("PATH", &sbin).output();
                output.unwrap_or_else(|fault| panic!("{program} is needed (`cargo xtask setup`): {fault}"))
            };
            assert!(run(program, arguments).status.success(), "{program}");
            let mut head = vec![0; PROBE_BYTES];
            std::io::Read::read_exact(&mut std::fs::File::open(&image).unwrap(), &mut head).unwrap();
            let found = probe(&head).unwrap();
            assert_eq!(found.format, format, "{program} {arguments:?}");
            let blkid = run("blkid", &["-p", "-o", "value", "-s", "UUID"]);
            assert_eq!(
                found.uuid,
                String::from_utf8(blkid.stdout).unwrap().trim(),
                "{program} {arguments:?}"
            );
        }
    }

    #[test]
    fn nothing_is_recognised_in_nothing() {
        assert_eq!(probe(&[]), None);
        assert_eq!(probe(&[0; PROBE_BYTES]), None);
        assert_eq!(probe(&[0xff; 600]), None);
    }
}
