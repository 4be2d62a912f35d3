//! From a [`Reply`] to bytes. The codec's encoder neither puts 53 first, nor pads, nor honours option 57, so this is ours.

use std::net::Ipv4Addr;

use super::{BOOTREPLY, MAGIC, code};
use crate::limits;

/// What kind of reply (RFC 2132 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyType {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
}

impl ReplyType {
    const fn code(self) -> u8 {
        match self {
            Self::Offer => 2,
            Self::Ack => 5,
            Self::Nak => 6,
        }
    }
}

/// One option of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyOption {
    /// Its code.
    pub code: u8,
    /// Its bytes; more than 255 are split (RFC 3396).
    pub data: Vec<u8>,
}

/// A reply before it is bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its type.
    pub kind: ReplyType,
    /// Echoed.
    pub xid: u32,
    /// Echoed; a NAK through a relay has the broadcast bit set.
    pub flags: u16,
    /// Echoed in an ACK.
    pub ciaddr: Ipv4Addr,
    /// The address that the client gets.
    pub yiaddr: Ipv4Addr,
    /// Where the boot file is.
    pub siaddr: Ipv4Addr,
    /// Echoed.
    pub giaddr: Ipv4Addr,
    /// Echoed.
    pub chaddr: [u8; 16],
    /// The boot file; in the header where it fits, else as option 67.
    pub file: Option<String>,
    /// In the order of their worth: what does not fit is left out from the end.
    pub options: Vec<ReplyOption>,
    /// Option 82 of the request, echoed last and whole (RFC 3046 2.2).
    pub relay_agent: Option<Vec<u8>>,
    /// Bytes that the client takes.
    pub max_bytes: usize,
}

/// A reply as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// What is sent.
    pub bytes: Vec<u8>,
    /// Options that did not fit.
    pub left_out: Vec<u8>,
}

impl Reply {
    /// Bytes of at least 300 and at most `max_bytes`, 53 first, 82 last.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let mut bytes = Vec::with_capacity(limits::REPLY_DEFAULT_BYTES);
        bytes.extend_from_slice(&[BOOTREPLY, super::ETHERNET, 6, 0]);
        bytes.extend_from_slice(&self.xid.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend_from_slice(&address.octets());
        }
        bytes.extend_from_slice(&self.chaddr);
        bytes.resize(108, 0);
        if let Some(file) = self.file_in_header() {
            bytes.extend_from_slice(file.as_bytes());
        }
        bytes.resize(236, 0);
        bytes.extend_from_slice(&MAGIC);
        put(&mut bytes, code::MESSAGE_TYPE, &[self.kind.code()]);

        let relay_bytes = self.relay_agent.as_ref().map_or(0, |data| encoded_bytes(data.len()));
        let room = self.max_bytes.clamp(limits::REPLY_MIN_BYTES, limits::REPLY_MAX_BYTES);
        let mut left_out = Vec::new();
        for option in &self.options {
            if bytes.len() + encoded_bytes(option.data.len()) + relay_bytes < room {
                put(&mut bytes, option.code, &option.data);
            } else {
                left_out.push(option.code);
            }
        }
        if let Some(data) = &self.relay_agent {
            if bytes.len() + relay_bytes < limits::REPLY_MAX_BYTES {
                put(&mut bytes, code::RELAY_AGENT, data);
            } else {
                left_out.push(code::RELAY_AGENT);
            }
        }
        bytes.push(255);
        if bytes.len() < limits::REPLY_MIN_BYTES {
            bytes.resize(limits::REPLY_MIN_BYTES, 0);
        }
        Encoded { bytes, left_out }
    }

    /// The boot file, where the header can hold it.
    #[must_use]
    pub(crate) fn file_in_header(&self) -> Option<&str> {
        self.file.as_deref().filter(|file| file.len() <= limits::BOOT_FILE_BYTES)
    }
}

/// Bytes that an option takes, its headers included.
fn encoded_bytes(data: usize) -> usize {
    data + 2 * data.div_ceil(255).max(1)
}

fn put(bytes: &mut Vec<u8>, code: u8, data: &[u8]) {
    if data.is_empty() {
        bytes.extend_from_slice(&[code, 0]);
    }
    for part in data.chunks(255) {
        // A chunk is at most 255 bytes long, so its length fits.
        bytes.extend_from_slice(&[code, part.len() as u8]);
        bytes.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use dhcproto::{Decodable, v4};

    use super::*;
    use crate::Packet;

    fn reply(options: Vec<ReplyOption>, max_bytes: usize) -> Reply {
        Reply {
            kind: ReplyType::Offer,
            xid: 7,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::new(10, 0, 0, 2),
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: [0; 16],
            file: Some("snponly.efi".into()),
            options,
            relay_agent: Some(vec![1, 2, 9, 9]),
            max_bytes,
        }
    }

    #[test]
    fn another_codec_reads_what_we_write() {
        let bytes = reply(vec![ReplyOption { code: 12, data: b"node-1".to_vec() }], 548).encode().bytes;
        let message = v4::Message::from_bytes(&bytes).unwrap();
        assert_eq!(message.opts().msg_type(), Some(v4::MessageType::Offer));
        assert_eq!(message.yiaddr(), Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(
            message.opts().get(v4::OptionCode::Hostname),
            Some(&v4::DhcpOption::Hostname("node-1".into()))
        );
    }

    #[test]
    fn the_type_is_first_the_relay_last_and_the_rest_padded() {
        let bytes = reply(vec![ReplyOption { code: 12, data: b"n".to_vec() }], 548).encode().bytes;
        assert_eq!(bytes.len(), limits::REPLY_MIN_BYTES);
        assert_eq!(bytes[240..], {
            let mut options = vec![53, 1, 2, 12, 1, b'n', 82, 4, 1, 2, 9, 9, 255];
            options.resize(60, 0);
            options
        });
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_relay_is_not() {
        let long = |code| ReplyOption { code, data: vec![1; 200] };
        let encoded = reply(vec![long(12), long(15), long(17)], 548).encode();
        assert_eq!(encoded.left_out, [15, 17]);
        assert!(encoded.bytes.len() <= 548);
        assert_eq!(Packet::decode(&encoded.bytes).unwrap().option(82), Some(&[1, 2, 9, 9][..]));
    }

    #[test]
    fn long_options_are_split_and_read_back() {
        let data: Vec<u8> = (0..600u32).map(|n| n as u8).collect();
        let bytes = reply(vec![ReplyOption { code: 119, data: data.clone() }], 1472).encode().bytes;
        assert_eq!(Packet::decode(&bytes).unwrap().option(119), Some(&data[..]));
    }
}
