use bootcode_tftp::http::ByteRange;

/// A range that is served lies within the file and holds a byte at least.
pub fn http_range(bytes: &[u8]) {
    let Some(range) = std::str::from_utf8(bytes).ok().and_then(ByteRange::parse) else { return };
    for len in [0, 1, 2, 1000, u64::from(u32::MAX), u64::MAX] {
        if let Ok(served) = range.of(len) {
            assert!(served.start < served.end && served.end <= len, "{served:?} of {len}");
        }
    }
}
