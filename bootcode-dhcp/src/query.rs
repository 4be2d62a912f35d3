//! What a client asks: a [`Query`], made of a [`Packet`] without any look-up.

use std::net::{Ipv4Addr, SocketAddrV4};

use bootcode_core::{mac::MacAddr, source::CircuitKey, timeline::Reason};

use crate::{
    client::{BootClient, text},
    limits,
    responder::Verdict,
    rival::is_search,
    wire::{BOOTREQUEST, BROADCAST, ETHERNET, Packet, code},
};

/// What the socket knows of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RxMeta {
    /// Where it came from.
    pub source: SocketAddrV4,
    /// Where it arrived.
    pub port: ServerPort,
    /// Our address that it was sent to; `None` for a broadcast. A reply comes from there.
    pub to: Option<Ipv4Addr>,
}

/// The ports that a server listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerPort {
    /// 67.
    Dhcp,
    /// 4011, where PXE clients ask a proxy once more (PXE 2.1, 2.2.5).
    Proxy,
}

impl ServerPort {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Dhcp => 67,
            Self::Proxy => 4011,
        }
    }
}

/// What a client wants (RFC 2131 table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// DHCPDISCOVER.
    Discover,
    /// DHCPREQUEST.
    Request(RequestKind),
    /// DHCPDECLINE: the address is in use already.
    Decline {
        /// Option 50.
        ip: Ipv4Addr,
    },
    /// DHCPRELEASE.
    Release {
        /// `ciaddr`.
        ip: Ipv4Addr,
    },
    /// DHCPINFORM: it has an address and wants the rest.
    Inform,
}

/// The state that a DHCPREQUEST was sent in, told apart as RFC 2131 4.3.2 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// It answers an offer: option 54 names the server that it chose.
    Selecting {
        /// Option 54.
        server: Ipv4Addr,
        /// Option 50.
        ip: Ipv4Addr,
    },
    /// It remembers an address and verifies it.
    InitReboot {
        /// Option 50.
        ip: Ipv4Addr,
    },
    /// It has the address and wants it for longer: renewing by unicast, rebinding by broadcast. A reservation answers both alike.
    Extending {
        /// `ciaddr`.
        ip: Ipv4Addr,
    },
    /// It asks port 4011 for boot information and wants no address.
    BootServer,
}

/// One well-formed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What is asked.
    pub message: Message,
    /// How it came.
    pub rx: RxMeta,
    /// Transaction.
    pub xid: u32,
    /// Flags, as they came.
    pub flags: u16,
    /// The client's address, when it has one.
    pub ciaddr: Ipv4Addr,
    /// The relay's address, else unspecified.
    pub giaddr: Ipv4Addr,
    /// Hardware address, padded, as it came.
    pub chaddr: [u8; 16],
    /// The interface that asks.
    pub mac: MacAddr,
    /// The program that asks.
    pub client: BootClient,
    /// Option 55 in its order; `None` where the client leaves the choice to us.
    pub parameters: Option<Vec<u8>>,
    /// Option 61, echoed (RFC 6842).
    pub client_id: Option<Vec<u8>>,
    /// Option 80: it would take its ACK at once (RFC 4039).
    pub rapid_commit: bool,
    /// Option 50 of a DISCOVER: the address that it would like.
    pub requested_ip: Option<Ipv4Addr>,
    /// Option 82, echoed (RFC 3046).
    pub relay_agent: Option<Vec<u8>>,
    /// Option 12: what the client calls itself.
    pub hostname: Option<String>,
    /// The link that a relay means where `giaddr` is not on it (RFC 3527), or the client by option 118 (RFC 3011).
    pub link: Option<Ipv4Addr>,
    /// Bytes that the client takes, headers of IP and UDP apart.
    pub max_bytes: usize,
}

impl Query {
    /// Whether the client cannot take unicast before it has its address (RFC 2131 4.1).
    #[must_use]
    pub const fn broadcast(&self) -> bool {
        self.flags & BROADCAST != 0
    }

