use bootcode_tftp::http::ByteRanges;

/// What is served lies within the file and holds a byte at least; several ranges hold no byte twice.
pub fn http_range(bytes: &[u8]) {
    let Some(ranges) = std::str::from_utf8(bytes).ok().and_then(ByteRanges::parse) else { return };
    for len in [0, 1, 2, 1000, u64::from(u32::MAX), u64::MAX] {
        let Ok(mut served) = ranges.of(len) else { continue };
        assert!(
            served.iter().all(|range| range.start < range.end && range.end <= len),
            "{served:?} of {len}"
        );
        served.sort_unstable_by_key(|range| range.start);
        assert!(served.windows(2).all(|two| two[0].end <= two[1].start), "{served:?} of {len}");
    }
}
