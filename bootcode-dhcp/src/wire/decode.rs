//! From bytes to a [`Packet`].

use std::{borrow::Cow, net::Ipv4Addr};

use dhcproto::v4::borrowed::DhcpOptionIterator;

use super::{MAGIC, code};
use crate::limits;

/// Why bytes are no DHCP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than the fixed fields and the cookie, or longer than any client sends.
    #[error("{bytes} bytes are no DHCP message")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// `hlen` is more than `chaddr` holds.
    #[error("a hardware address of {hlen} bytes does not fit `chaddr`")]
    HardwareLength {
        /// What the packet says.
        hlen: u8,
    },
    /// BOOTP without RFC 2131's cookie, or something else.
    #[error("the magic cookie of RFC 2131 is missing")]
    MagicCookie,
}

/// A message as it was received. Options are raw: each reader judges its own, so that one bad option costs no other.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// 1 request, 2 reply.
    pub op: u8,
    /// Hardware type, 1 for Ethernet.
    pub htype: u8,
    /// Bytes of `chaddr` that count, at most 16.
    pub hlen: u8,
    /// Transaction.
    pub xid: u32,
    /// Flags; only the highest bit, broadcast, is defined.
    pub flags: u16,
    /// The client's address, when it has one.
    pub ciaddr: Ipv4Addr,
    /// "Your" address.
    pub yiaddr: Ipv4Addr,
    /// Next server.
    pub siaddr: Ipv4Addr,
    /// The relay's address.
    pub giaddr: Ipv4Addr,
    /// Hardware address, padded.
    pub chaddr: [u8; 16],
    options: Vec<(u8, Cow<'a, [u8]>)>,
}

impl<'a> Packet<'a> {
    /// Reads a message. Options that occur more than once are joined (RFC 3396), options in `file` and `sname` are read where
    /// option 52 says so (RFC 2132 9.3); a truncated last option is left out.
    ///
    /// # Errors
    /// [`Malformed`]: nothing of such bytes can be trusted.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if !(limits::MESSAGE_MIN_BYTES..=limits::MESSAGE_MAX_BYTES).contains(&bytes.len()) {
            return Err(Malformed::Length { bytes: bytes.len() });
        }
        let hlen = bytes[2];
        if hlen > 16 {
            return Err(Malformed::HardwareLength { hlen });
        }
        if bytes[236..240] != MAGIC {
            return Err(Malformed::MagicCookie);
        }
        let address = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        let mut chaddr = [0; 16];
        chaddr.copy_from_slice(&bytes[28..44]);
        let mut packet = Self {
            op: bytes[0],
            htype: bytes[1],
            hlen,
            xid: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            flags: u16::from_be_bytes([bytes[10], bytes[11]]),
            ciaddr: address(12),
            yiaddr: address(16),
            siaddr: address(20),
            giaddr: address(24),
            chaddr,
            options: Vec::with_capacity(16),
        };
        packet.add(&bytes[240..]);
        // RFC 3396 5: the order is options, file, sname. Bit 1 is file, bit 2 sname.
        let overload = packet.option(code::OVERLOAD).and_then(|data| data.first().copied()).unwrap_or(0);
        if overload & 1 != 0 {
            packet.add(&bytes[108..236]);
        }
        if overload & 2 != 0 {
            packet.add(&bytes[44..108]);
        }
        Ok(packet)
    }

    /// The bytes of an option, joined.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(have, _)| *have == code).map(|(_, data)| &**data)
    }

    /// An option that holds one address; of another length it counts as absent.
    #[must_use]
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        <[u8; 4]>::try_from(self.option(code)?).ok().map(Ipv4Addr::from)
    }

    /// All options in the order they came first.
    pub fn options(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.options.iter().map(|(code, data)| (*code, &**data))
    }

    fn add(&mut self, area: &'a [u8]) {
        for option in DhcpOptionIterator::new(area) {
            let code = u8::from(option.code());
            match self.options.iter_mut().find(|(have, _)| *have == code) {
                Some((_, data)) => data.to_mut().extend_from_slice(option.data()),
                None => self.options.push((code, borrowed(area, option.data()))),
            }
        }
    }
}

