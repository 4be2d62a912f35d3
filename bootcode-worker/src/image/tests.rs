//! Against a real TCP server that cuts, stalls, lies and changes its mind.

use std::{io::Write as _, os::unix::fs::MetadataExt as _, path::Path, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
};

use super::*;

/// What the server does with one connection after the other; the last goes on for ever.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Serves with ranges, and closes after this many bytes of the body.
    Cut { after: usize },
    /// Serves the rest of the range that was asked for.
    Serve,
    /// As `Serve`, under another etag.
    Replaced,
    /// Knows no ranges: always 200 and the whole.
    Whole,
    /// Announces more than it sends.
    Lie { announce: usize },
    /// No Content-Length, closes in the middle.
    Unannounced { after: usize },
    /// An answer without a body.
    Status(u16),
    /// A partial answer for another place.
    WrongRange,
    /// Head, then silence.
    Stall,
    /// Closes at once.
    HangUp,
}

struct Server {
    url: HttpUrl,
    requests: Arc<Mutex<Vec<String>>>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

impl Server {
    async fn start(data: Vec<u8>, acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/files/os.tar", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, acts) = (requests.clone(), acts.to_vec());
        let task = tokio::spawn(async move {
            for index in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let act = acts[index.min(acts.len() - 1)];
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.unwrap_or(0) == 1 {
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap().to_lowercase();
                log.lock().await.push(request.clone());
                perform(&mut stream, act, &request, &data).await;
            }
        });
        Self { url, requests, _task: tokio_util::task::AbortOnDropHandle::new(task) }
    }
}

async fn perform(stream: &mut TcpStream, act: Act, request: &str, data: &[u8]) {
    let field = |name: &str| request.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let from = field("range: bytes=").and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    let etag = if matches!(act, Act::Replaced) { "\"two\"" } else { "\"one\"" };
    let matches = field("if-range:").is_none_or(|wanted| wanted == etag);
    let from = from.filter(|_| matches && !matches!(act, Act::Whole));
    let start = from.unwrap_or(0);
    let rest = &data[start.min(data.len())..];
    let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
    let mut head = format!("HTTP/1.1 {status}\r\nETag: {etag}\r\nConnection: close\r\n");
    if from.is_some() {
        let start = if matches!(act, Act::WrongRange) { start + 1 } else { start };
        head += &format!("Content-Range: bytes {start}-{}/{}\r\n", data.len() - 1, data.len());
    }
    let (length, sent) = match act {
        Act::Cut { after } => (Some(rest.len()), &rest[..after.min(rest.len())]),
        Act::Serve | Act::Replaced | Act::Whole | Act::WrongRange => (Some(rest.len()), rest),
        Act::Lie { announce } => (Some(announce), rest),
        Act::Unannounced { after } => (None, &rest[..after.min(rest.len())]),
        Act::Stall => (Some(rest.len()), &rest[..0]),
        Act::Status(code) => {
            drop(
                stream.write_all(format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).await,
            );
            return;
        }
        Act::HangUp => return,
    };
    if let Some(length) = length {
        head += &format!("Content-Length: {length}\r\n");
    }
    drop(stream.write_all(format!("{head}\r\n").as_bytes()).await);
    drop(stream.write_all(sent).await);
    drop(stream.flush().await);
    if matches!(act, Act::Stall) {
        // Until the client has had enough.
        drop(stream.read(&mut [0]).await);
    }
}

fn policy() -> FetchPolicy {
    FetchPolicy {
        connect: Duration::from_secs(5),
        idle: Duration::from_millis(200),
        reconnect: Duration::from_millis(800),
        backoff: Duration::from_millis(32),
    }
}

fn sample(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| u8::try_from((index * 7 + index / 251) % 256).unwrap()).collect()
}

fn digest(data: &[u8]) -> Sha256Digest {
    Sha256Digest::new(Sha256::digest(data).into())
}

fn source(server: &Server, data: &[u8]) -> ImageSource {
    ImageSource { url: server.url.clone(), sha256: digest(data), size: Some(data.len() as u64) }
}

async fn run(source: &ImageSource) -> (Result<Fetched, FetchError>, Vec<u8>, Progress) {
    let (sink, mut chunks) = mpsc::channel::<bytes::Bytes>(2);
    let progress = Progress::new();
    let policy = policy();
    let collect = async {
        let mut all = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            all.extend_from_slice(&chunk);
        }
        all
    };
    let (result, all) = tokio::join!(fetch(source, &policy, sink, &progress), collect);
    (result, all, progress)
}

