//! From a [`Reply`] to bytes. The codec's encoder neither puts 53 first, nor pads, nor honours option 57, so this is ours.

use std::net::Ipv4Addr;

use super::{BOOTREPLY, MAGIC, code};
use crate::limits;

/// Ends the options, and those in each overloaded field.
const END: u8 = 255;
/// Bytes of `file` (RFC 2131 2).
const FILE_BYTES: usize = 128;
/// Bytes of `sname`.
const SNAME_BYTES: usize = 64;

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

/// Where an option stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    Options,
    File,
    Sname,
    Nowhere,
}

/// Where all of them do.
struct Layout {
    /// In the order of the options.
    areas: Vec<Area>,
    /// The value of option 52: 1 `file`, 2 `sname`.
    overload: u8,
}

impl Layout {
    fn uses(&self, code: u8, options: &[ReplyOption]) -> bool {
        let mut all = options.iter().zip(&self.areas);
        all.any(|(option, area)| option.code == code && *area != Area::Nowhere)
    }

    fn is_whole(&self) -> bool {
        !self.areas.contains(&Area::Nowhere)
    }
}

impl Reply {
    /// Bytes of at least 300 and at most `max_bytes`, 53 first, 82 last. What does not fit between them goes to `sname`, and to `file`
    /// where option 67 names the boot file (RFC 2131 4.1, RFC 2132 9.3); what does not fit there either is left out.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let layout = self.layout();
        let in_file = layout.overload & 1 != 0;
        let mut bytes = Vec::with_capacity(limits::REPLY_DEFAULT_BYTES);
        bytes.extend_from_slice(&[BOOTREPLY, super::ETHERNET, 6, 0]);
        bytes.extend_from_slice(&self.xid.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend_from_slice(&address.octets());
        }
        bytes.extend_from_slice(&self.chaddr);
        self.put_area(&mut bytes, &layout, Area::Sname);
        bytes.resize(108, 0);
        match self.file_in_header() {
            Some(file) if !in_file => bytes.extend_from_slice(file.as_bytes()),
            _ => self.put_area(&mut bytes, &layout, Area::File),
        }
        bytes.resize(236, 0);
        bytes.extend_from_slice(&MAGIC);
        put(&mut bytes, code::MESSAGE_TYPE, &[self.kind.code()]);
        if layout.overload != 0 {
            put(&mut bytes, code::OVERLOAD, &[layout.overload]);
        }
        let mut left_out = Vec::new();
        for (option, area) in self.options.iter().zip(&layout.areas) {
            match area {
                Area::Options => put(&mut bytes, option.code, &option.data),
                Area::Nowhere => left_out.push(option.code),
                Area::File | Area::Sname => (),
            }
        }
        if let Some(data) = &self.relay_agent {
            if bytes.len() + self.relay_bytes() < limits::REPLY_MAX_BYTES {
                put(&mut bytes, code::RELAY_AGENT, data);
            } else {
                left_out.push(code::RELAY_AGENT);
            }
        }
        bytes.push(END);
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

    fn relay_bytes(&self) -> usize {
        self.relay_agent.as_ref().map_or(0, |data| encoded_bytes(data.len()))
    }

    /// Firmware is known that reads no overloaded field, so they are used only where something would be left out without them.
    fn layout(&self) -> Layout {
        let room = self.max_bytes.clamp(limits::REPLY_MIN_BYTES, limits::REPLY_MAX_BYTES);
        // Cookie and all before it, option 53, the end.
        let room = room.saturating_sub(240 + 3 + self.relay_bytes() + 1);
        let plain = self.pack(room, 0);
        if plain.is_whole() {
            return plain;
        }
        let room = room.saturating_sub(3);
        let sname = self.pack(room, 2);
        let named = || self.options.iter().any(|option| option.code == code::BOOT_FILE_NAME);
        if !sname.is_whole() && (self.file_in_header().is_none() || named()) {
            let both = self.pack(room, 3);
            if self.file.is_none() || both.uses(code::BOOT_FILE_NAME, &self.options) {
                return both;
            }
        }
        // Of no use where nothing fits into it: then the three bytes of option 52 are better spent.
        if sname.overload == 0 { plain } else { sname }
    }

