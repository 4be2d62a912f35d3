//! Downloads over loopback: what is counted, who waits, and how fast all of them are together.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

use std::{
    io,
    net::SocketAddr,
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bootcode_core::{
    clock::SystemClock,
    files::{Blob, Body, Chain, FileError, FileRequest, FileSource, Memory, ReadAt},
    timeline::{NoRecorder, Reason},
};
use bootcode_tftp::http::{Downloads, LargeDownloads, files_router};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// More than the sockets of both ends hold.
const LARGE: usize = 48 << 20;
const SOON: Duration = Duration::from_secs(30);

struct Refusing;

#[async_trait]
impl FileSource for Refusing {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        Err(FileError::Refused { name: request.name.to_string(), reason: Reason::NoBootSession })
    }
}

/// A file whose disk fails after 3 MiB.
struct Failing;

impl ReadAt for Failing {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < 3 << 20 { Ok(buffer.len()) } else { Err(io::ErrorKind::NotConnected.into()) }
    }
}

#[async_trait]
impl FileSource for Failing {
    async fn open(&self, _: &FileRequest) -> Result<Option<Blob>, FileError> {
        let body = Body::Reader(Arc::new(Self));
        Ok(Some(Blob { len: 8 << 20, body, ..Blob::memory("", "tag") }))
    }
}

struct Bed {
    address: SocketAddr,
    downloads: Downloads,
}

impl Bed {
    async fn new(parallel: usize, bytes_per_second: Option<u64>) -> Self {
        let files = Memory::default()
            .with("files/image", vec![7; LARGE])
            .with("files/middle", vec![7; 4 << 20])
            .with("osie/vmlinuz-x86_64", vec![7; 1 << 20]);
        let chain = Chain::new()
            .with_prefix("ipxe/script", Arc::new(Refusing))
            .with_prefix("files/broken", Arc::new(Failing))
            .with(Arc::new(files));
        let bytes_per_second = bytes_per_second.and_then(NonZeroU64::new);
        let downloads = Downloads::new(LargeDownloads { from_bytes: 4 << 20, parallel, bytes_per_second });
        let (recorder, clock) = (Arc::new(NoRecorder), Arc::new(SystemClock));
        let router = files_router(Arc::new(chain), recorder, clock, downloads.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, downloads }
    }

    /// Asks, and reads the head.
    async fn begin(&self, method: &str, path: &str, headers: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap().into());
        }
        (stream, head)
    }

    async fn get(&self, path: &str) -> usize {
        read(self.begin("GET", path, "").await.0).await
    }

    fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::with_prefix("bootcode");
        self.downloads.metrics().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    /// Waits until this line is among the metrics.
    #[track_caller]
    fn shows(&self, line: &str) -> impl Future<Output = ()> {
        let line = format!("bootcode_http_{line}\n");
        async move {
            let there = async {
                while !self.metrics().contains(&line) {
                    tokio::task::yield_now().await;
                }
            };
            assert!(tokio::time::timeout(SOON, there).await.is_ok(), "{line}{}", self.metrics());
        }
    }
}

async fn read(mut stream: TcpStream) -> usize {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes.len()
}

