//! Files that the connection sends itself: over hyper, as an embedder would serve them.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{
    fs::File,
    io,
    net::SocketAddr,
    num::NonZeroU64,
    os::unix::fs::FileExt as _,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use axum::{Router, body::Body, extract::ConnectInfo, middleware, response::Response};
use bootcode_core::{
    clock::SystemClock,
    files::{Chain, Dir, Hot},
    timeline::{BootEventKind, Reason},
};
use bootcode_tftp::http::{Downloads, Lane, LaneStream, LargeDownloads, files_router};
use common::{Timeline, content};
use futures_util::{StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Barrier,
    task::JoinSet,
};
use tower::ServiceExt as _;

/// More than the sockets of both sides hold.
const LEN: usize = 24 << 20;
/// Kept in memory.
const HOT: usize = 64 << 10;

struct Bed {
    address: SocketAddr,
    timeline: Timeline,
    directory: tempfile::TempDir,
    lanes: Arc<Mutex<Vec<Lane>>>,
}

/// One file, `osie/vmlinuz-x86_64`; `layers` may stand between it and the connection.
async fn bed(layers: impl FnOnce(Router) -> Router) -> Bed {
    bed_with(Downloads::default(), layers).await
}

async fn bed_with(downloads: Downloads, layers: impl FnOnce(Router) -> Router) -> Bed {
    // A real file system: not every one can tell what is in the kernel's memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(directory.path().join("vmlinuz-x86_64"), content(LEN)).unwrap();
    let written = File::options().write(true).create_new(true).open(directory.path().join("hot")).unwrap();
    written.write_all_at(&content(HOT), 0).unwrap();
    // What was just written may be written again: it is not kept.
    written.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    let source = Arc::new(Dir::new(directory.path()).unwrap());
    let chain =
        Chain::new().with_prefix("osie", Arc::new(Hot::new(source, Arc::new(SystemClock), HOT as u64)));
    let timeline = Timeline::default();
    let router =
        layers(files_router(Arc::new(chain), Arc::new(timeline.clone()), Arc::new(SystemClock), downloads));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lanes = Arc::new(Mutex::new(Vec::new()));
    let known = Arc::clone(&lanes);
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let stream = LaneStream::new(stream);
            let (lane, router) = (stream.lane(), router.clone());
            known.lock().unwrap().push(lane.clone());
            let service =
                hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(ConnectInfo(peer));
                    request.extensions_mut().insert(lane.clone());
                    router.clone().oneshot(request)
                });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Bed { address, timeline, directory, lanes }
}

impl Bed {
    fn sent(&self) -> u64 {
        self.lanes.lock().unwrap().iter().map(Lane::sent).sum()
    }

