//! The few rtnetlink messages that bring a card up (rtnetlink(7)), as bytes, without a socket.

use std::net::IpAddr;

use ipnet::IpNet;

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;

const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_F_NODAD: u8 = 0x2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;

/// Sets the interface `index` up.
pub fn link_up(index: u32) -> Vec<u8> {
    Message::new(RTM_NEWLINK, 0).link_header(index, IFF_UP, IFF_UP).finish()
}

/// Makes the VLAN interface `name` with `id` on the interface `parent`.
pub fn add_vlan(parent: u32, id: u16, name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    attribute(&mut data, IFLA_VLAN_ID, &id.to_ne_bytes());
    let mut info = Vec::new();
    attribute(&mut info, IFLA_INFO_KIND, b"vlan\0");
    attribute(&mut info, IFLA_INFO_DATA, &data);
    Message::new(RTM_NEWLINK, NLM_F_CREATE)
        .link_header(0, 0, 0)
        .attribute(IFLA_LINK, &parent.to_ne_bytes())
        .attribute(IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat())
        .attribute(IFLA_LINKINFO, &info)
        .finish()
}

/// Gives the interface `index` an address; the kernel adds the route of its network.
pub fn add_address(index: u32, address: IpNet) -> Vec<u8> {
    let (family, flags) = match address {
        IpNet::V4(_) => (AF_INET, 0),
        // Nobody else has this address: waiting for duplicate detection would only delay the worker.
        IpNet::V6(_) => (AF_INET6, IFA_F_NODAD),
    };
    let local = octets(address.addr());
    let message = Message::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE)
        .bytes(&[family, address.prefix_len(), flags, RT_SCOPE_UNIVERSE])
        .bytes(&index.to_ne_bytes())
        .attribute(IFA_LOCAL, &local)
        .attribute(IFA_ADDRESS, &local);
    match address {
        IpNet::V4(v4) if v4.prefix_len() < 31 => {
            message.attribute(IFA_BROADCAST, &v4.broadcast().octets()).finish()
        }
        _ => message.finish(),
    }
}

/// Sends all else to `gateway` through the interface `index`. `on_link` for a gateway that is
/// outside the interface's own network.
pub fn add_default_route(index: u32, gateway: IpAddr, on_link: bool) -> Vec<u8> {
    let family = if gateway.is_ipv4() { AF_INET } else { AF_INET6 };
    let flags = if on_link { RTNH_F_ONLINK } else { 0 };
    Message::new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE)
        .bytes(&[family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST])
        .bytes(&flags.to_ne_bytes())
        .attribute(RTA_GATEWAY, &octets(gateway))
        .attribute(RTA_OIF, &index.to_ne_bytes())
        .finish()
}

/// The errno that an answer to one of these messages carries, 0 when it was done; `None` when
/// `reply` is not an acknowledgement.
pub fn acknowledged(reply: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(reply.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(reply.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then(|| code.wrapping_neg())
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const HEADER_BYTES: usize = 16;

struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
        bytes.resize(HEADER_BYTES, 0);
        Self(bytes)
    }

    fn link_header(self, index: u32, flags: u32, change: u32) -> Self {
        self.bytes(&[0; 4])
            .bytes(&index.to_ne_bytes())
            .bytes(&flags.to_ne_bytes())
            .bytes(&change.to_ne_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        attribute(&mut self.0, kind, value);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// Appends one attribute, padded to four bytes; its length does not count the padding.
fn attribute(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    to.extend_from_slice(&length.to_ne_bytes());
    to.extend_from_slice(&kind.to_ne_bytes());
    to.extend_from_slice(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn an_address_is_encoded_as_iproute2_sends_it() {
        let bytes = add_address(2, "192.168.99.11/24".parse().unwrap());
        let expected = [
            48, 0, 0, 0, 20, 0, 0x05, 0x05, 0, 0, 0, 0, 0, 0, 0,
            0, // header: length, RTM_NEWADDR, flags
            2, 24, 0, 0, 2, 0, 0, 0, // AF_INET, /24, universe, index 2
            8, 0, 2, 0, 192, 168, 99, 11, // IFA_LOCAL
            8, 0, 1, 0, 192, 168, 99, 11, // IFA_ADDRESS
            8, 0, 4, 0, 192, 168, 99, 255, // IFA_BROADCAST
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn every_message_says_its_own_length_and_is_padded() {
        let messages = [
            link_up(3),
            add_vlan(2, 12, "eth0.12"),
            add_address(2, "fd00::b/64".parse().unwrap()),
            add_address(2, "10.0.0.1/31".parse().unwrap()),
            add_default_route(2, "10.0.0.1".parse().unwrap(), true),
        ];
        for message in messages {
            let length = u32::from_ne_bytes(message[..4].try_into().unwrap());
            assert_eq!(length as usize, message.len());
            assert_eq!(message.len() % 4, 0);
        }
    }

    #[test]
    fn an_answer_gives_its_errno_and_anything_else_gives_nothing() {
        let mut reply = vec![0; 36];
        reply[4] = 2;
        assert_eq!(acknowledged(&reply), Some(0));
        reply[16..20].copy_from_slice(&(-17i32).to_ne_bytes());
        assert_eq!(acknowledged(&reply), Some(17));
        reply[4] = 16;
        assert_eq!(acknowledged(&reply), None);
        assert_eq!(acknowledged(&reply[..10]), None);
    }
}
