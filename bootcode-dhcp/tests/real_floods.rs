//! Floods over a real wire: frames of one machine, and of as many as there are frames, while a declared machine asks.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1. Needs root and `ip` (iproute2).

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/peers.rs"]
mod peers;

use std::{
    io::Read as _,
    os::fd::AsRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bootcode_core::{
    document::{DhcpMode, UnknownMachines},
    mac::MacAddr,
    store::MemoryStore,
};
use bootcode_dhcp::DhcpServer;
use common::{Ask, MAC, World};
use nix::{ifaddrs::getifaddrs, sys::socket::LinkAddr};
use peers::{Recorded, config, on_a_wire, sources};
use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;

const DISCOVER: u8 = 1;
const LENGTH: Duration = Duration::from_secs(5);
/// A hall that powers on asks less, and a debug build on a busy machine keeps up with it. Above what a server can answer the newest are
/// dropped, whoever sent them: then a machine has to ask again, and this test could not tell that from a fault.
const PER_MS: u32 = 2;
const ETHERTYPE: u16 = 0x0800;

/// A DISCOVER as a machine without an address sends it: to all, from nobody.
fn frame(mac: MacAddr, xid: u32) -> Vec<u8> {
    let asked = Ask::new(DISCOVER).edk2_pxe().at(4, &xid.to_be_bytes()).at(28, &mac.0).bytes();
    let udp = 8 + asked.len() as u16;
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    ip[2..4].copy_from_slice(&(20 + udp).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0, 0, 255, 255, 255, 255]);
    let words = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum = words.sum::<u32>();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [&[0xff; 6][..], &mac.0, &ETHERTYPE.to_be_bytes(), &ip].concat();
    for word in [68, 67, udp, 0] {
        frame.extend_from_slice(&u16::to_be_bytes(word));
    }
    frame.extend_from_slice(&asked);
    frame
}

/// Frames of the client's end of the wire, out and in.
fn wire() -> Socket {
    let protocol = Protocol::from(i32::from(ETHERTYPE.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
    let links = getifaddrs().unwrap().filter(|entry| entry.interface_name == "cli0");
    let link: LinkAddr = links
        .filter_map(|entry| entry.address)
        .find_map(|address: nix::sys::socket::SockaddrStorage| address.as_link_addr().copied())
        .unwrap();
    nix::sys::socket::bind(socket.as_raw_fd(), &link).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    socket
}

/// Floods until told to stop; how many frames that were.
fn flood(mac: impl Fn(u32) -> MacAddr + Send + 'static, stop: Arc<AtomicBool>) -> thread::JoinHandle<u32> {
    let wire = wire();
    let body = move || {
        let (start, mut sent) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            let due = start.elapsed().as_millis() as u32 * PER_MS;
            while sent < due {
                // A full queue of the interface loses one, as any flood does.
                let _ = wire.send(&frame(mac(sent), sent));
                sent += 1;
            }
            thread::sleep(Duration::from_millis(1));
        }
        sent
    };
    thread::spawn(body)
}

/// Asks ten times a second; the longest wait for an offer, and how many never came.
fn asks() -> (Duration, u32, u32) {
    let (mut socket, start) = (wire(), Instant::now());
    let (mut longest, mut asked, mut lost) = (Duration::ZERO, 0, 0);
    let mut buffer = [0; 2048];
    while start.elapsed() < LENGTH {
        asked += 1;
        let (xid, sent) = (0xc0de_0000 | asked, Instant::now());
        socket.send(&frame(MAC, xid)).unwrap();
        let answered = loop {
            let length = socket.read(&mut buffer).unwrap_or(0);
            // Behind Ethernet, IP and UDP: a reply, and its transaction.
            let is_ours = length > 50 && buffer[42] == 2 && buffer[46..50] == xid.to_be_bytes();
            if is_ours || sent.elapsed() > Duration::from_secs(2) {
                break is_ours;
            }
        };
        longest = longest.max(sent.elapsed());
        lost += u32::from(!answered);
        thread::sleep(Duration::from_millis(100).saturating_sub(sent.elapsed()));
    }
    (longest, asked, lost)
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn world() -> World {
    World::new(DhcpMode::Authoritative).with(|world| {
        let spec = &mut world.network.as_mut().unwrap().spec;
        spec.pool = vec!["192.168.99.100-192.168.99.149".parse().unwrap()];
        spec.unknown = UnknownMachines::Pool;
    })
}

/// A flood from `mac` beside a declared machine; what the server counted.
fn flooded(mac: impl Fn(u32) -> MacAddr + Send + 'static) -> (u32, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let recorded = Arc::new(Recorded::default());
        let mut sources = sources(&world(), &recorded);
        sources.leases = Some(Arc::new(MemoryStore::new()));
        let server = DhcpServer::bind(config(), sources).await.unwrap();
        let metrics = server.metrics();
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(server.run(cancel.clone()));
        let measured = tokio::task::spawn_blocking(move || {
            // The first one, so that what is paid once is paid.
            let before = resident_kib();
            let stop = Arc::new(AtomicBool::new(false));
            let flood = flood(mac, stop.clone());
            let (longest, asked, lost) = asks();
            stop.store(true, Ordering::Relaxed);
            let sent = flood.join().unwrap();
            let grown = resident_kib() - before;
            eprintln!("{sent} frames; {asked} questions, {lost} lost, longest {longest:?}; {grown} KiB more");
            assert_eq!(lost, 0, "of {asked}");
            assert!(longest < Duration::from_secs(1), "{longest:?}: firmware would have asked again");
            assert!(grown < 32 << 10, "{grown} KiB: tables do not grow with who asks");
            sent
        });
        let sent = measured.await.unwrap();
        cancel.cancel();
        serving.await.unwrap();
        // What strangers asked leaves nothing that grows in the timeline, but that one of them asks too often.
        let of_others = recorded.names().into_iter().filter(|name| !["Discover", "Offer"].contains(&&**name));
        assert!(of_others.count() < 100);
        let mut registry = prometheus_client::registry::Registry::with_prefix("bootcode");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        (sent, text)
    })
}

fn count(text: &str, name: &str) -> u32 {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("bootcode_dhcp_{name} ")));
    line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
}

#[test]
fn a_flood_of_one_machine_is_held_and_counted_and_others_are_served() {
    on_a_wire(|| {
        let (sent, text) = flooded(|_| MacAddr([2, 0, 0, 0, 0, 9]));
        assert!(sent > 5000, "{sent}");
        let held = count(&text, "ignored_total{reason=\"too-many\"}");
        assert!(held > sent / 10 * 9, "{held} of {sent}");
    });
}

#[test]
fn a_flood_of_as_many_machines_as_frames_empties_the_pool_and_others_are_served() {
    on_a_wire(|| {
        let (sent, text) = flooded(|n| {
            let [a, b, c, d] = n.wrapping_mul(0x9e37_79b1).to_be_bytes();
            MacAddr([2, 0, a, b, c, d])
        });
        assert!(sent > 5000, "{sent}");
        let without = count(&text, "ignored_total{reason=\"pool-exhausted\"}");
        assert!(without > sent / 10 * 9, "{without} of {sent}");
        assert!(count(&text, "received_total") > sent / 10 * 9);
    });
}
