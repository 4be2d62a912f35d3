//! Linux itself looks for an IPv6 router, as iPXE does, and is told where there is none.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1. Needs root and `ip` (iproute2).

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/peers.rs"]
mod peers;

use std::{
    thread,
    time::{Duration, Instant},
};

use bootcode_core::document::DhcpMode;
use common::{MAC, SERVER, World};
use peers::{on_a_wire, run, served};

/// Router advertisements that this namespace's `cli0` has received.
fn advertisements() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev_snmp6/cli0").unwrap();
    let line = text.lines().find(|line| line.starts_with("Icmp6InRouterAdvertisements")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Has the kernel ask anew, and waits for an answer: it asks three times, 4 s apart.
fn asks(patience: Duration) -> u64 {
    let before = advertisements();
    run("ip", "link set cli0 down");
    run("ip", "link set cli0 up");
    let start = Instant::now();
    while advertisements() == before && start.elapsed() < patience {
        thread::sleep(Duration::from_millis(50));
    }
    advertisements() - before
}

fn world(mode: DhcpMode, declared: bool) -> World {
    World::new(mode).with(|world| world.network.as_mut().unwrap().spec.dhcp.no_ipv6_router = declared)
}

#[test]
fn who_looks_for_an_ipv6_router_is_told_at_once_that_there_is_none() {
    on_a_wire(|| {
        let (got, _) = served(&world(DhcpMode::Authoritative, true), || asks(Duration::from_secs(15)));
        assert_eq!(got, 1, "one solicitation, one answer");
        let routes =
            std::process::Command::new("ip").args(["-6", "route", "show", "default"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&routes.stdout), "", "nobody routes by us");
    });
}

#[test]
fn nobody_is_told_where_no_document_says_so_or_to_strangers() {
    on_a_wire(|| {
        let stranger = world(DhcpMode::Authoritative, true).with(|world| world.hardware = None);
        for world in [world(DhcpMode::Authoritative, false), world(DhcpMode::None, true), stranger] {
            // The first solicitation leaves within 2 s.
            let (got, _) = served(&world, || asks(Duration::from_secs(4)));
            assert_eq!(got, 0);
        }
    });
}

#[test]
fn who_looks_for_a_router_is_told_also_after_the_interface_was_made_anew() {
    on_a_wire(|| {
        let (got, _) = served(&world(DhcpMode::Authoritative, true), || {
            let before = asks(Duration::from_secs(15));
            run("ip", "link del srv0");
            run("ip", &format!("link add srv0 type veth peer name cli0 address {MAC}"));
            run("ip", &format!("address add {SERVER}/24 dev srv0"));
            run("ip", "link set srv0 up");
            run("ip", "link set cli0 up");
            (before, (0..3).map(|_| asks(Duration::from_secs(4))).find(|got| *got > 0))
        });
        assert_eq!(got, (1, Some(1)));
    });
}