    /// The address that a REQUEST is for.
    #[must_use]
    pub const fn named(&self) -> Option<Ipv4Addr> {
        match self.message {
            Message::Request(
                RequestKind::Selecting { ip, .. }
                | RequestKind::InitReboot { ip }
                | RequestKind::Extending { ip },
            ) => Some(ip),
            _ => None,
        }
    }

    /// The switch port that a relay agent heard it on. Without a relay agent option 82 is the client's own word, and not believed.
    #[must_use]
    pub fn circuit(&self) -> Option<CircuitKey> {
        let data = self.relay_agent.as_deref().filter(|_| !self.giaddr.is_unspecified())?;
        let id = |code| sub_option(data, code).filter(|id| !id.is_empty()).map(<[u8]>::to_vec);
        let key = CircuitKey { relay: self.giaddr, circuit_id: id(1), remote_id: id(2), mac: self.mac };
        (key.circuit_id.is_some() || key.remote_id.is_some()).then_some(key)
    }

    /// Whether the client wants this option: it asked for it, or asked for nothing in particular.
    #[must_use]
    pub fn wants(&self, code: u8) -> bool {
        self.parameters.as_ref().is_none_or(|list| list.contains(&code))
    }
}

/// Turns a packet into a question, or says why it is none of ours.
#[must_use]
pub fn classify(packet: &Packet<'_>, rx: &RxMeta) -> Verdict<Query> {
    match query(packet, rx) {
        Ok(query) => Verdict::Answer(query),
        Err(reason) => Verdict::Ignore(reason),
    }
}

fn query(packet: &Packet<'_>, rx: &RxMeta) -> Result<Query, Reason> {
    if packet.op != BOOTREQUEST {
        return Err(Reason::NotARequest);
    }
    let source = *rx.source.ip();
    if source.is_broadcast() || source.is_multicast() || (packet.htype, packet.hlen) != (ETHERNET, 6) {
        return Err(Reason::Malformed);
    }
    let [a, b, c, d, e, f, ..] = packet.chaddr;
    let mac = MacAddr([a, b, c, d, e, f]);
    if !mac.is_unicast() {
        return Err(Reason::Malformed);
    }
    if is_search(packet) {
        return Err(Reason::ServerSearch);
    }
    let relay_agent = packet.option(code::RELAY_AGENT);
    Ok(Query {
        message: message(packet, rx.port)?,
        rx: *rx,
        xid: packet.xid,
        flags: packet.flags,
        ciaddr: packet.ciaddr,
        giaddr: packet.giaddr,
        chaddr: packet.chaddr,
        mac,
        client: BootClient::read(packet),
        parameters: packet.option(code::PARAMETER_LIST).map(<[u8]>::to_vec),
        client_id: packet.option(code::CLIENT_ID).map(<[u8]>::to_vec),
        rapid_commit: packet.option(code::RAPID_COMMIT).is_some(),
        requested_ip: packet.address(code::REQUESTED_IP).filter(|ip| !ip.is_unspecified()),
        relay_agent: relay_agent.map(<[u8]>::to_vec),
        hostname: packet.option(code::HOSTNAME).filter(|data| !data.is_empty()).map(text),
        link: relay_agent.and_then(link_selection).or_else(|| packet.address(code::SUBNET_SELECTION)),
        max_bytes: max_bytes(packet.option(code::MAX_MESSAGE_SIZE)),
    })
}

