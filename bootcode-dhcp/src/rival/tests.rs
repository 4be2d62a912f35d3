use bootcode_core::timeline::Reason;

use super::*;
use crate::{RxMeta, ServerPort, Verdict, classify};

const US: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 2);
const IP: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 150);
const CARD: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 9]);

/// A server's OFFER to the search of `CARD` with transaction 7, and options 53 and 54 at its end.
fn offered() -> Vec<u8> {
    let mut bytes = search(7, searcher(CARD), US);
    bytes[0] = 2;
    bytes[16..20].copy_from_slice(&IP.octets());
    bytes.truncate(240);
    bytes.extend_from_slice(&[53, 1, 2, 54, 4, 192, 168, 99, 2, 255]);
    bytes
}

#[test]
fn a_search_is_a_discover_that_asks_for_a_broadcast_and_is_no_machines() {
    let mac = searcher(CARD);
    assert_eq!(mac, MacAddr([6, 0xb0, 7, 0, 0, 9]));
    assert!(mac.is_unicast() && mac.0[0] & 2 != 0, "locally administered");
    let bytes = search(7, mac, US);
    assert_eq!((bytes.len(), bytes.last()), (300, Some(&0)), "padded as BOOTP relays want it");
    let packet = Packet::decode(&bytes).unwrap();
    assert_eq!((packet.op, packet.htype, packet.hlen, packet.xid, packet.flags), (1, 1, 6, 7, 0x8000));
    assert_eq!(packet.chaddr[..6], mac.0);
    assert_eq!(packet.option(53), Some(&[1][..]));
    assert_eq!(searching(&packet), Some(US));
}

#[test]
fn no_bootcode_answers_or_records_a_search() {
    for port in [ServerPort::Dhcp, ServerPort::Proxy] {
        let rx = RxMeta { source: "0.0.0.0:68".parse().unwrap(), port, to: None };
        let mut bytes = search(7, searcher(CARD), US);
        assert_eq!(classify(&Packet::decode(&bytes).unwrap(), &rx), Verdict::Ignore(Reason::ServerSearch));
        // Behind a relay it is none of this wire, and no machine's either.
        bytes[24..28].copy_from_slice(&[10, 0, 0, 1]);
        let relayed = Packet::decode(&bytes).unwrap();
        assert_eq!(classify(&relayed, &rx), Verdict::Ignore(Reason::ServerSearch));
        assert_eq!(searching(&relayed), None);
    }
}

#[test]
fn only_offers_to_the_search_count() {
    type Harm = fn(&mut Vec<u8>);
    assert_eq!(offer(&offered(), 7, searcher(CARD)), Some((OTHER, IP)));
    let cases: &[(&str, Harm)] = &[
        ("a request", |bytes| bytes[0] = 1),
        ("another transaction", |bytes| bytes[7] = 8),
        ("another machine's", |bytes| bytes[33] = 1),
        ("a proxy's, without an address", |bytes| bytes[16..20].fill(0)),
        ("an ACK", |bytes| bytes[242] = 5),
        ("without a server", |bytes| bytes[243] = 51),
        ("a server's address cut short", |bytes| bytes[244] = 3),
        ("no host as server", |bytes| bytes[245..249].fill(255)),
        ("cut short", |bytes| bytes.truncate(239)),
        ("no cookie", |bytes| bytes[236] = 0),
        ("nothing", Vec::clear),
    ];
    for (what, harm) in cases {
        let mut bytes = offered();
        harm(&mut bytes);
        assert_eq!(offer(&bytes, 7, searcher(CARD)), None, "{what}");
    }
}

#[test]
fn a_vendor_class_without_an_address_names_nobody_and_is_still_no_machine() {
    let good = search(7, searcher(CARD), US);
    let at = good.windows(4).position(|bytes| bytes == b"from").unwrap() + 5;
    for forged in [&b"999.168.99.1"[..], b"0.0.0.0.....", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
    {
        let mut bytes = good.clone();
        bytes[at..at + 12].copy_from_slice(forged);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((searching(&packet), is_search(&packet)), (None, true));
    }
}

#[test]
fn each_server_is_told_of_once_when_it_is_found_and_once_when_it_is_gone() {
    let (mut known, now) = (Rivals::default(), Instant::now());
    assert_eq!(known.searched(&[], now), []);
    assert_eq!(known.next(), limits::RIVAL_PERIOD);
    assert_eq!(known.searched(&[(OTHER, IP), (OTHER, IP)], now), [Change::Found(OTHER, Some(IP))]);
    assert_eq!(known.searched(&[(OTHER, IP)], now), []);
    // One lost packet is no news, but looked into soon.
    assert_eq!(known.searched(&[], now), []);
    assert_eq!((known.count(), known.next()), (1, limits::RIVAL_AGAIN));
    assert_eq!(known.searched(&[(OTHER, IP)], now), []);
    assert_eq!(known.next(), limits::RIVAL_PERIOD);
    assert_eq!(known.searched(&[], now), []);
    assert_eq!(known.searched(&[], now), [Change::Gone(OTHER)]);
    assert_eq!((known.count(), known.next()), (0, limits::RIVAL_PERIOD));
    assert_eq!(known.searched(&[(OTHER, IP)], now), [Change::Found(OTHER, Some(IP))]);
}

#[test]
fn another_bootcode_is_known_by_its_searches_until_it_makes_none() {
    let (mut known, start) = (Rivals::default(), Instant::now());
    assert_eq!(known.heard(OTHER, start), Some(Change::Found(OTHER, None)));
    assert_eq!(known.heard(OTHER, start), None);
    let later = start + limits::RIVAL_PERIOD;
    assert_eq!(known.searched(&[], later), [], "it does not answer");
    assert_eq!(known.searched(&[], later), []);
    assert_eq!(known.heard(OTHER, later), None);
    let last = later + limits::RIVAL_SILENT;
    assert_eq!(known.searched(&[], last - Duration::from_secs(1)), []);
    assert_eq!(known.searched(&[], last), [Change::Gone(OTHER)]);
}

#[test]
fn forged_servers_are_bounded() {
    let (mut known, now) = (Rivals::default(), Instant::now());
    let found = (0..=255).filter_map(|n| known.heard(Ipv4Addr::new(10, 0, 0, n), now)).count();
    assert_eq!((found, known.count()), (limits::RIVALS, limits::RIVALS));
}
