//! Whatever arrives: no panic, the right transaction, bounds kept.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::Ipv4Addr;

use bootcode_core::document::DhcpMode;
use bootcode_dhcp::{Destination, Packet, Response, Sending, ServerPort, Verdict, classify};
use common::{Ask, MAC, World, XID};
use proptest::prelude::*;

fn mode() -> impl Strategy<Value = DhcpMode> {
    prop_oneof![Just(DhcpMode::None), Just(DhcpMode::Proxy), Just(DhcpMode::Authoritative)]
}

/// What holds of every reply.
fn check(sending: &Sending, ask: &Packet<'_>, mode: DhcpMode) -> Result<(), TestCaseError> {
    let encoded = sending.reply.encode();
    prop_assert!((300..=1472).contains(&encoded.bytes.len()));
    let reply = Packet::decode(&encoded.bytes).expect("our reply is well-formed");
    prop_assert_eq!(reply.op, 2);
    prop_assert_eq!(reply.xid, ask.xid);
    prop_assert_eq!(reply.chaddr, ask.chaddr);
    prop_assert_eq!(reply.giaddr, ask.giaddr);
    prop_assert_eq!(encoded.bytes[240], 53, "the message type is first");
    let relay_bytes = ask.option(82).map_or(0, |data| data.len() + 2 * data.len().div_ceil(255).max(1));
    prop_assert!(encoded.bytes.len() <= sending.reply.max_bytes + relay_bytes, "the client takes no more");
    for option in &sending.reply.options {
        let read = reply.option(option.code) == Some(&option.data[..]);
        prop_assert!(
            read || encoded.left_out.contains(&option.code),
            "option {} is lost unsaid",
            option.code
        );
    }
    if !encoded.left_out.contains(&82) {
        prop_assert_eq!(reply.option(82), ask.option(82), "option 82 is echoed");
    }
    prop_assert_ne!(mode, DhcpMode::None, "nothing is sent where DHCP is off");
    if mode == DhcpMode::Proxy {
        prop_assert!(reply.yiaddr.is_unspecified(), "a proxy gives no address");
    }
    let relayed = !ask.giaddr.is_unspecified();
    prop_assert_eq!(
        relayed,
        matches!(sending.to, Destination::Relay(_))
            || (relayed && matches!(sending.to, Destination::Peer(_)))
    );
    Ok(())
}

