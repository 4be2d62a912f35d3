//! A real client on a real wire: busybox `udhcpc` over a veth pair, in a network namespace of the test's own thread.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); then a missing tool or right is a failure. Needs root, `ip`
//! (iproute2) and `busybox`.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/peers.rs"]
mod peers;

use std::{
    collections::BTreeMap, io::Write as _, net::Ipv4Addr, os::unix::fs::OpenOptionsExt as _,
    process::Command, sync::Arc,
};

use bootcode_core::document::DhcpMode;
use bootcode_dhcp::{BindError, DhcpConfig, DhcpServer, interface_addresses};
use common::{NODE, SERVER, World};
use peers::{config, on_a_wire, served, sources};

/// Serves `world` while a `udhcpc` asks; what it got by name, or `None` where nobody answered; and the timeline.
fn lease(world: &World, args: &str) -> (Option<BTreeMap<String, String>>, Vec<String>) {
    let args = args.to_owned();
    served(world, move || udhcpc(&args))
}

fn udhcpc(args: &str) -> Option<BTreeMap<String, String>> {
    let dir = tempfile::tempdir().unwrap();
    let (script, out) = (dir.path().join("script"), dir.path().join("out"));
    let text = format!("#!/bin/sh\n[ \"$1\" = bound ] && env > {}\nexit 0\n", out.display());
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o755).open(&script).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    drop(file);
    let status = Command::new("busybox")
        .args(["udhcpc", "-i", "cli0", "-f", "-n", "-q", "-t", "3", "-T", "1", "-s"])
        .arg(&script)
        .args(args.split_whitespace())
        .status()
        .expect("busybox: install the package of that name");
    let text = std::fs::read_to_string(&out).ok().filter(|_| status.success())?;
    Some(text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect())
}

#[test]
fn udhcpc_gets_its_reservation_by_frame_and_by_broadcast() {
    on_a_wire(|| {
        let world = World::new(DhcpMode::Authoritative);
        for args in ["", "-B", "-r 192.168.99.77", "-O search -O lease"] {
            let (got, events) = lease(&world, args);
            let got = got.unwrap_or_else(|| panic!("no lease with `{args}`: {events:?}"));
            for (name, value) in [
                ("ip", NODE.to_string()),
                ("subnet", "255.255.255.0".into()),
                ("router", SERVER.to_string()),
                ("dns", format!("{SERVER} {}", Ipv4Addr::new(9, 9, 9, 9))),
                ("hostname", "node-1".into()),
                ("domain", "lab.example".into()),
                ("serverid", SERVER.to_string()),
                ("lease", "86400".into()),
            ] {
                assert_eq!(got.get(name), Some(&value), "{name} with `{args}`");
            }
            assert_eq!(events, ["Discover", "Offer", "Request", "Ack"], "with `{args}`");
        }
    });
}

#[test]
fn udhcpc_gets_nothing_where_dhcp_is_off_or_a_proxy() {
    on_a_wire(|| {
        for (mode, event) in
            [(DhcpMode::None, ["Ignored"; 1].as_slice()), (DhcpMode::Proxy, &["Discover", "Ignored"])]
        {
            let (got, events) = lease(&World::new(mode), "");
            assert_eq!(got, None, "{mode:?}");
            assert_eq!(&events[..event.len()], event, "{mode:?}");
        }
    });
}

#[test]
fn a_start_that_cannot_be_says_why() {
    on_a_wire(|| {
        assert_eq!(interface_addresses("srv0").unwrap(), [SERVER]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bind = |config| {
            let sources = sources(&World::new(DhcpMode::None), &Arc::default());
            match runtime.block_on(DhcpServer::bind(config, sources)) {
                Ok(_) => panic!("this must not start"),
                Err(error) => error,
            }
        };
        let error = bind(DhcpConfig { interfaces: vec!["eth9".into()], ..config() });
        assert!(
            matches!(&error, BindError::UnknownInterface { available, .. } if available.contains(&"srv0".into()))
        );
        let mut nowhere = config();
        nowhere.site.addresses.clear();
        assert!(matches!(bind(nowhere), BindError::NoAddress { .. }));
        let _taken = std::net::UdpSocket::bind("0.0.0.0:67").unwrap();
        let error = bind(config());
        assert!(error.to_string().contains("another program holds it"), "{error}");
    });
}
