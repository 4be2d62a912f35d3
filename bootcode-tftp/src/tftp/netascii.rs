//! The text mode of RFC 1350.

/// The text as it travels in mode netascii: a line feed becomes CR LF, a carriage return CR NUL (RFC 764).
#[must_use]
pub fn to_netascii(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 16);
    for byte in text {
        match byte {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'\r' => out.extend_from_slice(b"\r\0"),
            byte => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn line_ends_are_those_of_telnet() {
        for (text, netascii) in [("a\nb", "a\r\nb"), ("a\r\nb", "a\r\0\r\nb"), ("", ""), ("\n", "\r\n")] {
            assert_eq!(super::to_netascii(text.as_bytes()), netascii.as_bytes());
        }
    }
}