#[tokio::test]
async fn a_fetch_goes_on_where_each_break_left_it() {
    let data = sample(900_000);
    for acts in [
        &[Act::Serve][..],
        &[Act::HangUp, Act::Serve],
        &[Act::Cut { after: 300_001 }, Act::HangUp, Act::Cut { after: 1 }, Act::Serve],
        &[Act::Cut { after: 300_001 }, Act::Status(503), Act::Serve],
        &[Act::Cut { after: 300_001 }, Act::Stall, Act::Serve],
        &[Act::Cut { after: 300_001 }, Act::Whole],
        &[Act::Unannounced { after: 500_000 }, Act::Serve],
    ] {
        let server = Server::start(data.clone(), acts).await;
        let (result, all, progress) = run(&source(&server, &data)).await;
        let fetched = result.unwrap_or_else(|fault| panic!("{acts:?}: {fault}"));
        assert_eq!((fetched.bytes, fetched.sha256), (900_000, digest(&data)), "{acts:?}");
        assert!(all == data, "{acts:?}: the bytes differ");
        assert_eq!(progress.received(), 900_000);
        assert_eq!(progress.total(), Some(900_000));
        assert_eq!(progress.reconnects(), acts.len() as u64 - 1, "{acts:?}");
    }
}

#[tokio::test]
async fn a_reconnect_asks_with_range_and_if_range() {
    let data = sample(600_000);
    let server = Server::start(data.clone(), &[Act::Cut { after: 300_001 }, Act::Serve]).await;
    run(&source(&server, &data)).await.0.unwrap();
    let requests = server.requests.lock().await;
    assert!(!requests[0].contains("range"), "{}", requests[0]);
    assert!(requests[1].contains("range: bytes=300001-\r\n"), "{}", requests[1]);
    assert!(requests[1].contains("if-range: \"one\"\r\n"), "{}", requests[1]);
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_named() {
    use FetchError as E;
    let data = sample(600_000);
    let cut = Act::Cut { after: 300_001 };
    type Fits = fn(&FetchError) -> bool;
    let cases: &[(&[Act], Fits)] = &[
        (&[Act::Status(404)], |e| matches!(e, E::Refused { status: 404, .. })),
        (&[Act::Status(503)], |e| matches!(e, E::GaveUp { received: 0, .. })),
        (&[Act::HangUp], |e| matches!(e, E::GaveUp { received: 0, .. })),
        (&[Act::Stall], |e| matches!(e, E::GaveUp { received: 0, .. })),
        (&[cut, Act::HangUp], |e| matches!(e, E::GaveUp { received: 300_001, .. })),
        (&[cut, Act::Replaced], |e| matches!(e, E::Changed { received: 300_001, .. })),
        (&[cut, Act::WrongRange], |e| matches!(e, E::Range { received: 300_001, .. })),
        (&[cut, Act::Status(416)], |e| matches!(e, E::Changed { .. })),
        (&[Act::Lie { announce: 600_001 }], |e| {
            matches!(e, E::Size { expected: 600_000, found: 600_001, .. })
        }),
        (&[Act::Lie { announce: 10 }], |e| matches!(e, E::Size { expected: 600_000, found: 10, .. })),
    ];
    for (acts, fits) in cases {
        let server = Server::start(data.clone(), acts).await;
        let fault = run(&source(&server, &data)).await.0.unwrap_err();
        assert!(fits(&fault), "{acts:?}: {fault}");
    }
}

#[tokio::test]
async fn a_server_that_lies_about_the_length_of_an_undeclared_size_is_a_wrong_digest_or_never_whole() {
    let data = sample(600_000);
    for (act, digest_is_wrong) in [
        (Act::Lie { announce: 599_999 }, true),
        (Act::Unannounced { after: 9 }, true),
        (Act::Lie { announce: 600_001 }, false),
    ] {
        let server = Server::start(data.clone(), &[act]).await;
        let source = ImageSource { size: None, ..source(&server, &data) };
        let fault = run(&source).await.0.unwrap_err();
        assert_eq!(matches!(fault, FetchError::Digest { .. }), digest_is_wrong, "{act:?}: {fault}");
    }
}

fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, link: &str, data: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_600_000_000);
        header.set_uid(1234);
        header.set_gid(4321);
        header.set_size(data.len() as u64);
        if matches!(kind, tar::EntryType::Char) {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        }
        if link.is_empty() {
            tar.append_data(&mut header, path, data).unwrap();
        } else {
            tar.append_link(&mut header, path, link).unwrap();
        }
    };
    use tar::EntryType as T;
    add("./", T::Directory, 0o751, "", b"");
    add("./sub", T::Directory, 0o2555, "", b"");
    add("./sub/file", T::Regular, 0o4755, "", b"hello");
    add("./sub/hard", T::Link, 0o644, "./sub/file", b"");
    add("./sub/soft", T::Symlink, 0o777, "../etc/shadow", b"");
    add("./console", T::Char, 0o600, "", b"");
    add("./pipe", T::Fifo, 0o620, "", b"");
    let capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    tar.append_pax_extensions([("SCHILY.xattr.security.capability", &capability[..])]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(4);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_600_000_001);
    tar.append_data(&mut header, "./ping", &b"ping"[..]).unwrap();
    tar.into_inner().unwrap()
}

