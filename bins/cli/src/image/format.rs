//! What an operating system's image is, by its first bytes; names of files say many things.

/// Bytes of an image's start that tell.
pub(super) const START_BYTES: usize = 0x8006;

/// Media types (IANA's, and shared-mime-info's where IANA has none), what people say, and where which bytes stand.
const FORMATS: [(&str, &str, usize, &[u8]); 10] = [
    ("application/zstd", "zstd", 0, b"\x28\xb5\x2f\xfd"),
    ("application/gzip", "gzip", 0, b"\x1f\x8b"),
    ("application/x-xz", "xz", 0, b"\xfd7zXZ\0"),
    ("application/x-bzip2", "bzip2", 0, b"BZh"),
    ("application/x-qemu-disk", "qcow2", 0, b"QFI\xfb"),
    ("application/vnd.squashfs", "squashfs", 0, b"hsqs"),
    ("application/x-tar", "tar", 257, b"ustar"),
    ("application/vnd.efi.iso", "iso", 0x8001, b"CD001"),
    ("application/vnd.efi.img", "raw", 512, b"EFI PART"),
    ("application/vnd.efi.img", "raw", 510, b"\x55\xaa"),
];
const UNKNOWN: (&str, &str) = ("application/octet-stream", "raw");

/// The media type of what begins so.
pub(super) fn media_type(start: &[u8]) -> &'static str {
    let is = |at: usize, magic: &[u8]| start.get(at..at + magic.len()) == Some(magic);
    FORMATS.iter().find(|(.., at, magic)| is(*at, magic)).map_or(UNKNOWN.0, |format| format.0)
}

/// What people call it.
pub(super) fn name(media_type: &str) -> &'static str {
    FORMATS.iter().find(|format| format.0 == media_type).map_or(UNKNOWN.1, |format| format.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_bytes() {
        for (media_type_, _, at, magic) in FORMATS {
            let mut start = vec![0; START_BYTES];
            start[at..at + magic.len()].copy_from_slice(magic);
            assert_eq!(media_type(&start), media_type_);
        }
        // An ISO that starts from disks, too, has a boot sector.
        let mut hybrid = vec![0; START_BYTES];
        hybrid[510..512].copy_from_slice(b"\x55\xaa");
        hybrid[0x8001..0x8006].copy_from_slice(b"CD001");
        assert_eq!(name(media_type(&hybrid)), "iso");
        for start in [&b""[..], b"\x28\xb5", b"hello"] {
            assert_eq!((media_type(start), name(media_type(start))), ("application/octet-stream", "raw"));
        }
    }
}
