//! Ethernet hardware addresses.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An EUI-48 address, six octets in wire order. Written in lower case with colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

/// The text is no MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no MAC address: write six pairs of hexadecimal digits, as in 52:54:00:12:34:56")]
pub struct MacParseError {
    /// What was read.
    pub text: String,
}

impl MacAddr {
    /// Whether the group bit is clear and the address is not all zero: an address that one machine can own.
    #[must_use]
    pub const fn is_unicast(&self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// With hyphens, the form that pxelinux and GRUB put into file names.
    #[must_use]
    pub fn hyphenated(&self) -> String {
        self.to_string().replace(':', "-")
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = MacParseError;

    /// Reads `52:54:00:12:34:56`, `52-54-00-12-34-56`, `5254.0012.3456` and `525400123456`, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || MacParseError { text: text.chars().take(40).collect() };
        let separator = text.chars().find(|c| !c.is_ascii_hexdigit());
        let group = match separator {
            None => 12,
            Some(':' | '-') => 2,
            Some('.') => 4,
            Some(_) => return Err(fail()),
        };
        let mut digits = String::with_capacity(12);
        for part in text.split(separator.unwrap_or(':')) {
            if part.len() != group || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(fail());
            }
            digits.push_str(part);
        }
        if digits.len() != 12 {
            return Err(fail());
        }
        let mut octets = [0; 6];
        for (octet, at) in octets.iter_mut().zip((0..12).step_by(2)) {
            *octet = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| fail())?;
        }
        Ok(Self(octets))
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_is_read_and_others_are_refused() {
        for text in ["52:54:00:ab:CD:01", "52-54-00-ab-cd-01", "5254.00ab.cd01", "525400abcd01"] {
            assert_eq!(text.parse::<MacAddr>().unwrap().to_string(), "52:54:00:ab:cd:01", "{text}");
        }
        for text in [
            "",
            "52:54:00:ab:cd",
            "52:54:00:ab:cd:zz",
            "52:54-00:ab:cd:01",
            "5254:00ab:cd01",
            "é2:54:00:ab:cd:01",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn groups_and_zero_are_not_unicast() {
        assert!("52:54:00:00:00:01".parse::<MacAddr>().unwrap().is_unicast());
        assert!(!MacAddr([0; 6]).is_unicast());
        assert!(!MacAddr([0xff; 6]).is_unicast());
    }
}