/// What makes a packet one that no machine of ours sends.
#[derive(Debug, Clone)]
enum Fault {
    Op(u8),
    Htype(u8),
    Hlen(u8),
    Group(u8),
    Source([u8; 4]),
    Relay([u8; 4]),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700), cookie in any::<bool>(), port in any::<bool>()) {
        let mut bytes = bytes;
        if cookie && bytes.len() >= 240 {
            bytes[..3].copy_from_slice(&[1, 1, 6]);
            bytes[28..34].copy_from_slice(&MAC.0);
            bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        }
        let mut rx = Ask::new(1).rx;
        if port { rx.port = ServerPort::Proxy; }
        if let Ok(packet) = Packet::decode(&bytes) {
            let _ = classify(&packet, &rx);
        }
    }

    #[test]
    fn every_reply_belongs_to_its_request(
        kind in 0..20u8,
        options in proptest::collection::vec((1..255u8, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        likely in proptest::collection::vec((prop_oneof![Just(43u8), Just(50), Just(54), Just(55), Just(57), Just(60), Just(77), Just(82), Just(93), Just(97), Just(175)],
            prop_oneof![Just(vec![192, 168, 99, 1]), Just(vec![192, 168, 99, 11]), Just(b"PXEClient:Arch:00007".to_vec()), Just(b"HTTPClient".to_vec()), Just(b"iPXE".to_vec()), Just(vec![0, 7]), proptest::collection::vec(any::<u8>(), 0..300)]), 0..8),
        ciaddr in prop_oneof![Just([0, 0, 0, 0]), Just([192, 168, 99, 11]), any::<[u8; 4]>()],
        giaddr in prop_oneof![Just([0, 0, 0, 0]), Just([192, 168, 99, 254]), any::<[u8; 4]>()],
        flags in any::<[u8; 2]>(),
        proxy_port in any::<bool>(),
        idle in any::<bool>(),
        declared in 1..400usize,
        mode in mode(),
    ) {
        let mut ask = Ask::new(kind).at(10, &flags).ciaddr(ciaddr.into()).giaddr(giaddr.into());
        for (code, data) in likely.iter().chain(&options) {
            ask = ask.option(*code, data);
        }
        if proxy_port { ask = ask.via_4011("192.168.99.11:4011"); }
        let mut world = World::new(mode);
        if idle { world = world.idle(); }
        // Of any length, so that the fields of the header are used and long ones split.
        let option = format!(r#"[{{"code": 224, "hex": "{}", "always": true}}]"#, "5a".repeat(declared));
        world.network.as_mut().unwrap().spec.dhcp.options = serde_json::from_str(&option).unwrap();
        let bytes = ask.bytes();
        let Ok(packet) = Packet::decode(&bytes) else { return Ok(()) };
        prop_assert_eq!(packet.xid, XID);
        if let (Verdict::Answer(Response::Send(sending)), _) = world.ask(&ask) {
            check(&sending, &packet, mode)?;
        }
    }

    /// What no machine sends is silence with a reason, whatever else it says, in each mode and on both ports.
    #[test]
    fn what_no_machine_sends_is_never_answered(
        kind in 1..9u8,
        options in proptest::collection::vec((prop_oneof![Just(50u8), Just(54), Just(60), Just(61), Just(77), Just(82), Just(93)],
            prop_oneof![Just(vec![192, 168, 99, 1]), Just(vec![192, 168, 99, 11]), Just(b"PXEClient:Arch:00007".to_vec()), Just(vec![0, 7])]), 0..8),
        ciaddr in prop_oneof![Just([0, 0, 0, 0]), Just([192, 168, 99, 11])],
        giaddr in prop_oneof![Just([0, 0, 0, 0]), Just([192, 168, 99, 254])],
        proxy_port in any::<bool>(),
        mode in mode(),
        fault in prop_oneof![
            any::<u8>().prop_filter("a request", |op| *op != 1).prop_map(Fault::Op),
            any::<u8>().prop_filter("Ethernet", |htype| *htype != 1).prop_map(Fault::Htype),
            any::<u8>().prop_filter("Ethernet", |hlen| *hlen != 6).prop_map(Fault::Hlen),
            (0..128u8).prop_map(|byte| Fault::Group(byte * 2 + 1)),
            prop_oneof![Just([255; 4]), (224..240u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| [a, b, c, d])].prop_map(Fault::Source),
            (1..255u8, any::<[u8; 3]>()).prop_filter("not inside", |(a, [b, c, _])| [*a, *b, *c] != [192, 168, 99])
                .prop_map(|(a, [b, c, d])| Fault::Relay([a, b, c, d])),
        ],
    ) {
        let mut ask = Ask::new(kind).ciaddr(ciaddr.into()).giaddr(giaddr.into());
        for (code, data) in &options {
            ask = ask.option(*code, data);
        }
        if proxy_port { ask = ask.via_4011("192.168.99.11:4011"); }
        ask = match fault {
            Fault::Op(op) => ask.at(0, &[op]),
            Fault::Htype(htype) => ask.at(1, &[htype]),
            Fault::Hlen(hlen) => ask.at(2, &[hlen]),
            Fault::Group(byte) => ask.at(28, &[byte]),
            Fault::Source(ip) => ask.from(&format!("{}:68", Ipv4Addr::from(ip))),
            Fault::Relay(giaddr) => ask.giaddr(giaddr.into()),
        };
        if Packet::decode(&ask.bytes()).is_ok() {
            let (verdict, _) = World::new(mode).ask(&ask);
            prop_assert!(matches!(verdict, Verdict::Ignore(_)), "{:?}", verdict);
        }
    }
}
