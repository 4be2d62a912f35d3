//! What is no proper request, and the closed reason why nothing or a NAK comes back.

use std::{fmt::Write as _, net::Ipv4Addr};

use bootcode_core::document::DhcpMode;
use bootcode_dhcp::{Packet, Verdict, classify, code};

use crate::{
    DECLINE, DISCOVER, INFORM, OTHER, RELEASE, REQUEST,
    common::{Ask, NODE, SERVER, World},
};

/// What becomes of bytes: the fault of their form, or the reason of the responder.
fn outcome(world: &World, ask: &Ask, bytes: &[u8]) -> String {
    match Packet::decode(bytes) {
        Err(error) => format!("malformed: {error}"),
        Ok(packet) => match classify(&packet, &ask.rx) {
            Verdict::Ignore(reason) => format!("ignored: {reason:?}"),
            Verdict::Answer(_) => {
                let text = world.text(ask);
                text.lines().filter(|line| !line.starts_with("event")).take(1).collect()
            }
        },
    }
}

#[test]
fn every_bad_packet_has_its_reason() {
    let world = &World::new(DhcpMode::Authoritative);
    let discover = || Ask::new(DISCOVER);
    let mut text = String::new();
    let mut row = |name: &str, ask: Ask| {
        let bytes = ask.bytes();
        writeln!(text, "{name:<46} {}", outcome(world, &ask, &bytes)).unwrap();
    };
    row("hlen 0", discover().at(2, &[0]));
    row("hlen 16", discover().at(2, &[16]));
    row("hlen 255", discover().at(2, &[255]));
    row("htype of Infiniband", discover().at(1, &[32]));
    row("chaddr of many", discover().at(28, &[0xff; 6]));
    row("chaddr of a group", discover().at(28, &[1]));
    row("chaddr of nobody", discover().at(28, &[0; 6]));
    row("from 255.255.255.255", discover().from("255.255.255.255:68"));
    row("from a group", discover().from("224.0.0.1:68"));
    row("a reply played back", Ask::new(2).at(0, &[2]));
    row("an OFFER that says it is a request", Ask::new(2));
    row("an ACK that says it is a request", Ask::new(5));
    row("a NAK that says it is a request", Ask::new(6));
    row("no message type", Ask::without_type());
    row("two message types", discover().option(code::MESSAGE_TYPE, &[REQUEST]));
    row("message type 0", Ask::new(0));
    row("message type 255", Ask::new(255));
    row("a leasequery", Ask::new(10));
    row("no cookie", discover().at(236, &[0]));
    row("another cookie", discover().at(236, &[1, 2, 3, 4]));
    row("REQUEST of nothing", Ask::new(REQUEST));
    row("REQUEST with 50 and ciaddr", Ask::new(REQUEST).ciaddr(NODE).option(50, &OTHER.octets()));
    row("REQUEST with 50 of 3 bytes", Ask::new(REQUEST).option(50, &[192, 168, 99]));
    row("REQUEST of 0.0.0.0", Ask::new(REQUEST).option(50, &[0; 4]));
    row("REQUEST for another's address: NAK", Ask::new(REQUEST).option(50, &OTHER.octets()));
    row("REQUEST to another server", Ask::new(REQUEST).selecting(OTHER, NODE));
    row("DECLINE of nothing", Ask::new(DECLINE));
    row("RELEASE of nothing", Ask::new(RELEASE));
    row("RELEASE of another's", Ask::new(RELEASE).ciaddr(OTHER));
    row("INFORM of nobody", Ask::new(INFORM));
    row("giaddr that is no relay of ours", discover().giaddr([10, 9, 9, 9].into()));
    row("giaddr of a group", discover().giaddr([224, 0, 0, 1].into()));
    row("giaddr of all", discover().giaddr([255; 4].into()));
    row("giaddr of this host", discover().giaddr([127, 0, 0, 1].into()));
    for ip in [[255; 4], [224, 0, 0, 1], [127, 0, 0, 1], [0, 0, 0, 7], [192, 168, 99, 255], [203, 0, 113, 9]]
    {
        let ip = Ipv4Addr::from(ip);
        row(&format!("INFORM of {ip}"), Ask::new(INFORM).ciaddr(ip));
        row(&format!("renewing {ip}"), Ask::new(REQUEST).ciaddr(ip));
    }
    row("REQUEST to two servers", Ask::new(REQUEST).selecting(SERVER, NODE).option(54, &OTHER.octets()));
    row("REQUEST of two addresses", Ask::new(REQUEST).option(50, &NODE.octets()).option(50, &OTHER.octets()));
    row("DISCOVER that names us as its server", discover().selecting(SERVER, OTHER));
    row("DISCOVER with a ciaddr", discover().ciaddr(OTHER));
    row("DECLINE of another's", Ask::new(DECLINE).selecting(SERVER, OTHER));
    row("yiaddr and siaddr filled in", discover().at(16, &[192, 168, 99, 77, 192, 168, 99, 78]));
    row("option 52 of 255", discover().option(52, &[255]).at(108, &[52, 1, 3, 255]));
    row("option 52 that names itself", discover().option(52, &[3]).at(108, &[52, 1, 3, 52, 1, 3, 255]));
    row("option 57 of 0", discover().option(57, &[0, 0]));
    row("option 82 that ends within itself", discover().option(82, &[1, 200, 1]));
    row("option 61 of 255 bytes", discover().option(61, &[7; 255]));
    insta::assert_snapshot!(text);
}

