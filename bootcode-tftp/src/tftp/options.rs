//! The options of a request and of its acknowledgement (RFC 2347).

/// The options we know, each with the value that was sent; `None` where it is absent or no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// `blksize`, bytes (RFC 2348).
    pub blksize: Option<u64>,
    /// `timeout`, seconds (RFC 2349).
    pub timeout: Option<u64>,
    /// `tsize`, bytes; 0 in a read request (RFC 2349).
    pub tsize: Option<u64>,
    /// `windowsize`, blocks (RFC 7440).
    pub windowsize: Option<u64>,
}

impl Options {
    /// Reads pairs of zero-terminated texts and stops at the first thing that is none: ROMs pad their requests.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut options = Self::default();
        let mut texts = bytes.split(|byte| *byte == 0);
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            if name.is_empty() {
                break;
            }
            let Some(slot) = options.slot(name) else { continue };
            // An option appears once (RFC 2347); the first one counts.
            if slot.is_none() {
                *slot = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
            }
        }
        options
    }

    /// Whether none is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Appends the pairs.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let pairs = [
            ("blksize", self.blksize),
            ("timeout", self.timeout),
            ("tsize", self.tsize),
            ("windowsize", self.windowsize),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                out.push(0);
                out.extend_from_slice(value.to_string().as_bytes());
                out.push(0);
            }
        }
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<u64>> {
        if name.eq_ignore_ascii_case(b"blksize") {
            Some(&mut self.blksize)
        } else if name.eq_ignore_ascii_case(b"timeout") {
            Some(&mut self.timeout)
        } else if name.eq_ignore_ascii_case(b"tsize") {
            Some(&mut self.tsize)
        } else if name.eq_ignore_ascii_case(b"windowsize") {
            Some(&mut self.windowsize)
        } else {
            None
        }
    }
}