fn zstd_in_two_frames(data: &[u8]) -> Vec<u8> {
    let (first, second) = data.split_at(data.len() / 2);
    [first, second].map(|part| compress("zstd", part)).concat()
}

/// By the reference programs rather than by the library under test.
fn compress(program: &str, data: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new(program)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|fault| panic!("{program} is needed (`cargo xtask setup` installs it): {fault}"));
    let mut stdin = child.stdin.take().unwrap();
    let data = data.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&data));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn check_unpacked(target: &Path) {
    let meta = |path: &str| std::fs::symlink_metadata(target.join(path)).unwrap();
    let file = meta("sub/file");
    assert_eq!(std::fs::read(target.join("sub/hard")).unwrap(), b"hello");
    assert_eq!((file.ino(), file.nlink()), (meta("sub/hard").ino(), 2));
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (1234, 4321, 0o4755));
    assert_eq!(file.mtime(), 1_600_000_000);
    let sub = meta("sub");
    assert_eq!((sub.uid(), sub.mode() & 0o7777, sub.mtime()), (1234, 0o2555, 1_600_000_000));
    assert_eq!(meta("").mode() & 0o7777, 0o751, "the root directory's own mode");
    assert_eq!(std::fs::read_link(target.join("sub/soft")).unwrap(), Path::new("../etc/shadow"));
    assert_eq!(meta("sub/soft").uid(), 1234);
    let console = meta("console");
    assert_eq!((console.mode(), console.rdev()), (0o020_600, nix::sys::stat::makedev(5, 1)));
    assert_eq!(meta("pipe").mode(), 0o010_620);
    let capability = xattr::get(target.join("ping"), "security.capability").unwrap().unwrap();
    assert_eq!(capability.len(), 20);
}

#[tokio::test]
async fn owners_modes_times_links_nodes_and_capabilities_survive_every_compression() {
    if !root() {
        eprintln!("not root: owners and nodes cannot be made, so this is proven by the lab only");
        return;
    }
    let tar = tar();
    for data in [tar.clone(), zstd_in_two_frames(&tar), compress("gzip", &tar)] {
        let server = Server::start(data.clone(), &[Act::Cut { after: data.len() / 2 }, Act::Serve]).await;
        let target = tempfile::tempdir().unwrap();
        let installed =
            install(&source(&server, &data), &policy(), target.path().into(), Progress::new()).await.unwrap();
        assert_eq!((installed.unpacked.entries, installed.unpacked.bytes), (8, 9));
        check_unpacked(target.path());
    }
}

#[tokio::test]
async fn a_wrong_digest_is_found_although_the_tar_is_perfect() {
    let data = compress("zstd", &plain_tar("./a", b"x"));
    let server = Server::start(data.clone(), &[Act::Serve]).await;
    let target = tempfile::tempdir().unwrap();
    let source = ImageSource { sha256: digest(b"something else"), ..source(&server, &data) };
    let fault = install(&source, &policy(), target.path().into(), Progress::new()).await.unwrap_err();
    assert!(matches!(fault, ImageError::Fetch(FetchError::Digest { .. })), "{fault}");
    assert!(fault.to_string().contains(&digest(&data).to_string()), "{fault}");
}

#[tokio::test]
async fn what_is_not_a_tar_is_refused_as_such() {
    for data in [sample(100_000), vec![0; 10_240], compress("zstd", &sample(100_000))] {
        let server = Server::start(data.clone(), &[Act::Serve]).await;
        let target = tempfile::tempdir().unwrap();
        let fault = install(&source(&server, &data), &policy(), target.path().into(), Progress::new())
            .await
            .unwrap_err();
        assert!(matches!(fault, ImageError::Unpack(_)), "{fault}");
    }
}

fn plain_tar(path: &str, data: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    // Bypasses the writer's own checks, as a hostile writer would.
    header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    header.set_uid(u64::from(nix::unistd::geteuid().as_raw()));
    header.set_gid(u64::from(nix::unistd::getegid().as_raw()));
    header.set_mtime(1);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, data).unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn an_entry_that_leaves_the_root_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let target = outer.path().join("root");
    std::fs::create_dir(&target).unwrap();
    let fault = unpack_tar(&plain_tar("../evil", b"x")[..], &target).unwrap_err();
    assert!(matches!(fault, UnpackError::Outside { .. }), "{fault}");
    assert!(!outer.path().join("evil").exists());
    unpack_tar(&plain_tar("/absolute", b"x")[..], &target).unwrap();
    assert!(target.join("absolute").exists(), "an absolute name is taken below the root");
}

#[test]
fn a_truncated_tar_is_an_error() {
    let tar = plain_tar("./a", &[7; 5000]);
    let target = tempfile::tempdir().unwrap();
    let fault = unpack_tar(&tar[..3000], target.path()).unwrap_err();
    assert!(matches!(fault, UnpackError::Read { .. } | UnpackError::Write { .. }), "{fault}");
}
