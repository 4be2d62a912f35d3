//! Addresses from a pool (RFC 2131 4.3.1, 4.3.2, 4.4.1) and rapid commit (RFC 4039).

use std::net::Ipv4Addr;

use bootcode_core::{
    clock::Timestamp,
    document::{DhcpMode, UnknownMachines},
};
use bootcode_dhcp::{Refusal, Standing};

use crate::{
    DECLINE, DISCOVER, INFORM, OTHER, RELEASE, REQUEST,
    common::{Ask, SERVER, World},
};

const POOLED: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 100);

/// A machine that nobody declared, in a network that gives such machines addresses; how it stands with the pool.
fn world(standing: Standing) -> World {
    World::new(DhcpMode::Authoritative).with(|world| {
        let spec = &mut world.network.as_mut().unwrap().spec;
        spec.pool = vec!["192.168.99.100-192.168.99.199".parse().unwrap()];
        spec.unknown = UnknownMachines::Pool;
        world.hardware = None;
        world.lease = Some(standing);
    })
}

#[test]
fn addresses_from_a_pool() {
    let may = |clear, leased| &*Box::leak(Box::new(world(Standing::May { ip: POOLED, clear, leased })));
    let as_is = |standing| &*Box::leak(Box::new(world(standing)));
    let refused = |because| as_is(Standing::Refused { ip: POOLED, because });
    // The tables' clock stands at second 0.
    let until = |second| Timestamp::from_second(second).unwrap();
    let discover = || Ask::new(DISCOVER).option(55, &[3]);
    let selecting = || Ask::new(REQUEST).selecting(SERVER, POOLED).option(55, &[3]);
    let kept = as_is(Standing::Kept { ip: POOLED, ends: until(300) });
    assert_table!(&[
        ("DISCOVER, nobody was asked yet", may(false, None), discover()),
        ("DISCOVER", may(true, None), discover()),
        ("DISCOVER with rapid commit", may(true, None), discover().option(80, &[])),
        ("DISCOVER with rapid commit, nobody was asked yet", may(false, None), discover().option(80, &[])),
        ("REQUEST that answers the offer", may(true, None), selecting().option(61, &[1, 2, 3])),
        (
            "REQUEST to another server",
            as_is(Standing::Unrecorded),
            Ask::new(REQUEST).selecting(OTHER, POOLED)
        ),
        ("renewing", may(true, Some(until(300))), Ask::new(REQUEST).ciaddr(POOLED).option(55, &[3])),
        (
            "init-reboot, somebody else has it",
            refused(Refusal::Taken),
            Ask::new(REQUEST).option(50, &POOLED.octets())
        ),
        ("renewing, its lease has ended", refused(Refusal::Ended), Ask::new(REQUEST).ciaddr(POOLED)),
        (
            "init-reboot, another is its own",
            refused(Refusal::Other(OTHER)),
            Ask::new(REQUEST).option(50, &POOLED.octets())
        ),
        (
            "init-reboot, outside the pool",
            refused(Refusal::NotHere),
            Ask::new(REQUEST).option(50, &POOLED.octets())
        ),
        (
            "init-reboot without a record",
            as_is(Standing::Unrecorded),
            Ask::new(REQUEST).option(50, &POOLED.octets())
        ),
        ("DECLINE", may(true, Some(until(300))), Ask::new(DECLINE).option(50, &POOLED.octets())),
        ("RELEASE", may(true, Some(until(300))), Ask::new(RELEASE).ciaddr(POOLED)),
        ("RELEASE of another's", as_is(Standing::Unrecorded), Ask::new(RELEASE).ciaddr(POOLED)),
        ("INFORM", as_is(Standing::Unrecorded), Ask::new(INFORM).ciaddr(POOLED).option(55, &[3])),
        ("no address is free", as_is(Standing::Exhausted), discover()),
        ("the store is away: a lease that runs", kept, discover()),
        ("the store is away: renewing it", kept, Ask::new(REQUEST).ciaddr(POOLED).option(55, &[3])),
        ("the store is away: anybody else", as_is(Standing::Away), discover()),
    ]);
}

#[test]
fn reservations_beside_a_pool() {
    let reserved = &World::new(DhcpMode::Authoritative);
    let taken = &reserved.clone().with(|world| {
        world.lease = Some(Standing::Taken { ip: Ipv4Addr::new(192, 168, 99, 11) });
    });
    assert_table!(&[
        ("a reservation with rapid commit", reserved, Ask::new(DISCOVER).option(55, &[3]).option(80, &[])),
        ("a reservation that another machine's lease still has", taken, Ask::new(DISCOVER)),
    ]);
}
