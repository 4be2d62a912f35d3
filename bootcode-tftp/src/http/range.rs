//! The header Range (RFC 9110 section 14).

use std::ops::Range;

use crate::limits;

/// What a Range header asks for: one range or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRanges(Vec<ByteRange>);

/// One range of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteRange {
    /// `first-last`, inclusive; without `last` to the end.
    From { first: u64, last: Option<u64> },
    /// `-len`: the last bytes.
    Suffix { len: u64 },
}

/// All ranges lie outside of the file: 416.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range lies outside of the file, which has {len} bytes")]
pub struct RangeError {
    /// The file's length.
    pub len: u64,
}

impl ByteRanges {
    /// Reads the header. `None` where it must be ignored, so that the whole file is sent: another unit, no valid syntax, or more than
    /// [`HTTP_RANGES`](limits::HTTP_RANGES) ranges (RFC 9110 14.2 allows it).
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, set) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let mut ranges = Vec::new();
        // A list may have empty elements (RFC 9110 5.6.1).
        for range in set.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            if ranges.len() == limits::HTTP_RANGES {
                return None;
            }
            ranges.push(ByteRange::parse(range)?);
        }
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// The bytes of a file of `len` bytes: those ranges that exist, in the order in which they were asked for. Where some overlap or touch
    /// each other they are joined, and all come in the file's order (RFC 9110 15.3.7.2): nothing is sent twice.
    ///
    /// # Errors
    /// [`RangeError`] where none of them exists.
    pub fn of(&self, len: u64) -> Result<Vec<Range<u64>>, RangeError> {
        let ranges: Vec<Range<u64>> = self.0.iter().filter_map(|range| range.of(len)).collect();
        if ranges.is_empty() {
            return Err(RangeError { len });
        }
        let mut sorted = ranges.clone();
        sorted.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Ok(if joined.len() == ranges.len() { ranges } else { joined })
    }
}

impl ByteRange {
    fn parse(range: &str) -> Option<Self> {
        let (first, last) = range.split_once('-')?;
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::Suffix { len: number(last)? }),
            (false, true) => Some(Self::From { first: number(first)?, last: None }),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// `None` where no byte of it exists.
    fn of(self, len: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From { first, last } => first..last.map_or(len, |last| last.saturating_add(1).min(len)),
            Self::Suffix { len: suffix } => len.saturating_sub(suffix)..len,
        };
        (range.start < range.end).then_some(range)
    }
}

fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init)] // a list of one range is meant
    fn ranges_are_those_of_the_standard() {
        let huge = "99999999999999999999999";
        let missing = || Some(Err(RangeError { len: 10 }));
        for (header, of_ten) in [
            ("bytes=0-4", Some(Ok(vec![0..5]))),
            ("bytes=4-", Some(Ok(vec![4..10]))),
            ("bytes=-3", Some(Ok(vec![7..10]))),
            ("bytes=-30", Some(Ok(vec![0..10]))),
            ("bytes=0-99", Some(Ok(vec![0..10]))),
            (&format!("bytes=0-{huge}"), Some(Ok(vec![0..10]))),
            ("BYTES=9-9", Some(Ok(vec![9..10]))),
            ("bytes=0-1, 3-4,,8-", Some(Ok(vec![0..2, 3..5, 8..10]))),
            ("bytes=8-,0-1", Some(Ok(vec![8..10, 0..2]))),
            ("bytes=8-,0-1,2-3", Some(Ok(vec![0..4, 8..10]))),
            ("bytes=3-8,1-5,2-2", Some(Ok(vec![1..9]))),
            ("bytes=0-1,10-", Some(Ok(vec![0..2]))),
            ("bytes=10-", missing()),
            ("bytes=10-,-0", missing()),
            ("bytes=-0", missing()),
            (&format!("bytes={huge}-"), missing()),
            ("bytes=4-0", None),
            ("bytes=0-1,4-0", None),
            ("bytes=-", None),
            ("bytes=", None),
            ("bytes=,", None),
            ("bytes=+1-2", None),
            ("bytes=a-b", None),
            ("lines=0-4", None),
            ("0-4", None),
        ] {
            assert_eq!(ByteRanges::parse(header).map(|ranges| ranges.of(10)), of_ten, "{header}");
        }
        let empty = ByteRanges::parse("bytes=0-").map(|ranges| ranges.of(0));
        assert_eq!(empty, Some(Err(RangeError { len: 0 })));
    }

    #[test]
    fn more_ranges_than_anybody_needs_are_answered_with_the_whole_file() {
        let many = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert!(ByteRanges::parse(&many(limits::HTTP_RANGES)).is_some());
        assert_eq!(ByteRanges::parse(&many(limits::HTTP_RANGES + 1)), None);
    }

    proptest! {
        #[test]
        fn ranges_never_leave_the_file_and_never_send_a_byte_twice(
            header in "bytes=[0-9]{0,22}-[0-9]{0,22}(,[0-9]{0,3}-[0-9]{0,3}){0,5}",
            len in prop_oneof![0..1000_u64, any::<u64>()],
        ) {
            if let Some(Ok(ranges)) = ByteRanges::parse(&header).map(|ranges| ranges.of(len)) {
                prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= len));
                for (at, one) in ranges.iter().enumerate() {
                    prop_assert!(ranges[..at].iter().all(|other| one.end <= other.start || other.end <= one.start));
                }
            }
        }
    }
}