/// The codec lends its options' bytes for no longer than the option itself lives; where they lie in the message they are borrowed from
/// there, which saves an allocation for each.
fn borrowed<'a>(area: &'a [u8], data: &[u8]) -> Cow<'a, [u8]> {
    let at = data.as_ptr().addr().checked_sub(area.as_ptr().addr());
    match at.and_then(|at| area.get(at..at + data.len())) {
        Some(data) => Cow::Borrowed(data),
        None => Cow::Owned(data.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[0] = 1;
        bytes[1] = 1;
        bytes[2] = 6;
        bytes[236..240].copy_from_slice(&MAGIC);
        bytes.extend_from_slice(options);
        bytes
    }

    /// The walker's codec drops all options after the first that it cannot parse; ours must lose none.
    #[test]
    fn one_bad_option_costs_no_other() {
        for bad in [
            &[12, 2, 0xe9, 0xff][..],            // a host name in Latin-1
            &[81, 5, 0, b'h', b'o', b's', b't'], // an FQDN in ASCII, no RCODEs
            &[50, 0],                            // no address at all
            &[80, 3, 1, 2, 3],                   // options whose typed decoders assert on their length
            &[94, 1, 9],
            &[152, 1, 1],
            &[121, 1, 40], // a prefix beyond 32
        ] {
            let mut options = bad.to_vec();
            options.extend_from_slice(&[60, 9]);
            options.extend_from_slice(b"PXEClient");
            options.extend_from_slice(&[93, 2, 0, 7, 255]);
            let bytes = message(&options);
            let packet = Packet::decode(&bytes).unwrap();
            assert_eq!(packet.option(60), Some(&b"PXEClient"[..]), "{bad:?}");
            assert_eq!(packet.option(93), Some(&[0, 7][..]), "{bad:?}");
            assert_eq!(packet.option(bad[0]), Some(&bad[2..]), "{bad:?}");
        }
    }

    #[test]
    fn every_code_keeps_its_number() {
        for code in 1..=254u8 {
            let bytes = message(&[code, 1, 42, 255]);
            assert_eq!(Packet::decode(&bytes).unwrap().option(code), Some(&[42][..]), "{code}");
        }
    }

    #[test]
    fn parts_are_joined_whether_or_not_they_are_neighbours() {
        let bytes = message(&[77, 1, b'a', 77, 1, b'b', 53, 1, 1, 77, 1, b'c', 255]);
        assert_eq!(Packet::decode(&bytes).unwrap().option(77), Some(&b"abc"[..]));
    }

    #[test]
    fn overloaded_fields_hold_options() {
        let mut bytes = message(&[53, 1, 1, 52, 1, 3, 77, 1, b'a', 255]);
        bytes[108..112].copy_from_slice(&[77, 1, b'b', 255]);
        bytes[44..51].copy_from_slice(&[77, 1, b'c', 57, 2, 5, 220]);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!(packet.option(77), Some(&b"abc"[..]));
        assert_eq!(packet.option(57), Some(&[5, 220][..]));
    }

    #[test]
    fn without_option_52_those_fields_hold_none() {
        let mut bytes = message(&[53, 1, 1, 255]);
        bytes[108..112].copy_from_slice(&[77, 1, b'b', 255]);
        assert_eq!(Packet::decode(&bytes).unwrap().option(77), None);
    }

    #[test]
    fn truncated_and_unended_options_leave_those_before() {
        for tail in [&[60][..], &[60, 9], &[60, 9, b'P'], &[], &[0, 0, 0]] {
            let mut options = vec![53, 1, 1];
            options.extend_from_slice(tail);
            let bytes = message(&options);
            let packet = Packet::decode(&bytes).unwrap();
            assert_eq!(packet.option(53), Some(&[1][..]), "{tail:?}");
            assert_eq!(packet.option(60), None, "{tail:?}");
        }
    }

    #[test]
    fn what_the_codec_would_panic_on_is_refused_before_it() {
        let mut long_address = message(&[53, 1, 1, 255]);
        long_address[2] = 255;
        assert_eq!(Packet::decode(&long_address).unwrap_err(), Malformed::HardwareLength { hlen: 255 });
        let mut bootp = message(&[]);
        bootp[236] = 0;
        assert_eq!(Packet::decode(&bootp).unwrap_err(), Malformed::MagicCookie);
        assert_eq!(Packet::decode(&bootp[..239]).unwrap_err(), Malformed::Length { bytes: 239 });
        assert_eq!(Packet::decode(&[0; 5000]).unwrap_err(), Malformed::Length { bytes: 5000 });
    }
}