#[test]
fn lengths_from_nothing_to_too_much() {
    let world = &World::new(DhcpMode::Authoritative);
    let ask = Ask::new(DISCOVER).edk2_pxe();
    let whole = ask.bytes();
    let mut text = String::new();
    for length in [0, 1, 239, 240, 241, 243, whole.len() - 1, whole.len(), 576, 1500, 4096, 4097, 65_507] {
        let mut bytes = whole.clone();
        bytes.resize(length, 0);
        writeln!(text, "{length:>5} bytes: {}", outcome(world, &ask, &bytes)).unwrap();
    }
    insta::assert_snapshot!(text);
}

/// A request whose options claim more than there is, or lead back to themselves, costs what its bytes cost.
#[test]
fn options_that_run_over_or_round_are_read_once() {
    let base = Ask::new(DISCOVER).bytes();
    for (tail, of_77) in [
        (&[77, 255, 1, 2][..], None),
        (&[77], None),
        (&[77, 0], Some(0)),
        (&[0, 0, 0, 77, 1, 9, 0, 255, 77, 1, 9], Some(1)),
        (&[52, 1, 3, 77, 1, 9, 255], Some(1)),
    ] {
        let mut bytes = base[..base.len() - 1].to_vec();
        bytes.extend_from_slice(tail);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!(packet.option(77).map(<[u8]>::len), of_77, "{tail:?}");
    }
    // 1,900 options of one byte each, of one code: joined once.
    let mut bytes = base[..base.len() - 1].to_vec();
    while bytes.len() + 3 <= 4096 {
        bytes.extend_from_slice(&[77, 1, 9]);
    }
    assert_eq!(
        Packet::decode(&bytes).unwrap().option(77).map(<[u8]>::len),
        Some((4096 - base.len() + 1) / 3)
    );
}

#[test]
fn port_4011_and_its_strangers() {
    let world = &World::new(DhcpMode::Proxy);
    let ask = |kind| Ask::new(kind).bios_pxe();
    assert_table!(&[
        ("a machine of this network", world, ask(REQUEST).via_4011("192.168.99.11:4011")),
        ("a stranger, who would be sent more than it sent", world, ask(REQUEST).via_4011("203.0.113.9:53")),
        (
            "one that claims another's ciaddr",
            world,
            ask(REQUEST).ciaddr([203, 0, 113, 9].into()).via_4011("192.168.99.11:4011")
        ),
        ("an operating system", world, Ask::new(REQUEST).via_4011("192.168.99.11:4011")),
        ("a DISCOVER", world, ask(DISCOVER).via_4011("192.168.99.11:4011")),
    ]);
}