#[tokio::test]
async fn each_end_of_a_request_is_counted_once_when_it_is_there() {
    let bed = Bed::new(8, None).await;
    let tag = {
        let (_stream, head) = bed.begin("HEAD", "/files/middle", "").await;
        head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned()
    };
    let other = "If-Match: \"other\"\r\n";
    for (method, path, headers, row) in [
        ("GET", "/files/middle", "", "kind=\"file\",outcome=\"finished\",reason=\"\""),
        (
            "GET",
            "/osie/vmlinuz-x86_64",
            "Range: bytes=0-99\r\n",
            "kind=\"boot\",outcome=\"partial\",reason=\"\"",
        ),
        ("HEAD", "/osie/vmlinuz-x86_64", "", "kind=\"boot\",outcome=\"probed\",reason=\"\""),
        (
            "GET",
            "/files/middle",
            &format!("If-None-Match: {tag}\r\n"),
            "kind=\"file\",outcome=\"not-modified\",reason=\"\"",
        ),
        ("GET", "/files/middle", other, "kind=\"file\",outcome=\"precondition-failed\",reason=\"\""),
        (
            "GET",
            "/files/middle",
            "Range: bytes=99999999-\r\n",
            "kind=\"file\",outcome=\"range-not-satisfiable\",reason=\"\"",
        ),
        ("GET", "/files/none", "", "kind=\"file\",outcome=\"refused\",reason=\"not-found\""),
        ("GET", "/../x", "", "kind=\"file\",outcome=\"refused\",reason=\"illegal-request\""),
        (
            "GET",
            "/ipxe/script/auto.ipxe",
            "",
            "kind=\"script\",outcome=\"refused\",reason=\"no-boot-session\"",
        ),
        ("PUT", "/files/middle", "", "kind=\"file\",outcome=\"refused\",reason=\"unsupported\""),
        ("GET", "/files/broken/x", "", "kind=\"file\",outcome=\"aborted\",reason=\"read-failed\""),
    ] {
        read(bed.begin(method, path, headers).await.0).await;
        bed.shows(&format!("requests_total{{{row}}} 1")).await;
    }
    let gone = "requests_total{kind=\"file\",outcome=\"aborted\",reason=\"client-aborted\"} 1";
    let (stream, _) = bed.begin("GET", "/files/image", "").await;
    bed.shows("in_progress 1").await;
    assert!(!bed.metrics().contains(gone), "not before it ends");
    drop(stream);
    bed.shows(gone).await;
    bed.shows("in_progress 0").await;
    bed.shows("bytes_total{kind=\"boot\"} 100").await;
}

#[tokio::test]
async fn large_downloads_wait_in_order_while_small_ones_go_and_who_leaves_holds_up_nobody() {
    let bed = Arc::new(Bed::new(1, None).await);
    // It has the turn, and does not read.
    let (first, head) = bed.begin("GET", "/files/image", "").await;
    assert!(head.contains(&format!("content-length: {LARGE}")));
    let mut others = Vec::new();
    for waiting in 1..=4 {
        let (stream, head) = bed.begin("GET", "/files/image", "").await;
        assert!(head.starts_with("HTTP/1.1 200"), "the head is there at once");
        others.push(stream);
        bed.shows(&format!("waiting {waiting}")).await;
    }
    let begin = Instant::now();
    assert_eq!(bed.get("/osie/vmlinuz-x86_64").await, 1 << 20);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(read(bed.begin("HEAD", "/files/image", "").await.0).await, 0, "a HEAD takes no turn");

    let mut sip = [0; 256];
    others[3].read_exact(&mut sip).await.unwrap();
    assert_eq!(sip, [7; 256], "who waits hears of us");

    drop(others.remove(1));
    bed.shows("waiting 3").await;
    assert_eq!(read(first).await, LARGE);
    bed.shows("waiting 2").await;
    // Whoever came next has the turn: it alone comes to its end while the others do not read.
    for waiting in [1, 0] {
        let next = tokio::time::timeout(SOON, read(others.remove(0))).await;
        assert!(next.is_ok_and(|bytes| bytes > LARGE - 100_000));
        bed.shows(&format!("waiting {waiting}")).await;
    }
    assert_eq!(read(others.remove(0)).await, LARGE - 256);
    bed.shows("in_progress 0").await;
    assert!(!bed.metrics().contains("waited_seconds_total 0.0\n"));
}

#[tokio::test]
async fn the_rate_of_all_holds_and_is_shared_and_a_small_file_knows_nothing_of_it() {
    const RATE: usize = 8 << 20;
    const CLIENTS: usize = 6;
    let bed = Arc::new(Bed::new(64, Some(RATE as u64)).await);
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let bed = Arc::clone(&bed);
        clients.spawn(async move {
            assert_eq!(bed.get("/files/middle").await, 4 << 20);
            begin.elapsed()
        });
    }
    bed.shows(&format!("in_progress {CLIENTS}")).await;
    let small = Instant::now();
    for _ in 0..4 {
        assert_eq!(bed.get("/osie/vmlinuz-x86_64").await, 1 << 20);
    }
    assert!(small.elapsed() < Duration::from_secs(1), "4 MiB at the rate alone: {:?}", small.elapsed());
    let mut took = clients.join_all().await;
    took.sort();
    let at_the_rate = (CLIENTS * (4 << 20)) as f64 / RATE as f64;
    let (first, last) = (took[0].as_secs_f64(), took[CLIENTS - 1].as_secs_f64());
    assert!(last > 0.9 * at_the_rate, "{last} s for what takes {at_the_rate} s");
    assert!(first > 0.8 * last, "one was served before the others: {took:?}");
}
