//! The header Range (RFC 9110 section 14).

use std::ops::Range;

/// What a Range header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`, inclusive; without `last` to the end.
    From {
        /// The first byte.
        first: u64,
        /// The last byte, if it was named.
        last: Option<u64>,
    },
    /// `-len`: the last bytes.
    Suffix {
        /// How many.
        len: u64,
    },
}

/// The range lies outside of the file: 416.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range lies outside of the file, which has {len} bytes")]
pub struct RangeError {
    /// The file's length.
    pub len: u64,
}

impl ByteRange {
    /// Reads the header. `None` where it must be ignored: another unit, no valid syntax, or several ranges, which are answered with
    /// the whole file (RFC 9110 14.2 allows it).
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, set) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
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

    /// The bytes of a file of `len` bytes.
    ///
    /// # Errors
    /// [`RangeError`] where none of them exists.
    pub fn of(self, len: u64) -> Result<Range<u64>, RangeError> {
        let range = match self {
            Self::From { first, last } => first..last.map_or(len, |last| last.saturating_add(1).min(len)),
            Self::Suffix { len: suffix } => len.saturating_sub(suffix)..len,
        };
        if range.start < range.end { Ok(range) } else { Err(RangeError { len }) }
    }
}

/// Digits only; a number too large for us is beyond every file.
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
    fn ranges_are_those_of_the_standard() {
        let huge = "99999999999999999999999";
        for (header, of_ten) in [
            ("bytes=0-4", Some(Ok(0..5))),
            ("bytes=4-", Some(Ok(4..10))),
            ("bytes=-3", Some(Ok(7..10))),
            ("bytes=-30", Some(Ok(0..10))),
            ("bytes=0-99", Some(Ok(0..10))),
            (&format!("bytes=0-{huge}"), Some(Ok(0..10))),
            ("BYTES=9-9", Some(Ok(9..10))),
            ("bytes=10-", Some(Err(RangeError { len: 10 }))),
            ("bytes=-0", Some(Err(RangeError { len: 10 }))),
            (&format!("bytes={huge}-"), Some(Err(RangeError { len: 10 }))),
            ("bytes=4-0", None),
            ("bytes=-", None),
            ("bytes=0-1,3-4", None),
            ("bytes=+1-2", None),
            ("bytes=a-b", None),
            ("lines=0-4", None),
            ("0-4", None),
        ] {
            assert_eq!(ByteRange::parse(header).map(|range| range.of(10)), of_ten, "{header}");
        }
        assert_eq!(ByteRange::parse("bytes=0-").map(|range| range.of(0)), Some(Err(RangeError { len: 0 })));
    }

    proptest! {
        #[test]
        fn a_range_never_leaves_the_file(header in "bytes=[0-9]{0,22}-[0-9]{0,22}", len: u64) {
            if let Some(Ok(range)) = ByteRange::parse(&header).map(|range| range.of(len)) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }
}