fn message(packet: &Packet<'_>, port: ServerPort) -> Result<Message, Reason> {
    let Some(&[kind]) = packet.option(code::MESSAGE_TYPE) else { return Err(Reason::Malformed) };
    let ciaddr = Some(packet.ciaddr).filter(|ip| !ip.is_unspecified());
    let requested = packet.address(code::REQUESTED_IP).filter(|ip| !ip.is_unspecified());
    let server = packet.address(code::SERVER_ID).filter(|ip| !ip.is_unspecified());
    match kind {
        1 => Ok(Message::Discover),
        3 if port == ServerPort::Proxy => Ok(Message::Request(RequestKind::BootServer)),
        // Two servers, or part of one: whom it chose cannot be told, and so not that it was us.
        3 if packet.option(code::SERVER_ID).is_some_and(|data| data.len() != 4) => {
            Err(Reason::IllegalRequest)
        }
        3 => match (server, requested, ciaddr) {
            (Some(server), Some(ip), _) => Ok(Message::Request(RequestKind::Selecting { server, ip })),
            (None, Some(ip), None) => Ok(Message::Request(RequestKind::InitReboot { ip })),
            (None, None, Some(ip)) => Ok(Message::Request(RequestKind::Extending { ip })),
            _ => Err(Reason::IllegalRequest),
        },
        4 => requested.map(|ip| Message::Decline { ip }).ok_or(Reason::IllegalRequest),
        7 => ciaddr.map(|ip| Message::Release { ip }).ok_or(Reason::IllegalRequest),
        8 => ciaddr.map(|_| Message::Inform).ok_or(Reason::IllegalRequest),
        2 | 5 | 6 => Err(Reason::NotARequest),
        // Leasequery and its kin (RFC 4388 and later).
        9..=18 => Err(Reason::Unsupported),
        _ => Err(Reason::Malformed),
    }
}

/// Sub-option 5 of option 82 (RFC 3527 3).
fn link_selection(data: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(sub_option(data, 5)?).ok().map(Ipv4Addr::from)
}

/// A sub-option of option 82 (RFC 3046 2.0).
pub(crate) fn sub_option(mut data: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [code, length, tail @ ..] = data {
        let (value, rest) = tail.split_at_checked(usize::from(*length))?;
        if *code == wanted {
            return Some(value);
        }
        data = rest;
    }
    None
}

