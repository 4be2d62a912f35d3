//! Clients as they are found: the option blocks of real firmware, values out of range, acknowledgements that mean nothing, silence, and files
//! that change under a transfer.
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{path::Path, time::Duration};

use bootcode_core::{
    files::{Dir, Memory},
    timeline::{BootEventKind, Reason},
};
use bootcode_tftp::{
    limits,
    tftp::{Options, Packet},
};
use common::{
    content,
    tftp::{Bed, Client, NONE},
};

const LEN: usize = 200_000;

/// What of the request's options was accepted, and the file's bytes as they came under these terms.
async fn asked(bed: &Bed, request: &[u8]) -> (Options, Vec<u8>) {
    let client = Client::new(bed.server).await;
    client.socket.send_to(request, bed.server).await.unwrap();
    let mut first = [0; 1500];
    let peeked = tokio::time::timeout(Duration::from_secs(10), client.socket.peek_from(&mut first));
    let (len, _) = peeked.await.expect("an answer in time").unwrap();
    let accepted = match Packet::parse(&first[..len]).unwrap() {
        Packet::Oack(options) => options,
        _ => NONE,
    };
    (accepted, client.rest().await.unwrap())
}

/// The option blocks byte by byte as these clients send them (RFC 2348, 2349 and 7440 for the ranges).
#[tokio::test(flavor = "multi_thread")]
async fn every_clients_options_are_answered_by_the_standard_and_its_file_arrives() {
    let bed = Bed::serving(Memory::default().with("x", content(LEN))).await;
    let tsize = Some(LEN as u64);
    for (who, options, accepted) in [
        ("iPXE", &b"blksize\x001432\0tsize\x000\0"[..], Options { blksize: Some(1432), tsize, ..NONE }),
        ("an old PXE ROM", b"tsize\x000\0blksize\x001456\0", Options { blksize: Some(1456), tsize, ..NONE }),
        ("shim and GRUB", b"blksize\x001024\0tsize\x000\0", Options { blksize: Some(1024), tsize, ..NONE }),
        ("a ROM that knows no options", b"", NONE),
        ("a BMC that pads its request", b"blksize\x00512\0\0\0\0\0", Options { blksize: Some(512), ..NONE }),
        ("one that asks twice", b"blksize\x001024\0blksize\x008\0", Options { blksize: Some(1024), ..NONE }),
        ("blksize 0", b"blksize\x000\0", NONE),
        ("blksize 7", b"blksize\x007\0", NONE),
        ("blksize 65535", b"blksize\x0065535\0", Options { blksize: Some(65464), ..NONE }),
        ("blksize beyond all numbers", b"blksize\x0099999999999999999999\0", NONE),
        ("blksize -1", b"blksize\x00-1\0", NONE),
        ("windowsize 0", b"windowsize\x000\0", NONE),
        (
            "windowsize 65535",
            b"windowsize\x0065535\0",
            Options { windowsize: Some(limits::WINDOWSIZE), ..NONE },
        ),
        ("windowsize 65536", b"windowsize\x0065536\0", NONE),
        ("timeout 0", b"timeout\x000\0", NONE),
        ("an option without its value", b"blksize\0", NONE),
        ("multicast of RFC 2090", b"multicast\0\0", NONE),
    ] {
        let request = [b"\0\x01x\0octet\0", options].concat();
        let (got, file) = asked(&bed, &request).await;
        assert_eq!(got, accepted, "{who}");
        assert!(file == content(LEN), "{who}: another file of {} bytes", file.len());
    }
    bed.stop().await;
}