    /// Each option into the first area with room for it. One that is split (RFC 3396) stays whole among the options.
    fn pack(&self, room: usize, overload: u8) -> Layout {
        let field = |bit, bytes: usize| if overload & bit != 0 { bytes - 1 } else { 0 };
        let mut rooms =
            [(Area::Options, room), (Area::Sname, field(2, SNAME_BYTES)), (Area::File, field(1, FILE_BYTES))];
        let mut used = 0;
        let areas = self.options.iter().map(|option| {
            let bytes = encoded_bytes(option.data.len());
            let Some((area, left)) = rooms.iter_mut().find(|(_, left)| bytes <= *left) else {
                return Area::Nowhere;
            };
            *left -= bytes;
            used |= match area {
                Area::File => 1,
                Area::Sname => 2,
                Area::Options | Area::Nowhere => 0,
            };
            *area
        });
        let areas = areas.collect();
        Layout { areas, overload: used }
    }

    /// The options of an overloaded field and its end; nothing where it has none.
    fn put_area(&self, bytes: &mut Vec<u8>, layout: &Layout, area: Area) {
        let start = bytes.len();
        for (option, _) in self.options.iter().zip(&layout.areas).filter(|(_, stands)| **stands == area) {
            put(bytes, option.code, &option.data);
        }
        if bytes.len() > start {
            bytes.push(END);
        }
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
        let packet = Packet::decode(&encoded.bytes).unwrap();
        assert_eq!(packet.option(82), Some(&[1, 2, 9, 9][..]));
        assert_eq!(packet.option(52), None, "nothing fits there, so it is not used");
    }

    /// RFC 2132 9.3 and RFC 2131 4.1: `sname` first, `file` where option 67 has what it held.
    #[test]
    fn what_does_not_fit_goes_to_sname_and_then_to_file() {
        let option = |code, bytes: usize| ReplyOption { code, data: vec![code; bytes] };
        let big = || option(43, 255);
        let boot = || ReplyOption { code: 67, data: b"snponly.efi".to_vec() };
        for (options, overload, left_out) in [
            (vec![option(43, 100), option(12, 60)], None, &[][..]),
            (vec![big(), option(12, 60)], Some(2), &[]),
            (vec![big(), option(12, 62), option(15, 20)], None, &[12]),
            (vec![big(), boot(), option(12, 60), option(15, 120)], Some(3), &[]),
            (vec![big(), option(12, 60), option(15, 120)], Some(2), &[15]),
            // Room is kept for the relay agent's option.
            (vec![big(), option(12, 42)], Some(2), &[]),
            // The boot file never goes where nobody names it.
            (vec![big(), option(44, 34), option(12, 60), option(15, 115), boot()], Some(2), &[15, 67]),
            (vec![big(), boot(), option(12, 126)], None, &[12]),
            (vec![big(), boot(), option(12, 125)], Some(1), &[]),
        ] {
            let codes: Vec<u8> = options.iter().map(|option| option.code).collect();
            let encoded = reply(options.clone(), 548).encode();
            let packet = Packet::decode(&encoded.bytes).unwrap();
            assert_eq!(packet.option(52).map(|data| data[0]), overload, "{codes:?}");
            assert_eq!(encoded.left_out, left_out, "{codes:?}");
            assert!(encoded.bytes.len() <= 548);
            for option in options.iter().filter(|option| !left_out.contains(&option.code)) {
                assert_eq!(packet.option(option.code), Some(&option.data[..]), "{codes:?}");
            }
            let in_header = encoded.bytes[108..].starts_with(b"snponly.efi\0");
            assert_eq!(in_header, overload.is_none_or(|bits| bits & 1 == 0), "{codes:?}");
        }
    }

    #[test]
    fn long_options_are_split_and_read_back() {
        let data: Vec<u8> = (0..600u32).map(|n| n as u8).collect();
        let bytes = reply(vec![ReplyOption { code: 119, data: data.clone() }], 1472).encode().bytes;
        assert_eq!(Packet::decode(&bytes).unwrap().option(119), Some(&data[..]));
    }
}
