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

/// What a frame carries by UDP to this port; `None` for anything else, and for fragments. Sums are not looked at: the system computes them
/// after frames of its own machine were heard.
pub(super) fn payload(frame: &[u8], port: u16) -> Option<&[u8]> {
    let ip = frame.strip_prefix(frame.get(..12)?)?.strip_prefix(&[0x08, 0x00])?;
    let header = usize::from(ip.first().filter(|first| *first >> 4 == 4)? & 0x0f) * 4;
    let fragment = u16::from_be_bytes([*ip.get(6)?, *ip.get(7)?]) & 0x3fff != 0;
    if fragment || *ip.get(9)? != 17 || header < IPV4_BYTES {
        return None;
    }
    let udp = ip.get(header..)?;
    let to = u16::from_be_bytes([*udp.get(2)?, *udp.get(3)?]);
    let bytes = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    udp.get(UDP_BYTES..bytes).filter(|_| to == port)
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
    fn a_frame_is_read_as_it_was_made_and_others_are_passed_over() {
        let end = |last, port| (MacAddr([2, 0, 0, 0, 0, last]), Ipv4Addr::new(10, 0, 0, last), port);
        let mut made = frame(&Ends { from: end(1, 67), to: end(2, 68) }, b"payload").unwrap();
        made.resize(60, 0);
        assert_eq!(payload(&made, 68), Some(&b"payload"[..]), "without the padding");
        assert_eq!(payload(&made, 67), None);
        for (at, value) in
            [(13, 6), (14, 0x65), (14, 0x44), (14, 0x4f), (20, 0x20), (21, 1), (23, 6), (39, 7), (39, 99)]
        {
            let mut other = made.clone();
            other[at] = value;
            assert_eq!(payload(&other, 68), None, "{at}: {value}");
        }
        for length in 0..49 {
            assert_eq!(payload(&made[..length], 68), None, "{length}");
        }
    }

    #[test]
    fn what_no_datagram_can_hold_makes_no_frame() {
        let end = (MacAddr([2; 6]), Ipv4Addr::LOCALHOST, 67);
        assert_eq!(frame(&Ends { from: end, to: end }, &[0; 65_530]), None);
    }
}
