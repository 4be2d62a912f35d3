//! Connections of machines on the real server: how many there may be, how long a quiet one is borne, and how each end is counted.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root and `ip` (iproute2).

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use common::{Place, connect_from, machines, on_a_wire, operators, request};
use nix::sys::signal::Signal;

const ONE: &str = "192.168.99.11";
const OTHER: &str = "192.168.99.12";
/// More than the sockets of both ends hold.
const LARGE: usize = 24 << 20;
const SOON: Duration = Duration::from_secs(60);

/// A place with a boot file and a large one, and machines' addresses on the wire.
fn place(connections: &str) -> Place {
    for address in [ONE, OTHER] {
        let status =
            Command::new("ip").args(["address", "add", &format!("{address}/24"), "dev", "br0"]).status();
        assert!(status.unwrap().success(), "{address}");
    }
    let place = Place::complete(&format!("http: {{connections: {{{connections}}}}}\n"));
    place.write("files/boot", vec![7; 100_000]);
    place.write("files/large", vec![7; LARGE]);
    place
}

fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
}

/// Whether `/files/boot` comes whole on a connection that is kept; not so where that was refused.
fn boots(stream: &mut TcpStream) -> bool {
    if stream.write_all(b"GET /files/boot HTTP/1.1\r\nhost: x\r\n\r\n").is_err() {
        return false;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream.read_exact(&mut vec![0; 100_000]).is_ok()
}

/// How long it takes until the server ends this connection, and what it said.
fn until_ended(mut stream: TcpStream) -> JoinHandle<(Duration, Vec<u8>)> {
    let start = Instant::now();
    thread::spawn(move || {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        (start.elapsed(), said)
    })
}

fn metrics(place: &Place) -> String {
    let (status, text) = operators(&place.path("api.sock"), &request("GET", "/metrics", "", ""));
    assert_eq!(status, 200);
    text
}

/// Waits for this row of the connections' metrics; how long that took.
#[track_caller]
fn shows(place: &Place, row: &str) -> Duration {
    let (start, row) = (Instant::now(), format!("bootcode_http_connections{row}\n"));
    loop {
        let text = metrics(place);
        if text.contains(&row) {
            return start.elapsed();
        }
        assert!(start.elapsed() < SOON, "no {row}{text}");
        sleep(Duration::from_millis(50));
    }
}

fn ended(reason: &str, count: u32) -> String {
    format!("_ended_total{{reason=\"{reason}\"}} {count}")
}

#[track_caller]
fn within(what: &str, took: Duration, seconds: std::ops::Range<f64>) {
    assert!(seconds.contains(&took.as_secs_f64()), "{what}: {took:?}");
}

#[test]
fn who_is_slow_or_quiet_is_let_go_in_its_time_while_others_boot() {
    on_a_wire(|| {
        let place = place("headSeconds: 2, idleSeconds: 3, stallSeconds: 4");
        let serving = place.serve(&[]);

        let silent = until_ended(connect_from(ONE));
        let dripping = connect_from(ONE);
        let mut drops = dripping.try_clone().unwrap();
        let dripping = until_ended(dripping);
        let drops = thread::spawn(move || {
            let head = "GET /files/boot HTTP/1.1\r\nhost: x\r\n".bytes().chain(std::iter::repeat(b'x'));
            let mut sent = 0;
            for byte in head.take(1000) {
                if drops.write_all(&[byte]).is_err() {
                    return sent;
                }
                sent += 1;
                sleep(Duration::from_millis(100));
            }
            sent
        });
        let mut idle = connect_from(ONE);
        for pause in [0, 2] {
            sleep(Duration::from_secs(pause));
            assert!(boots(&mut idle), "a pause of {pause} s");
        }
        let idle = until_ended(idle);
        let mut stopped = connect_from(ONE);
        ask(&mut stopped, "/files/large");
        stopped.read_exact(&mut [0; 100]).unwrap();
        let stalled = Instant::now();
        let mut slow = connect_from(OTHER);
        ask(&mut slow, "/files/large");
        let slow = thread::spawn(move || {
            let (start, mut got) = (Instant::now(), 0);
            let mut bite = vec![0; 512 << 10];
            while got < LARGE {
                match slow.read(&mut bite) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => got += read,
                }
                sleep(Duration::from_millis(if got < LARGE / 2 { 250 } else { 0 }));
            }
            (start.elapsed(), got)
        });

        while stalled.elapsed() < Duration::from_secs(6) {
            let asked = Instant::now();
            assert_eq!(machines(&request("GET", "/files/boot", "", "")).1.len(), 100_000);
            within("a boot file", asked.elapsed(), 0.0..2.0);
            sleep(Duration::from_millis(100));
        }
        within("no head", silent.join().unwrap().0, 1.9..6.0);
        let (took, said) = dripping.join().unwrap();
        within("a head by drops", took, 1.9..6.0);
        assert_eq!(String::from_utf8_lossy(&said), "", "nothing of the file");
        assert!((10..90).contains(&drops.join().unwrap()));
        within("a pause", idle.join().unwrap().0, 2.9..7.0);
        shows(&place, &ended("stalled", 1));
        within("who takes nothing", stalled.elapsed(), 3.9..12.0);
        let (took, got) = slow.join().unwrap();
        assert!(got >= LARGE && took > Duration::from_secs(4), "{got} bytes of a slow reader in {took:?}");
        let (mut rest, mut bite) = (0, vec![0; 1 << 20]);
        while let Ok(read @ 1..) = stopped.read(&mut bite) {
            rest += read;
        }
        assert!(rest < LARGE - 100, "{rest}");
        for row in [ended("slow-head", 2), ended("idle", 1), ended("stalled", 1), " 0".to_owned()] {
            shows(&place, &row);
        }
        assert_eq!(serving.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn no_more_connections_than_there_may_be_and_those_that_are_there_go_on() {
    on_a_wire(|| {
        let place = place("total: 6, perAddress: 4");
        let serving = place.serve(&[]);
        let mut some: Vec<_> = (0..4).map(|_| connect_from(ONE)).collect();
        assert!(some.iter_mut().all(boots));
        assert!(!boots(&mut connect_from(ONE)), "the fifth of one address");
        let mut others: Vec<_> = (0..2).map(|_| connect_from(OTHER)).collect();
        assert!(others.iter_mut().all(boots), "another has its own");
        for _ in 0..20 {
            assert!(!boots(&mut connect_from(OTHER)), "the seventh of all");
        }
        shows(&place, " 6");
        for row in [ended("too-many", 20), ended("too-many-of-address", 1), ended("closed", 0)] {
            shows(&place, &row);
        }
        assert!(some.iter_mut().chain(&mut others).all(boots), "who is there is served");
        drop(some.pop());
        shows(&place, &ended("closed", 1));
        assert!(boots(&mut connect_from(OTHER)), "whose place is free again is another's");
        shows(&place, &ended("closed", 2));
        let mut again = connect_from(ONE);
        assert!(boots(&mut again), "and the address's own");
        drop((some, others, again));
        shows(&place, " 0");
        assert_eq!(serving.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn what_is_no_request_is_told_so_before_its_connection_ends_and_ends_are_counted() {
    on_a_wire(|| {
        let place = place("total: 100");
        let serving = place.serve(&[]);
        let flood: String = (0..20_000).map(|n| format!("x-{n}: y\r\n")).collect();
        for (what, bytes, status) in [
            ("a path of 64 KiB", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(64 << 10)), "414"),
            ("a header of 900 KiB", format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(900 << 10)), "431"),
            ("20,000 headers", format!("GET / HTTP/1.1\r\n{flood}\r\n"), "431"),
            ("no HTTP", "\x16\x03\x01\r\n\r\n".to_owned(), "400"),
        ] {
            let mut stream = connect_from(ONE);
            stream.write_all(bytes.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut said = Vec::new();
            let read = stream.read_to_end(&mut said);
            let said = String::from_utf8_lossy(&said);
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {said}");
            assert!(read.is_ok(), "{what}: reset, which may take the answer with it: {read:?}");
        }
        shows(&place, &ended("malformed", 4));
        let mut gone = connect_from(ONE);
        ask(&mut gone, "/files/large");
        gone.read_exact(&mut [0; 100]).unwrap();
        drop(gone);
        shows(&place, &ended("aborted", 1));
        let mut half = connect_from(ONE);
        half.write_all(b"GET / HT").unwrap();
        drop(half);
        shows(&place, &ended("aborted", 2));
        assert_eq!(machines(&request("GET", "/files/boot", "", "")).0, 200);
        shows(&place, &ended("closed", 1));
        assert_eq!(serving.end(Signal::SIGTERM), Some(0));
    });
}
