//! The packets of RFC 1350 and RFC 2347 over byte slices.

use super::Options;

/// A packet. Bytes after its end are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A request to read.
    Rrq(Request<'a>),
    /// A request to write.
    Wrq(Request<'a>),
    /// A block.
    Data {
        /// Its number, modulo 65,536.
        block: u16,
        /// Its bytes.
        payload: &'a [u8],
    },
    /// An acknowledgement.
    Ack {
        /// The last block received in order, modulo 65,536.
        block: u16,
    },
    /// An error, which ends the transfer.
    Error {
        /// Its code; only the codes of the RFCs have a name.
        code: u16,
        /// Its text as it was sent.
        message: &'a [u8],
    },
    /// The options that the server accepted.
    Oack(Options),
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The file's name as it was sent, in no certain encoding.
    pub filename: &'a [u8],
    /// The mode; `None` for one that we do not have.
    pub mode: Option<Mode>,
    /// The options.
    pub options: Options,
}

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As they are.
    Octet,
    /// As text with the line ends of Telnet.
    Netascii,
}

/// No packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Shorter than its kind needs.
    #[error("the packet ends early")]
    Truncated,
    /// An opcode that no RFC defines.
    #[error("unknown opcode {0}")]
    Opcode(u16),
    /// A text without its closing zero byte.
    #[error("a text of the request has no end")]
    Unterminated,
}

/// The error codes of RFC 1350 and RFC 2347.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum ErrorCode {
    /// See the message.
    Undefined = 0,
    /// No such file.
    FileNotFound = 1,
    /// Access violation.
    AccessViolation = 2,
    /// Illegal TFTP operation.
    IllegalOperation = 4,
    /// Unknown transfer ID: the packet belongs to no transfer.
    UnknownTransfer = 5,
    /// The options were refused.
    Options = 8,
}

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

impl<'a> Packet<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// See [`PacketError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (opcode, rest) = number(bytes)?;
        Ok(match opcode {
            RRQ => Self::Rrq(Request::parse(rest)?),
            WRQ => Self::Wrq(Request::parse(rest)?),
            DATA => {
                let (block, payload) = number(rest)?;
                Self::Data { block, payload }
            }
            ACK => Self::Ack { block: number(rest)?.0 },
            ERROR => {
                let (code, rest) = number(rest)?;
                // The text is for people; a missing zero byte does not make the error less of one.
                Self::Error { code, message: rest.split(|byte| *byte == 0).next().unwrap_or_default() }
            }
            OACK => Self::Oack(Options::parse(rest)),
            other => return Err(PacketError::Opcode(other)),
        })
    }

    /// Appends the packet to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut numbers = |opcode: u16, number: Option<u16>| {
            out.extend_from_slice(&opcode.to_be_bytes());
            if let Some(number) = number {
                out.extend_from_slice(&number.to_be_bytes());
            }
        };
        match self {
            Self::Rrq(request) => {
                numbers(RRQ, None);
                request.encode(out);
            }
            Self::Wrq(request) => {
                numbers(WRQ, None);
                request.encode(out);
            }
            Self::Data { block, payload } => {
                numbers(DATA, Some(*block));
                out.extend_from_slice(payload);
            }
            Self::Ack { block } => numbers(ACK, Some(*block)),
            Self::Error { code, message } => {
                numbers(ERROR, Some(*code));
                out.extend_from_slice(message);
                out.push(0);
            }
            Self::Oack(options) => {
                numbers(OACK, None);
                options.encode(out);
            }
        }
    }

    /// An error of ours.
    #[must_use]
    pub fn error(code: ErrorCode, message: &'a str) -> Self {
        Self::Error { code: code as u16, message: message.as_bytes() }
    }
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (filename, rest) = text(bytes)?;
        let (mode, rest) = text(rest)?;
        Ok(Self { filename, mode: Mode::parse(mode), options: Options::parse(rest) })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.filename);
        out.push(0);
        out.extend_from_slice(self.mode.map_or("", Mode::as_str).as_bytes());
        out.push(0);
        self.options.encode(out);
    }
}

impl Mode {
    /// The mode's name in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Octet => "octet",
            Self::Netascii => "netascii",
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        [Self::Octet, Self::Netascii]
            .into_iter()
            .find(|mode| text.eq_ignore_ascii_case(mode.as_str().as_bytes()))
    }
}

fn number(bytes: &[u8]) -> Result<(u16, &[u8]), PacketError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(PacketError::Truncated)?;
    Ok((u16::from_be_bytes(*number), rest))
}

fn text(bytes: &[u8]) -> Result<(&[u8], &[u8]), PacketError> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(PacketError::Unterminated)?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rrq(filename: &[u8], options: Options) -> Packet<'_> {
        Packet::Rrq(Request { filename, mode: Some(Mode::Octet), options })
    }

    #[test]
    fn requests_of_real_firmware_are_read() {
        let tsize = Options { tsize: Some(0), ..Options::default() };
        let edk2 = Options { tsize: Some(0), blksize: Some(1468), windowsize: Some(4), timeout: None };
        for (bytes, packet) in [
            (&b"\0\x01undionly.kpxe\0octet\0tsize\x000\0"[..], rrq(b"undionly.kpxe", tsize)),
            (b"\0\x01x\0OCTET\0tsize\x000\0blksize\x001468\0windowsize\x004\0", rrq(b"x", edk2)),
            (b"\0\x01x\xff\0octet\0", rrq(b"x\xff", Options::default())),
            (b"\0\x01x\0octet\0tsize\x000\0\0\0\0", rrq(b"x", tsize)),
            (b"\0\x01x\0octet\0tsize\x000\0junk", rrq(b"x", tsize)),
            (b"\0\x01x\0octet\0unknown\x001\0TSIZE\x000\0tsize\x007\0blksize\0many\0", rrq(b"x", tsize)),
            (b"\0\x04\0\x07padding", Packet::Ack { block: 7 }),
            (b"\0\x05\0\x08User aborted\0", Packet::Error { code: 8, message: b"User aborted" }),
            (b"\0\x05\0\0", Packet::Error { code: 0, message: b"" }),
        ] {
            assert_eq!(Packet::parse(bytes), Ok(packet), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_packet_is_an_error() {
        for (bytes, error) in [
            (&b""[..], PacketError::Truncated),
            (b"\0", PacketError::Truncated),
            (b"\0\x04\0", PacketError::Truncated),
            (b"\0\x05", PacketError::Truncated),
            (b"\0\x01name", PacketError::Unterminated),
            (b"\0\x01name\0octet", PacketError::Unterminated),
            (b"\0\x09", PacketError::Opcode(9)),
        ] {
            assert_eq!(Packet::parse(bytes), Err(error), "{}", bytes.escape_ascii());
        }
        let mail = Packet::parse(b"\0\x01x\0mail\0");
        assert!(matches!(mail, Ok(Packet::Rrq(Request { mode: None, .. }))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_what_was_read_is_written_alike(bytes: Vec<u8>) {
            if let Ok(packet) = Packet::parse(&bytes) {
                let mut written = Vec::new();
                packet.encode(&mut written);
                prop_assert_eq!(Packet::parse(&written), Ok(packet));
            }
        }
    }
}
