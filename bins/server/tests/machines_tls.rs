//! Machines that come with TLS: the real server, asked by `curl` and `wget` as firmware, boot loaders and systems do.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root, `ip` (iproute2), `curl` and `wget`.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use common::{Place, Serving, on_a_wire};
use nix::sys::signal::Signal;

const TLS: &str = "--set=http.tls.listen=192.168.99.1:7444";
const URL: &str = "https://192.168.99.1:7444";

fn place() -> Place {
    let place = Place::complete("");
    let made = place.run(&["ca"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    place.write("files/kernel", vec![7; 3 << 20]);
    place
}

/// What `curl` says: the status, and the bytes that came.
fn curl(place: &Place, arguments: &[&str]) -> String {
    let more = ["-s", "-o", "got", "-w", "%{http_code} %{size_download}", "--max-time", "20"];
    let ca = ["--cacert", "data/ca.pem"];
    let output = Command::new("curl")
        .current_dir(place.path(""))
        .args(more)
        .args(ca)
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn get(place: &Place, path: &str, more: &[&str]) -> String {
    let url = format!("{URL}{path}");
    curl(place, &[more, &[&url]].concat())
}

#[test]
fn machines_get_by_tls_what_they_get_without_and_nothing_of_operators() {
    on_a_wire(|| {
        let place = place();
        let serving: Serving = place.serve(&[TLS]);
        assert_eq!(get(&place, "/files/kernel", &[]), "200 3145728");
        assert_eq!(fs::read(place.path("got")).unwrap(), fs::read(place.path("files/kernel")).unwrap());
        assert_eq!(get(&place, "/files/kernel", &["-r", "5-14"]), "206 10");
        assert_eq!(get(&place, "/files/none", &[]).split(' ').next(), Some("404"));
        assert_eq!(get(&place, "/api/v1/hardware", &[]).split(' ').next(), Some("404"));
        assert_eq!(get(&place, "/metrics", &[]).split(' ').next(), Some("404"));
        let plain = curl(&place, &["http://192.168.99.1:7080/files/kernel"]);
        assert_eq!(plain, "200 3145728", "without TLS as before");
        let wget = Command::new("wget")
            .current_dir(place.path(""))
            .args(["-q", "--ca-certificate=data/ca.pem", "-O", "by-wget"])
            .arg(format!("{URL}/files/kernel"))
            .status()
            .unwrap();
        assert!(wget.success());
        assert_eq!(fs::metadata(place.path("by-wget")).unwrap().len(), 3 << 20);
        assert_eq!(serving.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn what_reads_rsa_only_is_served_and_what_is_older_than_tls_1_2_is_not() {
    on_a_wire(|| {
        let place = place();
        let serving = place.serve(&[TLS]);
        let rsa =
            ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"];
        assert_eq!(get(&place, "/healthz", &rsa), "200 0");
        assert_eq!(get(&place, "/healthz", &["--tlsv1.3"]), "200 0");
        assert_eq!(get(&place, "/healthz", &["--tls-max", "1.1"]), "000 0");
        let ecdsa = ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"];
        assert_eq!(get(&place, "/healthz", &ecdsa), "000 0", "the certificate is RSA");
        let stranger = Place::complete("");
        assert_eq!(stranger.run(&["ca"]).code, Some(0));
        place.write("data/ca.pem", fs::read(stranger.path("data/ca.pem")).unwrap());
        assert_eq!(get(&place, "/healthz", &[]), "000 0", "another authority");
        drop(serving);
    });
}

#[test]
fn whoever_says_nothing_or_nonsense_keeps_no_machine_out() {
    on_a_wire(|| {
        let place = place();
        let serving = place.serve(&[TLS]);
        let silent: Vec<_> = (0..500).map(|_| TcpStream::connect("192.168.99.1:7444").unwrap()).collect();
        for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff], &[0; 4096]] {
            let mut stream = TcpStream::connect("192.168.99.1:7444").unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let _ = stream.write_all(nonsense);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(!answer.starts_with(b"HTTP"), "nothing is said in plain");
        }
        assert_eq!(get(&place, "/healthz", &[]), "200 0");
        assert_eq!(serving.end(Signal::SIGTERM), Some(0), "open handshakes hold up no end");
        drop(silent);
    });
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_the_start() {
    on_a_wire(|| {
        let place = Place::complete("");
        place.run(&[TLS]).is(
            "no certificate",
            78,
            &["http.tls.certificate", "machines.pem", "bootcode-server ca"],
        );
        assert_eq!(place.run(&["ca"]).code, Some(0));
        place.write("data/machines.key", fs::read(place.path("data/tls.key")).unwrap());
        place.run(&[TLS]).is("the key of another", 78, &["machines.pem", "machines.key"]);
        let half = place.run(&[TLS, "--set=http.tls.certificate=data/machines.pem"]);
        half.is("a certificate without its key", 78, &["http.tls", "belong together"]);
        assert_eq!(place.run(&["ca"]).code, Some(0));
        let taken = place.run(&["--set=http.tls.listen=192.168.99.1:7080"]);
        taken.is("a port twice", 69, &["http.tls.listen", "192.168.99.1:7080", "in use"]);
    });
}
