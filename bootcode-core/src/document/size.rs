//! Sizes as people write them.

use std::ops::RangeInclusive;

/// Bytes of `512MiB`, `400GB`, `1TB`, `4096`; binary and decimal units, never negative, whole numbers only.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// The sizes that `400GB..1TB`, `..1TB`, `400GB..` or `400GB` mean; both ends belong to it.
#[must_use]
pub fn parse_size_range(text: &str) -> Option<RangeInclusive<u64>> {
    let end = |part: &str, absent: u64| match part.trim() {
        "" => Some(absent),
        part => parse_size(part),
    };
    let range = match text.split_once("..") {
        Some((first, last)) if first.trim().is_empty() && last.trim().is_empty() => return None,
        Some((first, last)) => end(first, 0)?..=end(last, u64::MAX)?,
        None => parse_size(text.trim()).map(|size| size..=size)?,
    };
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1MiB", Some(1 << 20)),
            ("10 GiB", Some(10 << 30)),
            ("4096", Some(4096)),
            ("1TB", Some(1_000_000_000_000)),
            ("1.5GiB", None),
            ("10G", None),
            ("-1MiB", None),
            ("", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        for (text, range) in [
            ("400GB..1TB", Some(400_000_000_000..=1_000_000_000_000)),
            ("..1TB", Some(0..=1_000_000_000_000)),
            ("400GB ..", Some(400_000_000_000..=u64::MAX)),
            ("1TB", Some(1_000_000_000_000..=1_000_000_000_000)),
            ("1TB..400GB", None),
            ("..", None),
        ] {
            assert_eq!(parse_size_range(text), range, "{text}");
        }
    }
}
