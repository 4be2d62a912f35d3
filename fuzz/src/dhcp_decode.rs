use std::net::{Ipv4Addr, SocketAddrV4};

use bootcode_dhcp::{Packet, RxMeta, ServerPort, Verdict, classify};

/// A packet is read or refused; whatever is read is classified, the same each time.
pub fn dhcp_decode(bytes: &[u8]) {
    let Ok(packet) = Packet::decode(bytes) else { return };
    assert!(packet.hlen <= 16);
    let kept: usize = packet.options().map(|(_, data)| data.len()).sum();
    assert!(kept <= bytes.len(), "{kept} bytes of options in a packet of {}", bytes.len());
    for port in [ServerPort::Dhcp, ServerPort::Proxy] {
        let rx = RxMeta { source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68), port, to: None };
        let verdict = classify(&packet, &rx);
        if let Verdict::Answer(query) = &verdict {
            assert_eq!((query.xid, query.chaddr), (packet.xid, packet.chaddr));
            assert!(query.mac.is_unicast(), "{} is answered", query.mac);
        }
        assert_eq!(classify(&packet, &rx), verdict);
    }
}
