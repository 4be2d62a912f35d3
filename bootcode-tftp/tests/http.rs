//! The file router over loopback, byte by byte as a firmware would read it.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use bootcode_core::{
    clock::SystemClock,
    files::{Blob, Chain, Dir, FileError, FileRequest, FileSource, Memory},
    timeline::{BootEventKind, Reason, Subject},
};
use common::{Timeline, content};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

struct Refusing;

#[async_trait]
impl FileSource for Refusing {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        assert!(request.peer.is_loopback());
        Err(FileError::Refused { name: request.name.to_string(), reason: Reason::NoBootSession })
    }
}

struct Bed {
    address: SocketAddr,
    timeline: Timeline,
    directory: tempfile::TempDir,
}

const LARGE: usize = 5_000_000;

async fn bed() -> Bed {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("vmlinuz-x86_64"), content(LARGE)).unwrap();
    std::fs::write(directory.path().join("initramfs-x86_64"), content(1000)).unwrap();
    let files = Memory::default().with("hello", "hello, machine").with("boot.efi", "efi").with("empty", "");
    let chain = Chain::new()
        .with_prefix("osie", Arc::new(Dir::new(directory.path()).unwrap()))
        .with_prefix("files", Arc::new(files))
        .with_prefix("ipxe/script", Arc::new(Refusing));
    let timeline = Timeline::default();
    let router = bootcode_tftp::http::files_router(
        Arc::new(chain),
        Arc::new(timeline.clone()),
        Arc::new(SystemClock),
        bootcode_tftp::http::Downloads::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Bed { address, timeline, directory }
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

impl Bed {
    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().replace('\r', "");
        let (first, headers) = head.split_once('\n').unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_owned(), body: bytes[end + 4..].to_vec() }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")).await
    }
}

#[tokio::test]
async fn a_whole_file_has_a_length_validators_and_no_chunks() {
    let bed = bed().await;
    for method in ["GET", "HEAD"] {
        let answer = bed.ask(method, "/osie/vmlinuz-x86_64", "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-length"), Some("5000000"));
        assert_eq!(answer.header("transfer-encoding"), None);
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert!(answer.header("etag").is_some_and(|tag| tag.starts_with('"') && tag.ends_with('"')));
        assert!(answer.header("last-modified").is_some_and(|date| date.ends_with(" GMT")));
        assert!(answer.body == if method == "GET" { content(LARGE) } else { Vec::new() }, "{method}");
    }
    let old = bed.raw("GET /files/hello HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        (old.status, &old.body[..], old.header("content-length")),
        (200, &b"hello, machine"[..], Some("14"))
    );
    assert_eq!(bed.ask("GET", "/files/empty", "").await.header("content-length"), Some("0"));
    assert_eq!(bed.ask("HEAD", "/files/boot.efi", "").await.header("content-type"), Some("application/efi"));
}

#[tokio::test]
async fn ranges_are_served_from_files_and_memory() {
    let bed = bed().await;
    let file = content(LARGE);
    for (range, status, content_range, body) in [
        ("bytes=0-0", 206, Some("bytes 0-0/5000000"), &file[..1]),
        ("bytes=1048570-2097160", 206, Some("bytes 1048570-2097160/5000000"), &file[1_048_570..2_097_161]),
        ("bytes=-5", 206, Some("bytes 4999995-4999999/5000000"), &file[LARGE - 5..]),
        ("bytes=4999990-99999999", 206, Some("bytes 4999990-4999999/5000000"), &file[LARGE - 10..]),
        ("bytes=0-1,2-4", 206, Some("bytes 0-4/5000000"), &file[..5]),
        ("bytes=0-1,9000000-", 206, Some("bytes 0-1/5000000"), &file[..2]),
        ("bytes=0-1,4-3", 200, None, &file[..]),
        ("bytes=5000000-", 416, Some("bytes */5000000"), &[][..]),
    ] {
        let answer = bed.ask("GET", "/osie/vmlinuz-x86_64", &format!("Range: {range}\r\n")).await;
        assert_eq!((answer.status, answer.header("content-range")), (status, content_range), "{range}");
        assert!(status == 416 || answer.body == body, "{range}");
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()), "{range}");
    }
    let answer = bed.ask("GET", "/files/hello", "Range: bytes=7-\r\n").await;
    assert_eq!((answer.status, &answer.body[..]), (206, &b"machine"[..]));
    let head = bed.ask("HEAD", "/files/hello", "Range: bytes=7-\r\n").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("14")), "a range is for GET");
}

