//! A size as people write it.

use std::str::FromStr;

/// `512MiB` or `rest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Bytes(u64),
    /// What the others leave.
    Rest,
}

/// What is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size: a whole number with KiB, MiB, GiB, TiB, kB, MB, GB or TB, or `rest`")]
pub struct SizeParseError {
    /// What was given.
    pub text: String,
}

impl FromStr for Size {
    type Err = SizeParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "rest" {
            return Ok(Self::Rest);
        }
        let fault = || SizeParseError { text: text.to_owned() };
        let end = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(fault)?;
        let (number, unit) = text.split_at(end);
        let unit: u64 = match unit.trim() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            _ => return Err(fault()),
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        bytes.map(Self::Bytes).ok_or_else(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, size) in [
            ("1MiB", Size::Bytes(1 << 20)),
            ("4 GiB", Size::Bytes(4 << 30)),
            ("400GB", Size::Bytes(400_000_000_000)),
            ("0B", Size::Bytes(0)),
            ("rest", Size::Rest),
        ] {
            assert_eq!(text.parse(), Ok(size), "{text}");
        }
        for text in ["", "1", "MiB", "-1MiB", "1.5GiB", "1mib", "99999999999999TiB", "REST", "1MiB x"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
