//! Addresses (RFC 2131 4.3), where replies go (4.1), and relays (RFC 3046).

use std::net::Ipv4Addr;

use bootcode_core::document::DhcpMode;

use crate::{
    DECLINE, DISCOVER, INFORM, OTHER, RELEASE, REQUEST,
    common::{Ask, NODE, SERVER, World},
};

#[test]
fn addresses_by_rfc_2131_4_3() {
    let world = &World::new(DhcpMode::Authoritative);
    let elsewhere = &world.clone().with(|world| {
        world.hardware.as_mut().unwrap().spec.interfaces[0].ip = Some([10, 0, 0, 9].into());
    });
    let nowhere = &world.clone().with(|world| world.hardware.as_mut().unwrap().spec.interfaces[0].ip = None);
    let request = || Ask::new(REQUEST);
    assert_table!(&[
        ("selecting another server", world, request().selecting(OTHER, NODE)),
        ("selecting us, another address", world, request().selecting(SERVER, OTHER)),
        ("init-reboot, right", world, request().option(50, &NODE.octets())),
        ("init-reboot, wrong", world, request().option(50, &OTHER.octets())),
        ("init-reboot on another network", world, request().option(50, &[10, 0, 0, 5])),
        ("renewing", world, request().ciaddr(NODE).networkd()),
        ("renewing what is not ours to give", world, request().ciaddr(OTHER)),
        ("DECLINE", world, Ask::new(DECLINE).option(50, &NODE.octets())),
        ("DECLINE of another's", world, Ask::new(DECLINE).option(50, &OTHER.octets())),
        ("RELEASE", world, Ask::new(RELEASE).ciaddr(NODE)),
        ("INFORM", world, Ask::new(INFORM).ciaddr(NODE).option(55, &[3, 6])),
        ("INFORM from elsewhere", world, Ask::new(INFORM).ciaddr([10, 9, 9, 9].into())),
        ("a reservation in another network", elsewhere, Ask::new(DISCOVER)),
        ("no reservation", nowhere, Ask::new(DISCOVER)),
        ("no reservation: a REQUEST gets no NAK", nowhere, request().option(50, &NODE.octets())),
    ]);
}

#[test]
fn destinations_by_rfc_2131_4_1_and_relays() {
    let world = &World::new(DhcpMode::Authoritative);
    let declared = &world.clone().with(|world| {
        world.network.as_mut().unwrap().spec.dhcp.relays = vec![[10, 1, 1, 1].into()];
    });
    let relay = Ipv4Addr::new(192, 168, 99, 254);
    let circuit: &[u8] = &[1, 4, b'e', b't', b'h', b'7', 2, 2, 9, 9];
    assert_table!(&[
        ("no address, unicast", world, Ask::new(DISCOVER).option(55, &[3])),
        ("no address, broadcast flag", world, Ask::new(DISCOVER).option(55, &[3]).broadcast()),
        ("a DISCOVER's ciaddr is not believed", world, Ask::new(DISCOVER).option(55, &[3]).ciaddr(OTHER)),
        ("relayed: 82 is echoed last", world, {
            Ask::new(DISCOVER).giaddr(relay).option(82, circuit).option(55, &[3, 12])
        }),
        (
            "relayed NAK",
            world,
            Ask::new(REQUEST).giaddr(relay).option(50, &OTHER.octets()).option(82, circuit)
        ),
        ("a relay outside the network", world, Ask::new(DISCOVER).giaddr([10, 1, 1, 1].into())),
        ("a relay outside that is declared", declared, {
            Ask::new(DISCOVER).giaddr([10, 1, 1, 1].into()).option(55, &[3])
        }),
        ("a relay inside where others are declared", declared, Ask::new(DISCOVER).giaddr(relay)),
    ]);
}
