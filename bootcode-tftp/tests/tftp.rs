//! The TFTP server over loopback, with a client of its own.
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use bootcode_core::{
    clock::SystemClock,
    files::{Blob, Dir, FileError, FileRequest, FileSource, Memory},
    timeline::{BootEventKind, Reason, Subject},
};
use bootcode_tftp::{
    BindError, TftpServer,
    tftp::{Mode, Options, Packet, Request},
};
use common::{
    Timeline, content,
    tftp::{Bed, Client, NONE},
};

/// Our codec and this client against a server that is not ours: what both sides of these tests agree upon is the standard.
#[tokio::test(flavor = "multi_thread")]
async fn an_independent_server_understands_the_client_of_these_tests() {
    let directory = tempfile::tempdir().unwrap();
    for len in [513, 1468 * 8, 300_000] {
        std::fs::write(directory.path().join(len.to_string()), content(len)).unwrap();
    }
    let server = async_tftp::server::TftpServerBuilder::with_dir_ro(directory.path()).unwrap();
    let server = server.bind("127.0.0.1:0".parse().unwrap()).build().await.unwrap();
    let address = server.listen_addr().unwrap();
    let running = tokio::spawn(server.serve());
    for (blksize, windowsize) in [(None, None), (Some(1468), None), (Some(1468), Some(8))] {
        for len in [513, 1468 * 8, 300_000] {
            let options = Options { blksize, windowsize, ..NONE };
            let file = Client::new(address).await.fetch(&len.to_string(), options).await;
            assert!(
                file == Ok(content(len)),
                "{len} bytes in blocks of {blksize:?}, windows of {windowsize:?}"
            );
        }
    }
    assert_eq!(Client::new(address).await.fetch("none", NONE).await, Err(1), "file not found");
    running.abort();
}

fn started(file: &str) -> BootEventKind {
    BootEventKind::TftpStarted { file: file.to_owned() }
}

