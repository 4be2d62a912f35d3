//! From the path of a URL to the name of a file.

use bootcode_core::files::{FileName, FileNameError};

use crate::limits;

/// A path that names no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Longer than any name, percent-encoded.
    #[error("the path is too long")]
    TooLong,
    /// A `%` without two hexadecimal digits behind it.
    #[error("the path holds a `%` without two hexadecimal digits")]
    Percent,
    /// The decoded path is no name.
    #[error(transparent)]
    Name(#[from] FileNameError),
}

/// The file that a URL's path names; decoded once, so `%252e` stays a name with a percent sign.
///
/// # Errors
/// See [`NameError`].
pub fn file_name(path: &str) -> Result<FileName, NameError> {
    if path.len() > limits::HTTP_PATH_BYTES {
        return Err(NameError::TooLong);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or(NameError::Percent)?;
        rest = after;
        decoded.push(hex(digits[0])? << 4 | hex(digits[1])?);
    }
    Ok(FileName::normalise(&decoded)?)
}

fn hex(digit: u8) -> Result<u8, NameError> {
    // to_digit(16) is below 16
    char::from(digit).to_digit(16).map(|value| value as u8).ok_or(NameError::Percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_never_leave_the_root() {
        for (path, name) in [
            ("/files/a", "files/a"),
            ("/files//./a", "files/a"),
            ("/files/a%20b", "files/a b"),
            ("/files/%252e%252e/x", "files/%2e%2e/x"),
            ("/files/a%2fb", "files/a/b"),
        ] {
            assert_eq!(file_name(path).unwrap().as_str(), name, "{path}");
        }
        for (path, error) in [
            ("/files/../x", NameError::Name(FileNameError::Forbidden)),
            ("/files/%2e%2e/x", NameError::Name(FileNameError::Forbidden)),
            ("/files/..%2fx", NameError::Name(FileNameError::Forbidden)),
            ("/files/..%5cx", NameError::Name(FileNameError::Forbidden)),
            ("/files/a%00b", NameError::Name(FileNameError::Forbidden)),
            ("/files/%c0%ae%c0%ae/x", NameError::Name(FileNameError::Forbidden)),
            ("/files/%", NameError::Percent),
            ("/files/%4", NameError::Percent),
            ("/files/%+1", NameError::Percent),
            ("/", NameError::Name(FileNameError::Empty)),
            (&"/a".repeat(2000), NameError::TooLong),
        ] {
            assert_eq!(file_name(path), Err(error), "{path}");
        }
    }
}
