//! "This network has no IPv6 router", said to a machine that looks for one (RFC 4861).
//!
//! iPXE runs DHCP and IPv6 autoconfiguration side by side and goes on when both have ended. Where no router answers, the second ends after
//! 13 to 16 s of solicitations (measured; `ipv6conf` in its `net/ndp.c`), each boot. An advertisement of lifetime 0 ends it at once.

use std::net::Ipv6Addr;

use bootcode_core::mac::MacAddr;

/// Where routers are asked for (RFC 4291 2.7.1).
pub(crate) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Both ways: what came over a router has less, and is refused (RFC 4861 6.1).
pub(crate) const HOP_LIMIT: u32 = 255;
const ROUTER_SOLICITATION: u8 = 133;
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// Type, code, checksum, reserved.
const HEADER_BYTES: usize = 8;

/// A Router Advertisement (RFC 4861 4.2) from no router: type 134, lifetime 0 so that nobody takes us for one, nothing else said, no prefix.
/// The kernel fills in the checksum.
pub(crate) const NO_ROUTER: [u8; 16] = [134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Whose Router Solicitation this is, if it is a valid one (RFC 4861 6.1.1) to which an answer can be sent: by its source link-layer address,
/// else by the EUI-64 in its address.
pub(crate) fn soliciting(message: &[u8], source: Ipv6Addr) -> Option<MacAddr> {
    if message.len() < HEADER_BYTES || message[..2] != [ROUTER_SOLICITATION, 0] {
        return None;
    }
    if !source.is_unicast_link_local() {
        return None;
    }
    let mut rest = &message[HEADER_BYTES..];
    let mut mac = None;
    while !rest.is_empty() {
        // In units of 8 bytes; none may be empty (RFC 4861 4.6).
        let length = usize::from(*rest.get(1)?) * 8;
        let option = rest.get(..length).filter(|option| !option.is_empty())?;
        if option[0] == SOURCE_LINK_LAYER_ADDRESS && length == 8 {
            mac = option[2..].try_into().ok().map(MacAddr);
        }
        rest = &rest[length..];
    }
    mac.or_else(|| eui64(source))
}

/// The hardware address inside an interface identifier (RFC 4291, appendix A).
fn eui64(address: Ipv6Addr) -> Option<MacAddr> {
    match address.octets()[8..] {
        [a, b, c, 0xff, 0xfe, d, e, f] => Some(MacAddr([a ^ 2, b, c, d, e, f])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
    const OTHER: [u8; 8] = [1, 1, 0x52, 0x54, 0, 0, 0, 9];

    fn message(options: &[u8]) -> Vec<u8> {
        [&[133, 0, 0xab, 0xcd, 0, 0, 0, 0], options].concat()
    }

    #[test]
    fn a_solicitation_tells_whose_it_is_and_anything_else_is_nobodys() {
        let own = "fe80::5054:ff:fe00:1";
        let cases: &[(&str, Vec<u8>, &str, Option<MacAddr>)] = &[
            ("by its address", message(&[]), own, Some(MAC)),
            ("by its option", message(&OTHER), own, Some(MacAddr([0x52, 0x54, 0, 0, 0, 9]))),
            (
                "an option before it",
                message(&[&[14, 1, 0, 0, 0, 0, 0, 0], &OTHER[..]].concat()),
                "fe80::1",
                Some(MacAddr([0x52, 0x54, 0, 0, 0, 9])),
            ),
            ("a private address without the option", message(&[]), "fe80::1", None),
            ("no address yet: nowhere to answer to", message(&[]), "::", None),
            ("from beyond the link", message(&OTHER), "2001:db8::1", None),
            ("an empty option", message(&[1, 0]), own, None),
            ("an option cut short", message(&OTHER[..7]), own, None),
            ("half an option header", message(&[1]), own, None),
            ("cut short", message(&[])[..7].to_vec(), own, None),
            ("another code", vec![133, 1, 0, 0, 0, 0, 0, 0], own, None),
            ("an advertisement", NO_ROUTER.to_vec(), own, None),
            ("nothing", Vec::new(), own, None),
        ];
        for (name, message, source, expected) in cases {
            assert_eq!(soliciting(message, source.parse().unwrap()), *expected, "{name}");
        }
    }

    #[test]
    fn nobody_can_take_the_advertisement_for_a_routers() {
        let [kind, code, _, _, _, flags, lifetime @ ..] = &NO_ROUTER[..8] else { panic!("its length") };
        assert_eq!((kind, code, flags, lifetime), (&134, &0, &0, &[0, 0][..]));
        assert_eq!(NO_ROUTER.len(), 16, "no options, so no prefix");
    }
}