    fn file(&self) -> File {
        let path = self.directory.path().join("vmlinuz-x86_64");
        File::options().write(true).open(path).unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn request(method: &str, headers: &str) -> String {
    format!("{method} /osie/vmlinuz-x86_64 HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

/// The head of an answer, and how long its body is said to be.
async fn head(stream: &mut TcpStream) -> io::Result<(String, usize)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    Ok((head, len))
}

/// What comes of a body before it ends or breaks off.
async fn rest(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut body = vec![0; len];
    let mut got = 0;
    while got < len {
        match stream.read(&mut body[got..]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => got += read,
        }
    }
    body.truncate(got);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_sends_files_and_ranges_itself_and_they_are_what_was_asked_for() {
    let bed = bed(|router| router).await;
    let mut stream = bed.connect().await;
    let all = content(LEN);
    // All asked for at once: what is owed for one never goes into the answer to another.
    let (from, to) = (1_000_001, 9_000_000);
    let asked = [
        request("GET", ""),
        request("HEAD", ""),
        request("GET", &format!("Range: bytes={from}-{}\r\n", to - 1)),
        request("GET", "Range: bytes=5-9\r\n"),
        request("GET", "Range: bytes=0-2999999,8000000-11999999\r\n"),
        request("GET", ""),
    ];
    stream.write_all(asked.concat().as_bytes()).await.unwrap();
    let whole = async |stream: &mut TcpStream| {
        let (_, len) = head(stream).await.unwrap();
        assert_eq!(len, LEN);
        assert!(rest(stream, len).await == all, "another file");
    };
    whole(&mut stream).await;
    assert_eq!(head(&mut stream).await.unwrap().1, LEN);
    let (text, len) = head(&mut stream).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 206 ") && len == to - from, "{text}");
    assert!(rest(&mut stream, len).await == all[from..to], "another range");
    let (_, len) = head(&mut stream).await.unwrap();
    assert_eq!(rest(&mut stream, len).await, all[5..10]);
    let (_, len) = head(&mut stream).await.unwrap();
    let body = rest(&mut stream, len).await;
    let has = |range: &[u8]| body.windows(range.len()).any(|window| window == range);
    assert!(body.len() == len && has(&all[..3_000_000]) && has(&all[8_000_000..12_000_000]), "other ranges");
    whole(&mut stream).await;
    let by_itself = bed.sent();
    assert!(by_itself > 2 * LEN as u64, "only {by_itself} bytes went by sendfile");
    bed.timeline.of_len(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_in_memory_goes_without_being_copied_and_whole() {
    let bed = bed(|router| router).await;
    let mut stream = bed.connect().await;
    let ask = |range: &str| request("GET", range).replace("vmlinuz-x86_64", "hot");
    let ranges = [(0, HOT), (1, 40_001), (HOT - 20_000, HOT), (7, 8)];
    let asked = ranges.map(|(from, to)| ask(&format!("Range: bytes={from}-{}\r\n", to - 1)));
    stream.write_all(asked.concat().as_bytes()).await.unwrap();
    let all = content(HOT);
    for (from, to) in ranges {
        let (_, len) = head(&mut stream).await.unwrap();
        assert!(rest(&mut stream, len).await == all[from..to], "other bytes than {from} to {to}");
    }
    assert_eq!(bed.sent(), (HOT + 40_000 + 20_000) as u64, "a byte is copied");
    // Another version takes its place at once; who has the first one keeps it.
    std::fs::write(bed.directory.path().join("hot"), vec![b'n'; HOT]).unwrap();
    stream.write_all(ask("").as_bytes()).await.unwrap();
    let (_, len) = head(&mut stream).await.unwrap();
    assert_eq!(rest(&mut stream, len).await, vec![b'n'; HOT]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_slow_gets_the_whole_file() {
    let bed = bed(|router| router).await;
    let mut stream = bed.connect().await;
    stream.write_all(request("GET", "").as_bytes()).await.unwrap();
    let (_, len) = head(&mut stream).await.unwrap();
    let mut body = Vec::new();
    while body.len() < len {
        body.extend(rest(&mut stream, (len - body.len()).min(1 << 20)).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(body == content(LEN), "another file");
    assert!(bed.sent() > LEN as u64 / 2);
}

/// Whole, and in ranges that leave the file's end out: each is checked before its own last bytes go.
const RANGES: [&str; 3] =
    ["", "Range: bytes=1000-19999999\r\n", "Range: bytes=0-9999999,12000000-21999999\r\n"];

/// What comes of a request when something is done to the file after the first of it, and how much was promised.
async fn meanwhile(bed: &Bed, range: &str, act: impl FnOnce()) -> (Vec<u8>, usize) {
    let mut stream = bed.connect().await;
    stream.write_all(request("GET", range).as_bytes()).await.unwrap();
    let (_, len) = head(&mut stream).await.unwrap();
    let mut body = rest(&mut stream, 1 << 20).await;
    assert!(bed.sent() > 0, "nothing goes by sendfile");
    act();
    body.extend(rest(&mut stream, len - body.len()).await);
    (body, len)
}

/// A file that is changed when some of it has come: no answer that looks whole, and the reason.
async fn breaks_off(change: impl Fn(&File)) {
    for range in RANGES {
        let bed = bed(|router| router).await;
        let (body, len) = meanwhile(&bed, range, || change(&bed.file())).await;
        assert!(body.len() < len, "{range:?} of a file that changed came whole");
        let failed =
            BootEventKind::Refused { file: "osie/vmlinuz-x86_64".to_owned(), reason: Reason::ReadFailed };
        // Whoever leaves the file's end out did not fetch it, and the timeline speaks of files.
        if range.is_empty() {
            assert_eq!(bed.timeline.of_len(1).await, [failed]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_shrinks_breaks_off() {
    breaks_off(|file| file.set_len(2 << 20).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_again_breaks_off() {
    breaks_off(|file| file.write_all_at(b"other", LEN as u64 - 100).unwrap()).await;
}

/// As who publishes a new version does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_vanishes_or_is_replaced_is_sent_as_it_was_opened() {
    for replaced in [false, true] {
        for (range, from, to) in [(RANGES[0], 0, LEN), (RANGES[1], 1000, 20_000_000)] {
            let bed = bed(|router| router).await;
            let path = bed.directory.path().join("vmlinuz-x86_64");
            let act = || {
                if replaced {
                    std::fs::write(path.with_extension("new"), vec![0; LEN]).unwrap();
                    std::fs::rename(path.with_extension("new"), &path).unwrap();
                } else {
                    std::fs::remove_file(&path).unwrap();
                }
            };
            let (body, len) = meanwhile(&bed, range, act).await;
            assert!(len == to - from && body == content(LEN)[from..to], "other bytes, replaced: {replaced}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_may_hold_and_cut_what_passes_through_them() {
    let bed = bed(|router| {
        router.layer(middleware::map_response(|response: Response| async {
            response.map(|body| {
                let cut = body.into_data_stream().flat_map(|bytes| {
                    let bytes = bytes.unwrap();
                    let starts: Vec<usize> = (0..bytes.len()).step_by(300_000).collect();
                    stream::iter(starts).then(move |start| {
                        let part = bytes.slice(start..bytes.len().min(start + 300_000));
                        async move {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                            Ok::<_, io::Error>(part)
                        }
                    })
                });
                Body::from_stream(cut)
            })
        }))
    })
    .await;
    let mut stream = bed.connect().await;
    stream.write_all(request("GET", "").as_bytes()).await.unwrap();
    let (_, len) = head(&mut stream).await.unwrap();
    assert!(rest(&mut stream, len).await == content(LEN), "another file");
    assert!(bed.sent() > LEN as u64 / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_layer_has_copied_is_never_sent() {
    let bed = bed(|router| {
        router.layer(middleware::map_response(|response: Response| async {
            let (head, body) = response.into_parts();
            let copied = axum::body::to_bytes(body, LEN).await.unwrap();
            Response::from_parts(head, Body::from(copied.to_vec()))
        }))
    })
    .await;
    let mut stream = bed.connect().await;
    stream.write_all(request("GET", "").as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.is_err(), "an answer without a file was sent");
}

fn large(parallel: usize, bytes_per_second: Option<u64>) -> Downloads {
    let bytes_per_second = bytes_per_second.and_then(NonZeroU64::new);
    Downloads::new(LargeDownloads { from_bytes: 1 << 20, parallel, bytes_per_second })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_connection_sends_keeps_below_the_rate_with_the_others_and_is_shared() {
    const RATE: usize = 16 << 20;
    const SHARE: usize = 8 << 20;
    let bed = Arc::new(bed_with(large(64, Some(RATE as u64)), |router| router).await);
    let begin = Instant::now();
    let clients = (0..4).map(|_| {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move {
            let mut stream = bed.connect().await;
            let range = request("GET", &format!("Range: bytes=0-{}\r\n", SHARE - 1));
            stream.write_all(range.as_bytes()).await.unwrap();
            let (_, len) = head(&mut stream).await.unwrap();
            assert!(rest(&mut stream, len).await == content(LEN)[..SHARE], "another range");
            begin.elapsed().as_secs_f64()
        })
    });
    let took: Vec<f64> =
        futures_util::future::join_all(clients).await.into_iter().map(Result::unwrap).collect();
    let (first, last) = took.iter().fold((f64::MAX, 0_f64), |(least, most), &s| (least.min(s), most.max(s)));
    assert!(bed.sent() > 2 * SHARE as u64, "only {} bytes went by sendfile", bed.sent());
    let at_the_rate = (4 * SHARE) as f64 / RATE as f64;
    assert!(last > 0.9 * at_the_rate, "{last} s for what takes {at_the_rate} s");
    assert!(first > 0.8 * last, "one was served before the others: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_connection_sends_waits_for_its_turn() {
    let bed = bed_with(large(1, None), |router| router).await;
    let ask = async || {
        let mut stream = bed.connect().await;
        stream.write_all(request("GET", "").as_bytes()).await.unwrap();
        head(&mut stream).await.unwrap();
        stream
    };
    // It has the turn, and does not read.
    let mut first = ask().await;
    let mut second = ask().await;
    let mut sip = [0; 256];
    second.read_exact(&mut sip).await.unwrap();
    assert_eq!(sip, content(256)[..], "who waits hears of us");
    let more = tokio::time::timeout(Duration::from_millis(500), second.read_u8()).await;
    assert!(more.is_err(), "and has no more before its turn");
    assert!(rest(&mut first, LEN).await == content(LEN), "another file");
    assert!(rest(&mut second, LEN - 256).await == content(LEN)[256..], "another file");
    assert!(bed.sent() > LEN as u64, "only {} bytes went by sendfile", bed.sent());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_downloads_at_once_go_on_together() {
    const CLIENTS: usize = 1000;
    const SHARE: usize = 2 << 20;
    let (_, most) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most, most).unwrap();
    let bed = Arc::new(bed_with(large(CLIENTS, None), |router| router).await);
    let range = request("GET", &format!("Range: bytes=0-{}\r\n", SHARE - 1));
    let mut streams = Vec::new();
    for _ in 0..CLIENTS {
        let socket = TcpSocket::new_v4().unwrap();
        // So that the system holds little of what is on its way.
        socket.set_recv_buffer_size(32 << 10).unwrap();
        let mut stream = socket.connect(bed.address).await.unwrap();
        stream.write_all(range.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let got: Arc<Vec<AtomicUsize>> = Arc::new((0..CLIENTS).map(|_| AtomicUsize::new(0)).collect());
    let at_first_end = Arc::new(OnceLock::new());
    let all = Arc::new(content(SHARE));
    // Nobody reads before all can: it is the server that shares, not the order in which readers are started.
    let ready = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for (client, mut stream) in streams.into_iter().enumerate() {
        let (got, at_first_end, all) = (Arc::clone(&got), Arc::clone(&at_first_end), Arc::clone(&all));
        let ready = Arc::clone(&ready);
        clients.spawn(async move {
            let (_, len) = head(&mut stream).await.unwrap();
            assert_eq!(len, SHARE);
            ready.wait().await;
            let mut at = 0;
            while at < len {
                let part = rest(&mut stream, (len - at).min(16 << 10)).await;
                assert!(!part.is_empty() && part[..] == all[at..at + part.len()], "{client} at {at}");
                at += part.len();
                got[client].store(at, Relaxed);
                tokio::task::yield_now().await;
            }
            at_first_end.get_or_init(|| got.iter().map(|bytes| bytes.load(Relaxed)).collect::<Vec<_>>());
        });
    }
    clients.join_all().await;
    let mut got = at_first_end.get().unwrap().clone();
    got.sort_unstable();
    let mean = got.iter().sum::<usize>() / CLIENTS;
    eprintln!("when the first had all of {SHARE}: least {}, 1 of 100 {}, mean {mean}", got[0], got[10]);
    assert!(got[0] * 4 > mean, "one has {} of a mean of {mean} when another has all", got[0]);
    assert!(bed.sent() > (CLIENTS * SHARE / 2) as u64, "only {} bytes went by sendfile", bed.sent());
}
