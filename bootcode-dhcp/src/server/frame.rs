//! An Ethernet frame with a UDP datagram, for a client that does not answer ARP yet (RFC 2131 4.1).

use std::net::Ipv4Addr;

use bootcode_core::mac::MacAddr;

const IPV4_BYTES: usize = 20;
const UDP_BYTES: usize = 8;

/// From where to where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) from: (MacAddr, Ipv4Addr, u16),
    pub(super) to: (MacAddr, Ipv4Addr, u16),
}

/// The frame; `None` where the payload is too long for one.
pub(super) fn frame(ends: &Ends, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_bytes = u16::try_from(UDP_BYTES + payload.len()).ok()?;
    let ip_bytes = u16::try_from(IPV4_BYTES).ok()?.checked_add(udp_bytes)?;
    let ((from_mac, from_ip, from_port), (to_mac, to_ip, to_port)) = (ends.from, ends.to);

    let mut ip = Vec::with_capacity(IPV4_BYTES);
    // Version 4, five words; no differentiated service; do not fragment; 64 hops; UDP (RFC 791 3.1).
    ip.extend_from_slice(&[0x45, 0]);
    ip.extend_from_slice(&ip_bytes.to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&from_ip.octets());
    ip.extend_from_slice(&to_ip.octets());
    let sum = checksum(&[&ip]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());

    let mut udp = Vec::with_capacity(UDP_BYTES);
    for word in [from_port, to_port, udp_bytes, 0] {
        udp.extend_from_slice(&word.to_be_bytes());
    }
    let [high, low] = udp_bytes.to_be_bytes();
    // A sum of zero means "none" and is sent as its other form (RFC 768).
    let sum = match checksum(&[&ip[12..20], &[0, 17, high, low], &udp, payload]) {
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());

    Some([&to_mac.0[..], &from_mac.0, &[0x08, 0x00], &ip, &udp, payload].concat())
}

/// RFC 1071; every part but the last has an even length.
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded to 16 bits above.
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 3: a receiver sums everything, the checksum included, and finds all ones.
    #[test]
    fn both_checksums_verify_as_a_receiver_does_it() {
        for payload in [&b""[..], b"a", b"ab", &[0xff; 301], &[0; 548]] {
            let ends = Ends {
                from: (MacAddr([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 1), 67),
                to: (MacAddr([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(10, 0, 0, 2), 68),
            };
            let frame = frame(&ends, payload).unwrap();
            let (ethernet, datagram) = frame.split_at(14);
            assert_eq!(ethernet, [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
            let (ip, udp) = datagram.split_at(IPV4_BYTES);
            assert_eq!(checksum(&[ip]), 0);
            assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), datagram.len());
            assert_eq!(usize::from(u16::from_be_bytes([udp[4], udp[5]])), udp.len());
            assert_eq!(checksum(&[&ip[12..20], &[0, 17, udp[4], udp[5]], udp]), 0);
        }
    }

    #[test]
    fn what_no_datagram_can_hold_makes_no_frame() {
        let end = (MacAddr([2; 6]), Ipv4Addr::LOCALHOST, 67);
        assert_eq!(frame(&Ends { from: end, to: end }, &[0; 65_530]), None);
    }
}
