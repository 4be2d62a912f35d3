use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use bootcode_core::{
    boot::Site,
    clock::Timestamp,
    document::{DhcpMode, Hardware, HardwareSpec, Network, NetworkSpec},
    policy::DefaultPolicy,
    source::Work,
};
use bootcode_dhcp::{
    Destination, Facts, Packet, Query, ReplyType, Response, RxMeta, Sending, ServerPort, Standing, Verdict,
    classify, limits, respond,
};
use serde_json::json;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 1);
const POOLED: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 100);

/// Whatever asks, in every mode: silence, or a reply of bounded size that belongs to its request and goes where RFC 2131 4.1 says.
pub fn dhcp_respond(bytes: &[u8]) {
    let Ok(packet) = Packet::decode(bytes) else { return };
    for port in [ServerPort::Dhcp, ServerPort::Proxy] {
        // Where a client without an address is; one with an address; a reflector's victims.
        for source in [Ipv4Addr::UNSPECIFIED, POOLED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
            let rx = RxMeta { source: SocketAddrV4::new(source, 68), port, to: None };
            let Verdict::Answer(query) = classify(&packet, &rx) else { continue };
            assert!(!source.is_broadcast() && !source.is_multicast(), "{source} is answered");
            assert_eq!((packet.op, packet.htype, packet.hlen), (1, 1, 6), "a request of an Ethernet client");
            answers(&packet, &query);
        }
    }
}

fn answers(packet: &Packet<'_>, query: &Query) {
    let machine = hardware(query);
    let site = Site { addresses: vec![SERVER], http_port: 7080, disk_loader: true };
    let may = |clear| Standing::May { ip: POOLED, clear, leased: None };
    for mode in [DhcpMode::None, DhcpMode::Proxy, DhcpMode::Authoritative] {
        let network = network(mode);
        for work in [Work::Idle, Work::Provision { workflow: "w".to_owned() }] {
            let standings = [None, Some(may(true)), Some(may(false)), Some(Standing::Exhausted)];
            for hardware in [None, Some(&machine)] {
                for lease in standings {
                    let facts = Facts { hardware, network: Some(&network), work: &work, lease };
                    let decide = || respond(query, &facts, &DefaultPolicy, &site, Timestamp::UNIX_EPOCH);
                    let verdict = decide();
                    assert_eq!(decide(), verdict, "the same each time");
                    match verdict {
                        Verdict::Answer(response) => {
                            assert_ne!(mode, DhcpMode::None, "nothing is answered where DHCP is off");
                            check(packet, query, mode, &response);
                        }
                        Verdict::Ignore(reason) => assert!(!reason.to_string().is_empty()),
                    }
                }
            }
        }
        let nowhere = Facts { hardware: Some(&machine), network: None, work: &Work::Idle, lease: None };
        let verdict = respond(query, &nowhere, &DefaultPolicy, &site, Timestamp::UNIX_EPOCH);
        assert!(matches!(verdict, Verdict::Ignore(_)), "no Network, no answer");
    }
}

fn check(packet: &Packet<'_>, query: &Query, mode: DhcpMode, response: &Response) {
    match response {
        Response::Send(sending) => reply(packet, query, mode, sending),
        Response::Commit(commit) => {
            assert_eq!(mode, DhcpMode::Authoritative, "a proxy leases nothing");
            check(packet, query, mode, &commit.then);
            if let Some(otherwise) = &commit.otherwise {
                check(packet, query, mode, otherwise);
            }
        }
        Response::Probe { .. } | Response::Noted(_) => {}
    }
}

fn reply(packet: &Packet<'_>, query: &Query, mode: DhcpMode, sending: &Sending) {
    let encoded = sending.reply.encode();
    assert!((limits::REPLY_MIN_BYTES..=limits::REPLY_MAX_BYTES).contains(&encoded.bytes.len()));
    let reply = Packet::decode(&encoded.bytes).expect("our reply is well-formed");
    assert_eq!((reply.op, reply.xid, reply.chaddr), (2, packet.xid, packet.chaddr));
    assert_eq!(reply.giaddr, packet.giaddr);
    assert!(mode == DhcpMode::Authoritative || reply.yiaddr.is_unspecified(), "a proxy gives no address");
    let relayed = !query.giaddr.is_unspecified();
    match sending.to {
        Destination::Peer(peer) => assert_eq!((query.rx.port, peer), (ServerPort::Proxy, query.rx.source)),
        Destination::Relay(relay) => assert_eq!(relay, query.giaddr),
        Destination::Configured(ip) => assert_eq!((relayed, ip), (false, query.ciaddr)),
        Destination::Unconfigured { mac, ip } => {
            assert_eq!((relayed, mac, ip), (false, query.mac, reply.yiaddr));
            assert_ne!(sending.reply.kind, ReplyType::Nak);
        }
        Destination::Broadcast => assert!(!relayed),
    }
}

fn hardware(query: &Query) -> Hardware {
    let interface = json!({"id": "nic0", "mac": query.mac.to_string(), "network": "lab", "ip": "192.168.99.11", "netboot": true});
    let spec: HardwareSpec = serde_json::from_value(json!({"interfaces": [interface]})).expect("a machine");
    Hardware { name: "node-1".to_owned(), labels: BTreeMap::new(), spec }
}

fn network(mode: DhcpMode) -> Network {
    let mut spec: NetworkSpec = serde_json::from_value(json!({
        "cidr": "192.168.99.0/24", "gateway": "192.168.99.1", "pool": ["192.168.99.100-192.168.99.199"],
    }))
    .expect("a network");
    spec.dhcp.mode = mode;
    Network { name: "lab".to_owned(), spec }
}