/// RFC 1350 section 2: what acknowledges no block that was sent moves nothing, and is no reason to send.
#[tokio::test]
async fn who_acknowledges_wildly_gets_no_flood_and_may_still_go_on() {
    for (windowsize, in_flight) in [(None, 1), (Some(4), 4)] {
        let bed = Bed::serving(Memory::default().with("x", content(5000))).await;
        let client = Client::new(bed.server).await;
        client.ask("x", Options { windowsize, ..NONE }).await;
        let (mut first, from) = client.receive().await;
        if windowsize.is_some() {
            client.send(Packet::Ack { block: 0 }, from).await;
            first = client.receive().await.0;
        }
        assert_eq!(first[..4], [0, 3, 0, 1]);
        for block in (0..=u16::MAX).step_by(37).filter(|block| *block == 0 || *block > in_flight) {
            client.send(Packet::Ack { block }, from).await;
        }
        let mut more = 0;
        let mut bytes = [0; 1000];
        while tokio::time::timeout(Duration::from_millis(20), client.socket.recv_from(&mut bytes))
            .await
            .is_ok()
        {
            more += 1;
        }
        // The rest of the window, and copies that the timer sent meanwhile.
        assert!(more < 40, "{more} packets answer acknowledgements of nothing");
        client.send(Packet::Ack { block: 1 }, from).await;
        assert_eq!(client.rest_after(1).await, Ok(content(5000)[512..].to_vec()), "window {windowsize:?}");
        bed.stop().await;
    }
}

/// Retransmission backs off up to [`limits::RTO_MAX`], and ends at [`limits::SILENCE`].
#[tokio::test(start_paused = true)]
async fn who_never_acknowledges_is_given_up_after_few_packets() {
    for options in [NONE, Options { windowsize: Some(8), ..NONE }] {
        let bed = Bed::serving(Memory::default().with("x", content(5000))).await;
        let client = Client::new(bed.server).await;
        let began = tokio::time::Instant::now();
        client.ask("x", options).await;
        let mut packets = 0;
        let mut bytes = [0; 1000];
        while bed.timeline.kinds().len() < 2 {
            let received = client.socket.recv_from(&mut bytes);
            packets += usize::from(tokio::time::timeout(Duration::from_millis(100), received).await.is_ok());
        }
        let silence = began.elapsed();
        assert!((limits::SILENCE..limits::SILENCE + 2 * limits::RTO_MAX).contains(&silence), "{silence:?}");
        assert!((5..=16).contains(&packets), "{packets} packets in {silence:?}");
        let given_up = BootEventKind::TftpAborted { file: "x".to_owned(), reason: Reason::TimedOut };
        assert_eq!(bed.timeline.kinds()[1], given_up);
        bed.stop().await;
    }
}

/// A transfer of 400,000 bytes of a directory, under which `act` changes the file after the first block.
async fn meanwhile(act: impl FnOnce(&Path)) -> (Result<Vec<u8>, u16>, Vec<BootEventKind>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    std::fs::write(&path, content(400_000)).unwrap();
    let bed = Bed::serving(Dir::new(directory.path()).unwrap()).await;
    let client = Client::new(bed.server).await;
    client.ask("x", NONE).await;
    let (_, from) = client.receive().await;
    act(&path);
    client.send(Packet::Ack { block: 1 }, from).await;
    let rest = client.rest_after(1).await;
    let events = bed.timeline.of_len(2).await;
    bed.stop().await;
    (rest, events)
}

#[tokio::test]
async fn a_file_that_shrinks_in_mid_transfer_fails_it() {
    let shrink =
        |path: &Path| std::fs::File::options().write(true).open(path).unwrap().set_len(100_000).unwrap();
    let (rest, events) = meanwhile(shrink).await;
    assert_eq!(rest.err(), Some(0));
    assert_eq!(events[1], BootEventKind::TftpAborted { file: "x".to_owned(), reason: Reason::ReadFailed });
}

/// As who publishes a new version does it: what was opened is what arrives.
#[tokio::test]
async fn a_file_that_vanishes_or_is_replaced_arrives_as_it_was_opened() {
    let replace = |path: &Path| {
        std::fs::write(path.with_extension("new"), vec![0xaa; 400_000]).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    };
    for (rest, events) in
        [meanwhile(|path| std::fs::remove_file(path).unwrap()).await, meanwhile(replace).await]
    {
        assert!(rest.unwrap() == content(400_000)[512..], "other bytes");
        assert_eq!(events[1], BootEventKind::TftpFinished { file: "x".to_owned(), bytes: 400_000 });
    }
}
