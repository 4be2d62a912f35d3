//! Operators who come by TCP: the real server with its own authority, asked by `bootcode`, `curl` and `skopeo`.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root, `ip` (iproute2), `curl` and `skopeo`.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use common::{NETWORK, Place, Serving, on_a_wire};
use nix::sys::signal::Signal;

const TLS: &str = "--set=api.tls.listen=127.0.0.1:7443";
const LOOPBACK: &str = "--set=api.loopback=127.0.0.1:7081";
const URL: &str = "https://localhost:7443";

/// A directory with an authority, and a token of ada's in a file.
fn place() -> Place {
    let place = Place::complete("");
    let made = place.run(&["ca"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(made.stdout.contains("localhost") && made.stdout.contains("192.168.99.1"), "{}", made.stdout);
    let token = place.run(&["token", "add", "ada"]);
    assert_eq!(token.code, Some(0), "{}", token.stderr);
    place.write("ada", token.stdout);
    place
}

fn serve(place: &Place) -> Serving {
    place.serve(&[TLS, LOOPBACK])
}

/// The operators' command, which lies beside the server.
fn bootcode(place: &Place, arguments: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_bootcode-server")).with_file_name("bootcode");
    let mut command = Command::new(program);
    command.current_dir(place.path("")).args(arguments.split(' '));
    command.env_remove("BOOTCODE_SERVER").env_remove("BOOTCODE_TOKEN_FILE").env_remove("BOOTCODE_CA_FILE");
    command.output().unwrap()
}

#[track_caller]
fn good(what: &str, output: &Output) -> String {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// It ended with this code and says all of these.
#[track_caller]
fn refused(what: &str, output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {said}");
    for part in parts {
        assert!(said.contains(part), "{what}: `{part}` is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{what}: {said}");
}

/// What `curl` says: the status.
fn curl(place: &Place, arguments: &[&str]) -> String {
    let more = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"];
    let output =
        Command::new("curl").current_dir(place.path("")).args(more).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_operator_elsewhere_does_everything_by_tls_with_a_token_and_nobody_else_does() {
    on_a_wire(|| {
        let place = place();
        place.write("network.yaml", NETWORK);
        place.write("stranger", "bco_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
        place.write("empty", "\n");
        let serving = serve(&place);
        let by = |token: &str, rest: &str| {
            bootcode(&place, &format!("--server {URL} --ca-file data/ca.pem --token-file {token} {rest}"))
        };
        assert!(good("apply", &by("ada", "apply -f network.yaml")).contains("Network/lab"));
        serving.wait_for("operator=\"ada\"");
        assert!(good("get", &by("ada", "get network")).contains("lab"));

        refused("a token of nobody", &by("stranger", "get network"), 77, &["nobody's", "token add"]);
        refused("no token in the file", &by("empty", "get network"), 66, &["--token-file", "empty"]);
        refused("no such file", &by("none", "get network"), 66, &["none"]);
        let no_token = bootcode(&place, &format!("--server {URL} --ca-file data/ca.pem get network"));
        refused("no token", &no_token, 77, &["--token-file"]);
        let stranger = Place::complete("");
        assert_eq!(stranger.run(&["ca"]).code, Some(0));
        place.write("stranger.pem", fs::read(stranger.path("data/ca.pem")).unwrap());
        let not_its_own = format!("--server {URL} --ca-file stranger.pem --token-file ada get network");
        refused(
            "another authority",
            &bootcode(&place, &not_its_own),
            77,
            &["is not trusted", "UnknownIssuer"],
        );
        let plain = bootcode(&place, "--server http://192.168.99.1:7080 --token-file ada get network");
        refused("a token in plain", &plain, 77, &["plain HTTP", "https://"]);
        let no_pem = bootcode(&place, &format!("--server {URL} --ca-file ada --token-file ada get network"));
        refused("no certificates", &no_pem, 66, &["--ca-file", "ada", "no certificate in PEM"]);
        let no_tls = bootcode(
            &place,
            "--server https://localhost:7081 --ca-file data/ca.pem --token-file ada get network",
        );
        refused("a listener without TLS", &no_tls, 77, &["localhost:7081"]);

        let loopback = bootcode(&place, "--server http://127.0.0.1:7081 --token-file ada get network");
        assert!(good("the loopback", &loopback).contains("lab"));
        assert_eq!(place.run(&["token", "rm", "ada"]).code, Some(0));
        refused("a token that was removed", &by("ada", "get network"), 77, &["nobody's"]);
        assert_eq!(serving.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn curl_is_told_by_status_and_the_health_needs_no_token() {
    on_a_wire(|| {
        let place = place();
        let serving = serve(&place);
        let token = fs::read_to_string(place.path("ada")).unwrap();
        let bearer = format!("authorization: Bearer {}", token.trim());
        let url = |path: &str| format!("{URL}{path}");
        let ca = ["--cacert", "data/ca.pem"];
        let with = |path: &str, more: &[&str]| curl(&place, &[&ca[..], more, &[&url(path)]].concat());
        assert_eq!(with("/healthz", &[]), "200");
        assert_eq!(with("/readyz", &[]), "200");
        for path in ["/api/v1/hardware", "/metrics", "/v2/", "/nothing", "/healthz/x"] {
            assert_eq!(with(path, &[]), "401", "{path}");
            assert_eq!(with(path, &["-H", "authorization: Bearer x"]), "401", "{path}");
        }
        assert_eq!(with("/api/v1/hardware", &["-H", &bearer]), "200");
        assert_eq!(with("/metrics", &["-H", &bearer]), "200");
        assert_eq!(with("/v2/", &["-u", &format!("anybody:{}", token.trim())]), "200");
        assert_eq!(with("/nothing", &["-H", &bearer]), "404");
        assert_eq!(curl(&place, &[&url("/healthz")]), "000", "an authority that nobody told it of");
        assert_eq!(
            with("/healthz", &["--resolve", "other:7443:127.0.0.1", "https://other:7443/healthz"]),
            "000200"
        );
        for version in ["1.2", "1.3"] {
            assert_eq!(with("/healthz", &["--tls-max", version]), "200", "TLS {version}");
        }
        assert_eq!(with("/healthz", &["--tls-max", "1.1"]), "000");
        drop(serving);
    });
}

#[test]
fn whoever_says_nothing_or_nonsense_keeps_nobody_out() {
    on_a_wire(|| {
        let place = place();
        let serving = serve(&place);
        // Silent ones hold their places for as long as a handshake may take, not longer.
        let silent: Vec<_> = (0..200).map(|_| TcpStream::connect("127.0.0.1:7443").unwrap()).collect();
        for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff], &[0; 4096]] {
            let mut stream = TcpStream::connect("127.0.0.1:7443").unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let _ = stream.write_all(nonsense);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(!answer.starts_with(b"HTTP"), "nothing is said in plain");
        }
        let url = format!("{URL}/healthz");
        assert_eq!(curl(&place, &["--cacert", "data/ca.pem", &url]), "200");
        for mut stream in silent {
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "it was let go");
        }
        assert_eq!(serving.end(Signal::SIGTERM), Some(0));
    });
}

#[test]
fn a_new_certificate_counts_without_a_start_and_a_broken_one_never() {
    on_a_wire(|| {
        let place = place();
        let serving = serve(&place);
        let health = |name: &str| {
            let resolve = format!("{name}:7443:127.0.0.1");
            let url = format!("https://{name}:7443/healthz");
            curl(&place, &["--cacert", "data/ca.pem", "--resolve", &resolve, &url])
        };
        assert_eq!(health("provision.example"), "000");
        let renewed = place.run(&["ca", "--name", "provision.example"]);
        assert!(renewed.stdout.contains("the authority of before"), "{}", renewed.stdout);
        assert_eq!(health("provision.example"), "200");
        serving.wait_for("a new certificate");
        place.write("data/tls.pem", "nothing");
        assert_eq!(health("provision.example"), "200");
        serving.wait_for("going on with the certificate of before");
        drop(serving);

        let broken = place.run(&[TLS]);
        broken.is("a broken certificate", 78, &["api.tls.certificate", "tls.pem", "no certificate in PEM"]);
        fs::remove_file(place.path("data/tls.pem")).unwrap();
        place.run(&[TLS]).is("no certificate", 78, &["tls.pem", "bootcode-server ca"]);
        fs::remove_file(place.path("data/ca.key")).unwrap();
        place.run(&["ca"]).is("half an authority", 74, &["ca.key", "put it back"]);
        place.run(&["ca", "--name", "a b"]).is("half an authority first", 74, &["ca.key"]);
        place.run(&["token", "add", "a b"]).is("a name with a space", 64, &["`a b`"]);
        place.run(&["token", "add", "ada"]).is("one more of ada's", 1, &["token rm ada"]);
        place.run(&["token", "rm", "bob"]).is("none of bob's", 1, &["`bob`", "token list"]);
        assert!(place.run(&["token", "list"]).stdout.starts_with("ada  20"));
    });
}

#[test]
fn skopeo_pushes_by_tls_with_a_token_as_its_password() {
    on_a_wire(|| {
        let place = place();
        let serving = serve(&place);
        // An image of nothing: configuration and no layer.
        let directory = place.path("oci");
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        let blob = |bytes: &str| {
            let digest = bootcode_tftp::registry::Digest::of(bytes.as_bytes());
            let name = digest.as_str().strip_prefix("sha256:").unwrap().to_owned();
            fs::write(directory.join("blobs/sha256").join(name), bytes).unwrap();
            (digest.as_str().to_owned(), bytes.len())
        };
        let (config, size) =
            blob(r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#);
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{size}}},"layers":[]}}"#
        );
        let (digest, size) = blob(&manifest);
        place.write("oci/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        place.write(
            "oci/index.json",
            format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#
            ),
        );
        fs::create_dir(place.path("certs")).unwrap();
        fs::copy(place.path("data/ca.pem"), place.path("certs/ca.crt")).unwrap();
        let token = fs::read_to_string(place.path("ada")).unwrap();
        let push = |credentials: &str| {
            Command::new("skopeo")
                .current_dir(place.path(""))
                .args(["copy", "--insecure-policy", "--dest-cert-dir=certs", "--dest-creds", credentials])
                .args(["oci:oci:v1", "docker://localhost:7443/tools/empty:v1"])
                .output()
                .unwrap()
        };
        assert!(!push("ada:bco_wrong").status.success());
        good("skopeo", &push(&format!("ada:{}", token.trim())));
        let listed =
            bootcode(&place, &format!("--server {URL} --ca-file data/ca.pem --token-file ada image list"));
        assert!(good("image list", &listed).contains("tools/empty"));
        drop(serving);
    });
}
