//! ARP as RFC 5227 uses it: does somebody have this address?

use std::net::Ipv4Addr;

use bootcode_core::mac::MacAddr;

/// Ethernet's type of ARP.
pub(super) const ETHERTYPE: u16 = 0x0806;
const FRAME_BYTES: usize = 42;
/// Ethernet, IPv4, and the lengths of their addresses (RFC 826).
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// An ARP probe: a request whose sender has no address, so that nobody's cache takes it for an announcement (RFC 5227 2.1.1).
pub(super) fn probe(from: MacAddr, ip: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_BYTES);
    frame.extend_from_slice(&[0xff; 6]);
    frame.extend_from_slice(&from.0);
    frame.extend_from_slice(&ETHERTYPE.to_be_bytes());
    frame.extend_from_slice(&ETHERNET_IPV4);
    frame.extend_from_slice(&[0, REQUEST]);
    frame.extend_from_slice(&from.0);
    frame.extend_from_slice(&[0; 4 + 6]);
    frame.extend_from_slice(&ip.octets());
    frame
}

/// Who says with this frame that an address is its own, or probes for it as we do (RFC 5227 2.1.1 counts both as a conflict).
pub(super) fn claim(frame: &[u8]) -> Option<(Ipv4Addr, MacAddr)> {
    let body = frame.get(14..FRAME_BYTES).filter(|_| frame[12..14] == ETHERTYPE.to_be_bytes())?;
    let kind = body[7];
    if body[..6] != ETHERNET_IPV4 || body[6] != 0 || !matches!(kind, REQUEST | REPLY) {
        return None;
    }
    let mac = MacAddr(body[8..14].try_into().ok()?);
    let [sender, target] =
        [14, 24].map(|at| Ipv4Addr::new(body[at], body[at + 1], body[at + 2], body[at + 3]));
    match (sender.is_unspecified(), kind) {
        (false, _) => Some((sender, mac)),
        (true, REQUEST) => Some((target, mac)),
        (true, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    fn arp(kind: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let mut frame = probe(OTHER, target.into());
        frame[21] = kind;
        frame[28..32].copy_from_slice(&sender);
        frame
    }

    #[test]
    fn a_probe_is_a_request_without_a_senders_address() {
        let frame = probe(US, Ipv4Addr::new(10, 0, 0, 7));
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[..14], [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6]);
        assert_eq!(frame[14..22], [0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(frame[22..], [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 7]);
    }

    #[test]
    fn who_answers_announces_asks_or_probes_claims_an_address() {
        let [a, b, none] = [[10, 0, 0, 7], [10, 0, 0, 8], [0; 4]];
        for (what, frame, claimed) in [
            ("a reply", arp(2, a, b), Some(a)),
            ("an announcement", arp(1, a, a), Some(a)),
            ("who asks for another", arp(1, a, b), Some(a)),
            ("a probe", arp(1, none, a), Some(a)),
            ("a reply of nobody", arp(2, none, a), None),
            ("RARP", arp(3, a, b), None),
            ("cut short", arp(2, a, b)[..41].to_vec(), None),
            ("not ARP", [0; 60].to_vec(), None),
            ("nothing", Vec::new(), None),
        ] {
            assert_eq!(claim(&frame), claimed.map(|ip| (ip.into(), OTHER)), "{what}");
        }
        let mut padded = arp(2, a, b);
        padded.resize(60, 0);
        assert_eq!(claim(&padded), Some((a.into(), OTHER)));
    }
}
