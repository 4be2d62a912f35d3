//! Sizes as people write them.

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

/// The first and last size of `400GB..1TB`; one size alone means itself.
#[must_use]
pub fn parse_size_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (parse_size(first.trim())?, parse_size(last.trim())?),
        None => (parse_size(text)?, parse_size(text)?),
    };
    (first <= last).then_some((first, last))
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
        assert_eq!(parse_size_range("400GB..1TB"), Some((400_000_000_000, 1_000_000_000_000)));
        assert_eq!(parse_size_range("1TB..400GB"), None);
    }
}