fn finished(file: &str, bytes: u64) -> BootEventKind {
    BootEventKind::TftpFinished { file: file.to_owned(), bytes }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_whole_whatever_block_window_and_source() {
    let directory = tempfile::tempdir().unwrap();
    let mut memory = Memory::default();
    let lens = [0usize, 1, 511, 512, 513, 1468 * 8, 300_000];
    for len in lens {
        std::fs::write(directory.path().join(len.to_string()), content(len)).unwrap();
        memory = memory.with(len.to_string(), content(len));
    }
    for bed in [Bed::serving(Dir::new(directory.path()).unwrap()).await, Bed::serving(memory).await] {
        for (blksize, windowsize) in [
            (None, None),
            (Some(8), Some(64)),
            (Some(1468), None),
            (Some(1468), Some(8)),
            (Some(1468), Some(64)),
            (Some(65464), Some(4)),
        ] {
            for len in lens {
                if blksize == Some(8) && len > 100_000 {
                    continue;
                }
                let client = Client::new(bed.server).await;
                let options = Options { blksize, windowsize, ..NONE };
                let file = client.fetch(&len.to_string(), options).await;
                assert!(
                    file == Ok(content(len)),
                    "{len} bytes in blocks of {blksize:?}, windows of {windowsize:?}"
                );
            }
        }
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_blocks_than_a_number_has_values_arrive_in_order() {
    let file = content(8 * 66_000);
    let bed = Bed::serving(Memory::default().with("large", file.clone())).await;
    let options = Options { blksize: Some(8), windowsize: Some(64), ..NONE };
    assert!(Client::new(bed.server).await.fetch("large", options).await == Ok(file));
    bed.stop().await;
}

#[tokio::test]
async fn a_transfer_is_in_the_timeline_under_its_address() {
    let bed = Bed::serving(Memory::default().with("boot/x", content(600))).await;
    let client = Client::new(bed.server).await;
    assert_eq!(client.fetch("\\boot//x", NONE).await, Ok(content(600)));
    assert_eq!(bed.timeline.of_len(2).await, [started("boot/x"), finished("boot/x", 600)]);
    assert_eq!(bed.timeline.subjects(), vec![Subject::Ip(IpAddr::from([127, 0, 0, 1])); 2]);
    bed.stop().await;
}

#[tokio::test]
async fn edk2_asks_for_the_size_and_then_for_the_file_and_that_is_one_healthy_transfer() {
    let bed = Bed::serving(Memory::default().with("snponly.efi", content(5000))).await;
    let client = Client::new(bed.server).await;
    client.ask("snponly.efi", Options { tsize: Some(0), blksize: Some(1468), ..NONE }).await;
    let (oack, from) = client.receive().await;
    let Packet::Oack(options) = Packet::parse(&oack).unwrap() else { panic!("{oack:?}") };
    assert_eq!((options.tsize, options.blksize), (Some(5000), Some(1468)));
    client.send(Packet::Error { code: 8, message: b"User aborted the transfer" }, from).await;
    // The same port asks again at once.
    let file =
        client.fetch("snponly.efi", Options { blksize: Some(1468), windowsize: Some(4), ..NONE }).await;
    assert_eq!(file, Ok(content(5000)));
    assert_eq!(bed.timeline.of_len(2).await, [started("snponly.efi"), finished("snponly.efi", 5000)]);
    bed.stop().await;
}

#[tokio::test]
async fn a_request_sent_twice_is_one_transfer_and_another_request_from_the_port_replaces_it() {
    let files = Memory::default().with("a", content(5000)).with("b", content(700));
    let bed = Bed::serving(files).await;
    let client = Client::new(bed.server).await;
    client.ask("a", NONE).await;
    let (_, first) = client.receive().await;
    client.ask("a", NONE).await;
    let (_, again) = client.receive().await;
    assert_eq!(first, again, "one port of the server, its own timer repeats the block");
    assert_eq!(client.fetch("b", NONE).await.map(|file| file.len()), Ok(700));
    bed.timeline.of_len(2).await;
    bed.stop().await;
}

struct Refusing;

#[async_trait]
impl FileSource for Refusing {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        match request.name.as_str() {
            "refused" => {
                Err(FileError::Refused { name: "refused".to_owned(), reason: Reason::UnknownMachine })
            }
            "broken" => {
                Err(FileError::Io { name: "broken".to_owned(), source: std::io::Error::other("disk") })
            }
            "small" => Ok(Some(Blob::memory("a\nb", "tag"))),
            _ => Ok(None),
        }
    }
}

#[tokio::test]
async fn refusals_are_the_standards_errors_and_stand_in_the_timeline() {
    let bed = Bed::serving(Refusing).await;
    for (file, code, reason) in [
        ("missing", 1, Reason::NotFound),
        ("refused", 2, Reason::UnknownMachine),
        ("broken", 0, Reason::ReadFailed),
        ("../etc/passwd", 2, Reason::IllegalRequest),
        ("", 2, Reason::IllegalRequest),
    ] {
        let before = bed.timeline.kinds().len();
        assert_eq!(Client::new(bed.server).await.fetch(file, NONE).await, Err(code), "{file}");
        let refused = BootEventKind::Refused { file: file.to_owned(), reason };
        assert_eq!(bed.timeline.of_len(before + 1).await[before], refused);
    }
    let client = Client::new(bed.server).await;
    let write = Request { filename: b"../x", mode: Some(Mode::Octet), options: NONE };
    client.send(Packet::Wrq(write), bed.server).await;
    assert_eq!(client.rest().await, Err(2), "nothing is written, whatever the path");
    client.socket.send_to(b"\0\x01small\0mail\0", bed.server).await.unwrap();
    assert_eq!(client.rest().await, Err(4));
    bed.stop().await;
}

#[tokio::test]
async fn netascii_has_the_line_ends_of_telnet() {
    let bed = Bed::serving(Refusing).await;
    let client = Client::new(bed.server).await;
    client.socket.send_to(b"\0\x01small\0NetASCII\0tsize\x000\0", bed.server).await.unwrap();
    let (oack, from) = client.receive().await;
    assert_eq!(Packet::parse(&oack), Ok(Packet::Oack(Options { tsize: Some(4), ..NONE })));
    client.send(Packet::Ack { block: 0 }, from).await;
    assert_eq!(client.rest().await.as_deref(), Ok(&b"a\r\nb"[..]));
    bed.stop().await;
}

#[tokio::test]
async fn a_client_that_vanishes_or_aborts_is_said_to_have_aborted() {
    let bed = Bed::serving(Memory::default().with("x", content(5000))).await;
    let client = Client::new(bed.server).await;
    client.ask("x", NONE).await;
    let (_, from) = client.receive().await;
    client.send(Packet::Ack { block: 1 }, from).await;
    client.receive().await;
    client.send(Packet::Error { code: 3, message: b"disk full" }, from).await;
    let aborted = BootEventKind::TftpAborted { file: "x".to_owned(), reason: Reason::ClientAborted };
    assert_eq!(bed.timeline.of_len(2).await, [started("x"), aborted.clone()]);
    let client = Client::new(bed.server).await;
    client.ask("x", NONE).await;
    client.receive().await;
    drop(client);
    assert_eq!(bed.timeline.of_len(4).await[2..], [started("x"), aborted]);
    bed.stop().await;
}

#[tokio::test]
async fn a_file_that_changes_in_mid_transfer_fails_and_never_mixes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    std::fs::write(&path, content(400_000)).unwrap();
    let bed = Bed::serving(Dir::new(directory.path()).unwrap()).await;
    let client = Client::new(bed.server).await;
    client.ask("x", NONE).await;
    let (first, from) = client.receive().await;
    assert_eq!(first[4..], content(512));
    std::fs::write(&path, vec![0xaa; 400_001]).unwrap();
    client.send(Packet::Ack { block: 1 }, from).await;
    assert_eq!(client.rest_after(1).await.err(), Some(0));
    let events = bed.timeline.of_len(2).await;
    assert_eq!(events[1], BootEventKind::TftpAborted { file: "x".to_owned(), reason: Reason::ReadFailed });
    bed.stop().await;
}

#[tokio::test]
async fn the_answer_comes_from_the_address_that_was_asked() {
    let bed = Bed::at("0.0.0.0:0", Memory::default().with("x", content(10))).await;
    for ip in ["127.0.0.1", "127.0.0.77"] {
        let client = Client::new(SocketAddr::new(ip.parse().unwrap(), bed.server.port())).await;
        client.ask("x", NONE).await;
        assert_eq!(client.receive().await.1.ip().to_string(), ip);
    }
    bed.stop().await;
}

#[tokio::test]
async fn ipv6_is_served_alike() {
    let bed = Bed::at("[::1]:0", Memory::default().with("x", content(3000))).await;
    assert_eq!(Client::new(bed.server).await.fetch("x", NONE).await, Ok(content(3000)));
    bed.stop().await;
}

#[tokio::test]
async fn stopping_tells_the_clients_and_joins_every_transfer() {
    let bed = Bed::serving(Memory::default().with("x", content(5000))).await;
    let client = Client::new(bed.server).await;
    client.ask("x", NONE).await;
    client.receive().await;
    bed.stop().await;
    let (last, _) = client.receive().await;
    assert!(matches!(Packet::parse(&last), Ok(Packet::Error { code: 0, .. })), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_at_once_are_all_served() {
    let file = content(60_000);
    let bed = Bed::serving(Memory::default().with("x", file.clone())).await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (server, file) = (bed.server, file.clone());
        clients.spawn(async move {
            let options = Options { blksize: Some(1468), windowsize: Some(8), ..NONE };
            Client::new(server).await.fetch("x", options).await == Ok(file)
        });
    }
    assert!(clients.join_all().await.into_iter().all(|whole| whole));
    bed.stop().await;
}

#[tokio::test]
async fn a_port_in_use_says_so_and_how_to_mend_it() {
    let bed = Bed::serving(Memory::default()).await;
    let source = Arc::new(Memory::default());
    let again =
        TftpServer::bind(bed.server, source.clone(), Arc::new(Timeline::default()), Arc::new(SystemClock))
            .await;
    let Err(error @ BindError::InUse { .. }) = again else { panic!("bound twice") };
    let text = error.to_string();
    assert!(
        text.contains(&bed.server.to_string()) && text.contains("tftp.listen") && !text.contains('\n'),
        "{text}"
    );
    let nobodys = "192.0.2.1:69".parse().unwrap();
    let elsewhere =
        TftpServer::bind(nobodys, source, Arc::new(Timeline::default()), Arc::new(SystemClock)).await;
    assert!(matches!(elsewhere, Err(BindError::NotOurs { .. })));
    bed.stop().await;
}
