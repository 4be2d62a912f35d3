//! Names of files, normalised once before any source sees them.

use std::fmt;

use crate::limits::FILE_NAME_BYTES;

/// A relative name of one or more components, none of them empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName(String);

/// A name that no file can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileNameError {
    /// Nothing is left of it.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`FILE_NAME_BYTES`].
    #[error("the name is longer than {FILE_NAME_BYTES} bytes")]
    TooLong,
    /// It holds `..`, a NUL or another control character.
    #[error("the name holds `..` or a control character")]
    Forbidden,
}

impl FileName {
    /// Normalises what a machine sent: backslashes are slashes (old ROMs), leading and repeated slashes and `.` components go,
    /// bytes that are no UTF-8 at the end go (some UEFI firmware appends 0xFF), and so does a W3C trace context there (`-` and a
    /// `traceparent`, with which DHCP servers made for Tinkerbell tie a download to its DHCP exchange).
    ///
    /// # Errors
    /// See [`FileNameError`].
    pub fn normalise(raw: &[u8]) -> Result<Self, FileNameError> {
        if raw.len() > FILE_NAME_BYTES {
            return Err(FileNameError::TooLong);
        }
        let trimmed = raw.iter().rposition(|b| *b != 0xff).map_or(&raw[..0], |last| &raw[..=last]);
        let text = std::str::from_utf8(trimmed).map_err(|_| FileNameError::Forbidden)?;
        if text.chars().any(char::is_control) {
            return Err(FileNameError::Forbidden);
        }
        let mut name = String::with_capacity(text.len());
        for part in without_traceparent(text).split(['/', '\\']) {
            match part {
                "" | "." => {}
                ".." => return Err(FileNameError::Forbidden),
                part => {
                    if !name.is_empty() {
                        name.push('/');
                    }
                    name.push_str(part);
                }
            }
        }
        if name.is_empty() { Err(FileNameError::Empty) } else { Ok(Self(name)) }
    }

    /// The name, components joined by `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `prefix/`, if the name lies below it.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(prefix)?.strip_prefix('/')?;
        Some(Self(rest.to_owned()))
    }
}

/// The name before `-00-<32 hexadecimal digits>-<16>-<2>` (W3C Trace Context 3.2), or all of it where it does not end so.
fn without_traceparent(text: &str) -> &str {
    let mut rest = text;
    for digits in [2, 16, 32, 2] {
        let Some((before, field)) = rest.rsplit_once('-') else { return text };
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if field.len() != digits || !field.bytes().all(is_hex) {
            return text;
        }
        rest = before;
    }
    rest
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_and_never_leave_the_root() {
        for (raw, name) in [
            (&b"undionly.kpxe"[..], "undionly.kpxe"),
            (b"/boot/./x", "boot/x"),
            (b"\\boot\\\\x", "boot/x"),
            (b"snponly.efi\xff", "snponly.efi"),
            (b"a/snponly.efi-00-23b1e307bb35484f535a1f772c06910e-d887dc3912240434-01", "a/snponly.efi"),
            (b"x-00-23b1e307bb35484f535a1f772c06910e-d887dc3912240434-01\xff", "x"),
            (
                b"x-00-23b1e307bb35484f535a1f772c06910-d887dc3912240434-01",
                "x-00-23b1e307bb35484f535a1f772c06910-d887dc3912240434-01",
            ),
            (b"initramfs-6.1.0-01", "initramfs-6.1.0-01"),
        ] {
            assert_eq!(FileName::normalise(raw).unwrap().as_str(), name);
        }
        for (raw, error) in [
            (&b""[..], FileNameError::Empty),
            (b"/./", FileNameError::Empty),
            (b"a/../b", FileNameError::Forbidden),
            (b"..-00-23b1e307bb35484f535a1f772c06910e-d887dc3912240434-01", FileNameError::Forbidden),
            (b"-00-23b1e307bb35484f535a1f772c06910e-d887dc3912240434-01", FileNameError::Empty),
            (b"..\\b", FileNameError::Forbidden),
            (b"a\0b", FileNameError::Forbidden),
            (b"\xfe\xfea", FileNameError::Forbidden),
            (&[b'a'; 2000], FileNameError::TooLong),
        ] {
            assert_eq!(FileName::normalise(raw), Err(error), "{raw:?}");
        }
    }
}
