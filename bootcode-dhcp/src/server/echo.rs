//! ICMP echo (RFC 792), for addresses behind a relay: there ARP does not reach.

use std::net::Ipv4Addr;

use super::frame::checksum;

const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Tells our echoes from others' on this host; the sequence number is the low half of the address.
const IDENTIFIER: u16 = 0xb007;

/// An echo request for this address.
pub(super) fn request(ip: Ipv4Addr) -> [u8; 8] {
    let [.., high, low] = ip.octets();
    let [id_high, id_low] = IDENTIFIER.to_be_bytes();
    let mut message = [ECHO, 0, 0, 0, id_high, id_low, high, low];
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Who answers one of ours with this datagram, its IP header before it.
pub(super) fn answered(datagram: &[u8]) -> Option<Ipv4Addr> {
    let header = usize::from(datagram.first()? & 0x0f) * 4;
    let source: [u8; 4] = datagram.get(12..16)?.try_into().ok()?;
    let message = datagram.get(header.max(20)..)?.get(..8)?;
    let ours = message[0] == ECHO_REPLY
        && message[4..6] == IDENTIFIER.to_be_bytes()
        && message[6..8] == source[2..4];
    ours.then(|| source.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_comes_back_as_its_answer_and_others_do_not() {
        let ip = Ipv4Addr::new(10, 1, 2, 3);
        let request = request(ip);
        assert_eq!(checksum(&[&request]), 0);
        let mut datagram = vec![0x45; 20];
        datagram[12..16].copy_from_slice(&ip.octets());
        datagram.extend_from_slice(&request);
        assert_eq!(answered(&datagram), None, "a request is no answer");
        datagram[20] = 0;
        assert_eq!(answered(&datagram), Some(ip));
        for (at, value) in [(12, 11), (15, 9), (24, 0), (26, 0)] {
            let mut other = datagram.clone();
            other[at] = value;
            assert_ne!(answered(&other), Some(ip), "byte {at}");
        }
        for end in 0..datagram.len() {
            assert_eq!(answered(&datagram[..end]), None);
        }
    }
}