#[tokio::test]
async fn several_ranges_come_as_parts_of_one_body() {
    let bed = bed().await;
    let file = content(LARGE);
    let answer = bed.ask("GET", "/osie/vmlinuz-x86_64", "Range: bytes=4999990-, 0-1,5-2000000\r\n").await;
    assert_eq!((answer.status, answer.header("content-range")), (206, None));
    assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
    let content_type = answer.header("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut expected = Vec::new();
    for (range, bytes) in
        [("4999990-4999999", &file[LARGE - 10..]), ("0-1", &file[..2]), ("5-2000000", &file[5..2_000_001])]
    {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/5000000\r\n\r\n"
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(bytes);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(answer.body == expected, "{:?}", String::from_utf8_lossy(&answer.body[..200]));
    let other = bed.ask("GET", "/osie/vmlinuz-x86_64", "Range: bytes=0-0,9-9\r\n").await;
    assert!(
        !other.header("content-type").unwrap().ends_with(boundary),
        "no two answers have the same boundary"
    );
}

#[tokio::test]
async fn validators_are_honoured_and_a_changed_file_is_sent_whole() {
    let bed = bed().await;
    let path = "/osie/initramfs-x86_64";
    let first = bed.ask("HEAD", path, "").await;
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for (condition, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        ("If-None-Match: \"other\"\r\n".to_owned(), 200),
        ("If-Match: \"other\"\r\n".to_owned(), 412),
        (format!("If-Range: {tag}\r\nRange: bytes=5-\r\n"), 206),
        (format!("If-Range: {date}\r\nRange: bytes=5-\r\n"), 206),
        ("If-Range: \"other\"\r\nRange: bytes=5-\r\n".to_owned(), 200),
    ] {
        assert_eq!(bed.ask("GET", path, &condition).await.status, status, "{condition}");
    }
    std::fs::write(bed.directory.path().join("initramfs-x86_64"), content(2000)).unwrap();
    let answer = bed.ask("GET", path, &format!("If-Range: {tag}\r\nRange: bytes=5-\r\n")).await;
    assert_eq!((answer.status, answer.body.len()), (200, 2000));
}

#[tokio::test]
async fn what_is_not_there_refused_or_illegal_says_why_and_stands_in_the_timeline() {
    let bed = bed().await;
    for (method, path, status, text) in [
        ("GET", "/files/none", 404, "no file files/none"),
        ("GET", "/", 400, "empty"),
        ("GET", "/files/..%2f..%2fetc/passwd", 400, ".."),
        ("GET", "/files/%zz", 400, "%"),
        ("GET", "/ipxe/script/52:54:00:00:00:01/auto.ipxe", 403, "no DHCP exchange"),
        ("POST", "/files/hello", 405, "GET"),
        ("PUT", "/files/hello", 405, "GET"),
    ] {
        let answer = bed.ask(method, path, "").await;
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert!(body.contains(text) && body.ends_with('\n'), "{path}: {body}");
    }
    let refused = |file: &str, reason| BootEventKind::Refused { file: file.to_owned(), reason };
    assert_eq!(
        bed.timeline.kinds(),
        [
            refused("files/none", Reason::NotFound),
            refused("ipxe/script/52:54:00:00:00:01/auto.ipxe", Reason::NoBootSession),
        ]
    );
}

#[tokio::test]
async fn kernel_and_initramfs_are_recorded_when_they_were_delivered_whole() {
    let bed = bed().await;
    bed.ask("HEAD", "/osie/vmlinuz-x86_64", "").await;
    bed.ask("GET", "/osie/vmlinuz-x86_64", "Range: bytes=0-99\r\n").await;
    bed.ask("GET", "/files/hello", "").await;
    // A client that leaves in the middle.
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    stream.write_all(b"GET /osie/vmlinuz-x86_64 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    drop(stream);
    assert_eq!(bed.timeline.kinds(), []);
    bed.ask("GET", "/osie/initramfs-x86_64", "").await;
    assert_eq!(bed.timeline.of_len(1).await, [BootEventKind::InitrdFetched { bytes: 1000 }]);
    bed.ask("GET", "/osie/vmlinuz-x86_64", "").await;
    assert_eq!(bed.timeline.of_len(2).await[1], BootEventKind::KernelFetched { bytes: LARGE as u64 });
    assert_eq!(bed.timeline.subjects()[1], Subject::Ip([127, 0, 0, 1].into()));
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let bed = bed().await;
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /files/hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello, machine") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed");
        }
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_ends_the_connection_short() {
    let bed = bed().await;
    let path = bed.directory.path().join("vmlinuz-x86_64");
    std::fs::write(&path, content(64 << 20)).unwrap();
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    stream.write_all(b"GET /osie/vmlinuz-x86_64 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    std::fs::write(&path, "short").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 << 20);
    let failed =
        BootEventKind::Refused { file: "osie/vmlinuz-x86_64".to_owned(), reason: Reason::ReadFailed };
    assert_eq!(bed.timeline.of_len(1).await, [failed]);
}