/// Option 57 counts the headers of IP and UDP, and must not be below 576 (RFC 2132 9.10).
fn max_bytes(option: Option<&[u8]>) -> usize {
    let said = option.and_then(|data| <[u8; 2]>::try_from(data).ok()).map_or(0, u16::from_be_bytes);
    usize::from(said).saturating_sub(28).clamp(limits::REPLY_DEFAULT_BYTES, limits::REPLY_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Options<'a> = &'a [(u8, &'a [u8])];
    type Case<'a> = (u8, Options<'a>, [u8; 4], Result<Message, Reason>);

    const A: [u8; 4] = [10, 0, 0, 1];
    const B: [u8; 4] = [10, 0, 0, 2];

    fn ask(
        kind: u8,
        options: &[(u8, &[u8])],
        ciaddr: [u8; 4],
        change: impl Fn(&mut Vec<u8>),
    ) -> Verdict<Query> {
        let mut bytes = vec![0; 240];
        bytes[..3].copy_from_slice(&[1, 1, 6]);
        bytes[12..16].copy_from_slice(&ciaddr);
        bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend_from_slice(&[53, 1, kind]);
        for (code, data) in options {
            bytes.extend_from_slice(&[*code, data.len() as u8]);
            bytes.extend_from_slice(data);
        }
        change(&mut bytes);
        let rx = RxMeta { source: "0.0.0.0:68".parse().unwrap(), port: ServerPort::Dhcp, to: None };
        classify(&Packet::decode(&bytes).unwrap(), &rx)
    }

    #[test]
    fn requests_are_told_apart_as_rfc_2131_4_3_2_does() {
        use Message::*;
        use RequestKind::*;
        let (a, b) = (Ipv4Addr::from(A), Ipv4Addr::from(B));
        let cases: &[Case<'_>] = &[
            (1, &[], [0; 4], Ok(Discover)),
            (3, &[(54, &A), (50, &B)], [0; 4], Ok(Request(Selecting { server: a, ip: b }))),
            (3, &[(50, &B)], [0; 4], Ok(Request(InitReboot { ip: b }))),
            (3, &[], B, Ok(Request(Extending { ip: b }))),
            (3, &[], [0; 4], Err(Reason::IllegalRequest)),
            (3, &[(54, &A)], [0; 4], Err(Reason::IllegalRequest)),
            (3, &[(50, &B)], B, Err(Reason::IllegalRequest)),
            (3, &[(50, &[])], [0; 4], Err(Reason::IllegalRequest)),
            (3, &[(54, &A), (54, &B), (50, &B)], [0; 4], Err(Reason::IllegalRequest)),
            (3, &[(54, &A[..3]), (50, &B)], [0; 4], Err(Reason::IllegalRequest)),
            (4, &[(50, &B)], [0; 4], Ok(Decline { ip: b })),
            (4, &[], [0; 4], Err(Reason::IllegalRequest)),
            (7, &[], B, Ok(Release { ip: b })),
            (8, &[], B, Ok(Inform)),
            (8, &[], [0; 4], Err(Reason::IllegalRequest)),
            (2, &[], [0; 4], Err(Reason::NotARequest)),
            (13, &[], [0; 4], Err(Reason::Unsupported)),
            (0, &[], [0; 4], Err(Reason::Malformed)),
            (1, &[(53, &[3])], [0; 4], Err(Reason::Malformed)),
        ];
        for (kind, options, ciaddr, expected) in cases {
            let got = match ask(*kind, options, *ciaddr, |_| ()) {
                Verdict::Answer(query) => Ok(query.message),
                Verdict::Ignore(reason) => Err(reason),
            };
            assert_eq!(&got, expected, "{kind} {options:?} {ciaddr:?}");
        }
    }

    #[test]
    fn what_no_machine_sends_is_ignored() {
        let cases: &[(usize, u8, Reason)] = &[
            (0, 2, Reason::NotARequest),
            (1, 6, Reason::Malformed),
            (2, 0, Reason::Malformed),
            (2, 16, Reason::Malformed),
            (28, 0x01, Reason::Malformed),
        ];
        for (at, value, reason) in cases {
            assert_eq!(ask(1, &[], [0; 4], |bytes| bytes[*at] = *value), Verdict::Ignore(*reason), "{at}");
        }
    }

    #[test]
    fn a_relay_agents_port_is_read_and_its_faults_are_not_followed() {
        let relayed = |data: &[u8]| match ask(1, &[(82, data)], [0; 4], |bytes| {
            bytes[24..28].copy_from_slice(&A)
        }) {
            Verdict::Answer(query) => query.circuit().map(|key| (key.relay, key.circuit_id, key.remote_id)),
            Verdict::Ignore(reason) => panic!("{reason}"),
        };
        let a = Ipv4Addr::from(A);
        assert_eq!(relayed(&[1, 1, 7, 2, 2, 8, 9]), Some((a, Some(vec![7]), Some(vec![8, 9]))));
        assert_eq!(relayed(&[2, 1, 8]), Some((a, None, Some(vec![8]))));
        assert_eq!(relayed(&[1, 0, 5, 4, 10, 0, 0, 1]), None);
        assert_eq!(relayed(&[1, 9, 7]), None);
    }

    #[test]
    fn sizes_and_links_are_read_with_tolerance() {
        let query = |options: &[(u8, &[u8])]| match ask(1, options, [0; 4], |_| ()) {
            Verdict::Answer(query) => query,
            Verdict::Ignore(reason) => panic!("{reason}"),
        };
        for (said, bytes) in
            [(&[5, 220][..], 1472), (&[2, 64], 548), (&[0, 1], 548), (&[255, 255], 1472), (&[], 548)]
        {
            assert_eq!(query(&[(57, said)]).max_bytes, bytes, "{said:?}");
        }
        assert_eq!(query(&[(82, &[1, 1, 7, 5, 4, 10, 0, 0, 1])]).link, Some(Ipv4Addr::from(A)));
        assert_eq!(query(&[(82, &[5, 9, 10])]).link, None);
        // What a client says of its own port, without a relay agent.
        assert_eq!(query(&[(82, &[1, 1, 7])]).circuit(), None);
        assert_eq!(query(&[(118, &B)]).link, Some(Ipv4Addr::from(B)));
    }
}
