//! What a machine that no Hardware names told, for whoever lists it.

use std::fmt::Write as _;

use bootcode_core::{
    clock::Timestamp,
    document::{Network, UnknownMachines},
    unknown::Unknown,
};

use crate::{
    client::{ClientMachineId, UserClass, VendorClass, text},
    limits,
    query::{Message, Query, sub_option},
    responder::serves,
};

/// The record of a machine; `None` where its Network does not want one, where the relay is none of its, and for what is no question.
pub(crate) fn unknown(query: &Query, network: &Network, now: Timestamp) -> Option<Unknown> {
    let asks = matches!(query.message, Message::Discover | Message::Request(_) | Message::Inform);
    if !asks || network.spec.unknown == UnknownMachines::Ignore || !serves(network, query) {
        return None;
    }
    // Without a relay agent option 82 is the client's own word.
    let relay = Some(query.giaddr).filter(|giaddr| !giaddr.is_unspecified());
    let agent = |code| Some(shown(sub_option(relay.and(query.relay_agent.as_deref())?, code)?));
    let client = &query.client;
    Some(Unknown {
        mac: query.mac,
        archs: client.archs.clone(),
        vendor_class: client.vendor_class.as_ref().map(VendorClass::text).map(str::to_owned),
        user_class: client.user_class.as_ref().map(UserClass::text),
        guid: client.machine_id.as_ref().and_then(ClientMachineId::uuid).map(|uuid| hex(&uuid)),
        client_id: query.client_id.as_deref().map(hex),
        hostname: query.hostname.clone(),
        relay,
        circuit_id: agent(1),
        remote_id: agent(2),
        network: network.name.clone(),
        first_seen: now,
        last_seen: now,
        times: 1,
        inventory: None,
    })
}

/// Text where all of it is printable, else hexadecimal: switches send either.
fn shown(data: &[u8]) -> String {
    let printable = !data.is_empty() && data.iter().all(|byte| (b' '..=b'~').contains(byte));
    if printable { text(data) } else { hex(data) }
}

fn hex(data: &[u8]) -> String {
    data.iter().take(limits::CLIENT_ID_BYTES).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use bootcode_core::{document::NetworkSpec, mac::MacAddr};

    use super::*;
    use crate::{RxMeta, ServerPort, Verdict, classify, wire::Packet};

    const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn hall(mode: UnknownMachines) -> Network {
        let spec = NetworkSpec { unknown: mode, ..NetworkSpec::new("10.0.0.0/8".parse().unwrap()) };
        Network { name: "hall".into(), spec }
    }

    fn ask(kind: u8, giaddr: Ipv4Addr, options: &[(u8, &[u8])]) -> Query {
        let mut bytes = vec![0; 240];
        bytes[..3].copy_from_slice(&[1, 1, 6]);
        bytes[12..16].copy_from_slice(&[10, 0, 0, 7]);
        bytes[24..28].copy_from_slice(&giaddr.octets());
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend_from_slice(&[53, 1, kind]);
        for (code, data) in options {
            bytes.extend_from_slice(&[*code, data.len() as u8]);
            bytes.extend_from_slice(data);
        }
        let rx = RxMeta { source: "0.0.0.0:68".parse().unwrap(), port: ServerPort::Dhcp, to: None };
        match classify(&Packet::decode(&bytes).unwrap(), &rx) {
            Verdict::Answer(query) => query,
            Verdict::Ignore(reason) => panic!("{reason}"),
        }
    }

    fn seen(query: &Query) -> Option<Unknown> {
        unknown(query, &hall(UnknownMachines::Record), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn all_that_a_machine_told_is_kept_with_the_port_that_its_relay_agent_names() {
        let guid = [&[0][..], &[0xab; 16]].concat();
        let options: &[(u8, &[u8])] = &[
            (12, b"node-7"),
            (60, b"PXEClient:Arch:00007:UNDI:003016"),
            (61, &[1, 2, 0, 0, 0, 0, 1]),
            (77, b"iPXE"),
            (82, b"\x01\x06eth0/7\x02\x02\x0a\xff"),
            (93, &[0, 7]),
            (97, &guid),
        ];
        let machine = seen(&ask(1, RELAY, options)).unwrap();
        assert_eq!(machine.mac, MacAddr([2, 0, 0, 0, 0, 1]));
        assert_eq!(machine.archs.iter().map(|arch| arch.0).collect::<Vec<_>>(), [7]);
        assert_eq!(machine.vendor_class.as_deref(), Some("PXEClient:Arch:00007:UNDI:003016"));
        assert_eq!(machine.user_class.as_deref(), Some("iPXE"));
        assert_eq!(machine.guid, Some("ab".repeat(16)));
        assert_eq!(machine.client_id.as_deref(), Some("01020000000001"));
        assert_eq!(machine.hostname.as_deref(), Some("node-7"));
        assert_eq!(machine.relay, Some(RELAY));
        assert_eq!(machine.circuit_id.as_deref(), Some("eth0/7"), "printable: as it is");
        assert_eq!(machine.remote_id.as_deref(), Some("0aff"), "else in hexadecimal");
        assert_eq!((machine.network.as_str(), machine.times), ("hall", 1));
    }

    #[test]
    fn without_a_relay_agent_option_82_is_the_clients_own_word() {
        let machine = seen(&ask(1, Ipv4Addr::UNSPECIFIED, &[(82, b"\x01\x01a\x02\x01b")])).unwrap();
        assert_eq!((machine.relay, machine.circuit_id, machine.remote_id), (None, None, None));
    }

    #[test]
    fn no_option_makes_a_record_longer_than_its_bounds() {
        let long = [b'x'; 255];
        let agent = [&[1, 125][..], &[0xfe; 125], &[2, 126], &[b'y'; 126]].concat();
        let machine = seen(&ask(
            1,
            RELAY,
            &[(12, &long), (60, &long), (61, &long), (77, &long), (82, &agent), (93, &[0; 254])],
        ))
        .unwrap();
        let texts = [
            &machine.hostname,
            &machine.vendor_class,
            &machine.user_class,
            &machine.client_id,
            &machine.circuit_id,
            &machine.remote_id,
        ];
        for text in texts {
            let length = text.as_ref().unwrap().len();
            assert!((1..=limits::CLASS_TEXT_BYTES).contains(&length), "{length}: {text:?}");
        }
        assert_eq!(machine.archs.len(), limits::CLIENT_ARCHS);
    }

    #[test]
    fn only_questions_of_a_network_that_wants_to_know_are_recorded() {
        let of = |kind, mode, relays: Vec<Ipv4Addr>| {
            let mut network = hall(mode);
            network.spec.dhcp.relays = relays;
            let options: &[(u8, &[u8])] = if kind == 4 { &[(50, &[10, 0, 0, 7])] } else { &[] };
            unknown(&ask(kind, RELAY, options), &network, Timestamp::UNIX_EPOCH).is_some()
        };
        use UnknownMachines::{Boot, Ignore, Pool, Record};
        for (kind, mode, recorded) in [
            (1, Record, true),
            (1, Pool, true),
            (1, Boot, true),
            (1, Ignore, false),
            (3, Record, true),
            (4, Record, false),
            (7, Record, false),
            (8, Record, true),
        ] {
            assert_eq!(of(kind, mode, Vec::new()), recorded, "{kind} {mode:?}");
        }
        assert!(of(1, Record, vec![RELAY]));
        assert!(!of(1, Record, vec![Ipv4Addr::new(10, 0, 0, 3)]), "another's relay");
    }
}
