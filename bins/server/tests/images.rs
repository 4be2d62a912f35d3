//! Images on the real server: killed in the middle of pushes, and with images that are larger than its memory may become.
//!
//! Runs where `BOOTCODE_REAL_PEERS` is 1 (`cargo xtask test` sets it); needs root, `ip` (iproute2) and `bootcode` beside the server.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use bootcode_tftp::registry::{Digest, Layout, registry_router};
use common::{Place, machines, on_a_wire, operators, request};
use nix::sys::signal::Signal;

/// The operators' command, which lies beside the server.
fn bootcode(place: &Place, line: &str) -> Child {
    let program = Path::new(env!("CARGO_BIN_EXE_bootcode-server")).with_file_name("bootcode");
    let mut command = Command::new(program);
    command.current_dir(place.path("")).args(line.split(' ')).env("BOOTCODE_SERVER", "unix:api.sock");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn good(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "{text}");
    text
}

/// Bytes that are not whole yet.
fn came(place: &Place) -> u64 {
    let parts = fs::read_dir(place.path("images/.uploads")).into_iter().flatten();
    parts.filter_map(|part| Some(part.ok()?.metadata().ok()?.len())).sum()
}

fn count(place: &Place, directory: &str) -> usize {
    fs::read_dir(place.path(directory)).unwrap().count()
}

fn pattern(len: u32) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8)) as u8).collect()
}

/// The most memory that a process had, in KiB.
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().split(' ').next()?.parse().ok()
}

#[test]
fn a_kill_in_the_middle_of_a_push_leaves_nothing_half_and_the_push_works_afterwards() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        let ask = |method: &str, path: &str, body: &str| {
            operators(&place.path("api.sock"), &request(method, path, "", body))
        };
        let socket = std::os::unix::net::UnixStream::connect(place.path("api.sock")).unwrap();
        let begun =
            send(&socket, b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        let upload =
            begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().trim().to_owned();
        assert_eq!(ask("PATCH", &upload, "half of").0, 202);
        // One more that is in the middle of its body.
        let head = format!("PATCH {upload} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nhalf");
        std::io::Write::write_all(&mut &socket, head.as_bytes()).unwrap();
        assert_eq!(count(&place, "images/.uploads"), 1);
        server.end(Signal::SIGKILL);
        assert_eq!(count(&place, "images/.uploads"), 1, "what was killed could not clean up");

        let _server = place.serve(&[]);
        assert_eq!(count(&place, "images/.uploads"), 0);
        assert_eq!(count(&place, "images/blobs/sha256"), 0);
        let (status, body) = ask("GET", &upload, "");
        assert!(status == 404 && body.contains("BLOB_UPLOAD_UNKNOWN"), "{status} {body}");
        let digest = Digest::of(b"half of a blob");
        let (status, _) = ask("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), "half of a blob");
        assert_eq!(status, 201);
        assert_eq!(ask("GET", &format!("/v2/a/blobs/{digest}"), ""), (200, "half of a blob".to_owned()));
    });
}

/// Sends a request whose answer has no body, and reads that; the connection stays.
fn send(mut stream: &std::os::unix::net::UnixStream, request: &[u8]) -> String {
    use std::io::{Read as _, Write as _};
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn an_image_whose_server_is_killed_three_times_on_its_way_arrives_all_the_same() {
    on_a_wire(|| {
        let place = Place::complete("");
        let image = pattern(60_000_000);
        place.write("disk.raw", &image);
        let mut server = place.serve(&[]);
        let adding = bootcode(&place, "image add disk.raw");
        for at in [1_u64, 17_000_000, 34_000_000] {
            while came(&place) < at {
                std::thread::yield_now();
            }
            server.end(Signal::SIGKILL);
            let path = place.path("images/blobs/sha256").join(Digest::of(&image).hex());
            assert!(!path.exists(), "nothing is there before it is whole");
            server = place.serve(&[]);
        }
        let said = good(adding);
        assert!(said.contains("it is sent again") && said.contains("added disk.raw"), "{said}");
        let (status, _) = machines(&request("HEAD", "/files/disk.raw", "", ""));
        assert_eq!(status, 200);
        let (status, part) = machines(&request("GET", "/files/disk.raw", "range: bytes=65-68\r\n", ""));
        assert_eq!((status, part.as_str()), (206, "ABCD"));
        assert_eq!(
            fs::read(place.path("images/blobs/sha256").join(Digest::of(&image).hex())).unwrap(),
            image
        );
        server.end(Signal::SIGKILL);
        let _server = place.serve(&[]);
        assert_eq!(machines(&request("HEAD", "/files/disk.raw", "", "")).0, 200, "and stays");
        assert_eq!(count(&place, "images/.uploads"), 0);
    });
}

#[test]
fn an_image_larger_than_memory_goes_through_both_sides_in_little_of_it() {
    on_a_wire(|| {
        let place = Place::complete("");
        let server = place.serve(&[]);
        File::create(place.path("disk.raw")).unwrap().set_len(512 << 20).unwrap();
        let mut adding = bootcode(&place, "image add disk.raw");
        let (mut command, mut peaks) = (0, 0);
        while adding.try_wait().unwrap().is_none() {
            command = command.max(peak(adding.id()).unwrap_or_default());
            peaks += 1;
            // How often is looked, not how long is waited.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let said = good(adding);
        assert!(said.contains("536870912 bytes of raw") && peaks > 1, "{said}");
        let server = peak(server.id()).unwrap();
        println!("512 MiB: command {command} KiB, server {server} KiB");
        assert!(command < 128 << 10, "the command had {command} KiB");
        assert!(server < 192 << 10, "the server had {server} KiB");
    });
}

#[test]
fn a_machine_pulls_through_the_server_what_another_registry_has() {
    on_a_wire(|| {
        let far = tempfile::tempdir().unwrap();
        let layout = Layout::create(far.path()).unwrap();
        let index =
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        let digest = Digest::of(index.as_bytes());
        fs::create_dir_all(far.path().join("blobs/sha256")).unwrap();
        fs::write(far.path().join("blobs/sha256").join(digest.hex()), index).unwrap();
        let listed = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":{},
            "annotations":{{"org.opencontainers.image.ref.name":"tools/tool:v1"}}}}]}}"#,
            index.len()
        );
        fs::write(far.path().join("index.json"), listed).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Made on this thread, which is in the test's own network.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, registry_router(layout, bootcode_tftp::http::Downloads::default())).await
        });
        let place = Place::complete("");
        let upstream = format!("registry.upstream={url}");
        let server = place.serve(&["--set", &upstream]);
        let pull = || machines(&request("GET", "/v2/tools/tool/manifests/v1", "", ""));
        assert_eq!(pull(), (200, index.to_owned()));
        assert_eq!(machines(&request("GET", "/v2/tools/other/manifests/v1", "", "")).0, 404);
        assert_eq!(server.end(Signal::SIGTERM), Some(0));
        drop(runtime);
        let _server = place.serve(&["--set", &upstream]);
        assert_eq!(pull(), (200, index.to_owned()), "upstream is away");
    });
}
