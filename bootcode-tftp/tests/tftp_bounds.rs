//! Many clients, foreign ports, one port for all, and the server's end: what stays bounded, and how it is counted.
#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::time::Duration;

use bootcode_core::{
    files::Memory,
    timeline::{BootEventKind, Reason},
};
use bootcode_tftp::{
    limits,
    tftp::{Mode, Options, Packet, Request, TftpMetrics},
};
use common::{
    content,
    tftp::{Bed, Client, NONE},
};
use prometheus_client::{encoding::text, registry::Registry};

fn shown(metrics: &TftpMetrics) -> String {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut shown = String::new();
    text::encode(&mut shown, &registry).unwrap();
    shown
}

async fn serving(
    change: impl FnOnce(bootcode_tftp::TftpServer) -> bootcode_tftp::TftpServer,
) -> (Bed, TftpMetrics) {
    let mut metrics = TftpMetrics::default();
    let files = Memory::default().with("x", content(5000)).with("small", content(10));
    let bed = Bed::with("127.0.0.1:0", files, |server| {
        let server = change(server);
        metrics = server.metrics();
        server
    });
    (bed.await, metrics)
}

fn refused(kinds: &[BootEventKind]) -> usize {
    kinds.iter().filter(|kind| matches!(kind, BootEventKind::Refused { reason: Reason::TooMany, .. })).count()
}

#[tokio::test]
async fn transfers_of_one_address_are_bounded_by_choice_only() {
    for (bound, wanted) in [(None, 8), (Some(3), 3)] {
        let (bed, metrics) = serving(|server| match bound {
            None => server,
            Some(bound) => server.per_address(bound),
        })
        .await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            let client = Client::new(bed.server).await;
            client.ask("x", NONE).await;
            clients.push(client);
        }
        let mut answered = 0;
        for client in &clients {
            let mut bytes = [0; 1000];
            let received = client.socket.recv_from(&mut bytes);
            answered += usize::from(tokio::time::timeout(Duration::from_millis(700), received).await.is_ok());
        }
        assert_eq!((answered, refused(&bed.timeline.kinds())), (wanted, 8 - wanted));
        let line = format!("tftp_in_progress {wanted}\n");
        assert!(shown(&metrics).contains(&line), "{}", shown(&metrics));
        bed.stop().await;
    }
}

/// Ten thousand requests that are never acknowledged, each from a port of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_from_one_address_is_answered_up_to_the_bound_and_others_are_served() {
    let (bed, metrics) = serving(|server| server.single_port(true).per_address(100)).await;
    let mut request = Vec::new();
    Packet::Rrq(Request { filename: b"x", mode: Some(Mode::Octet), options: NONE }).encode(&mut request);
    for _ in 0..10_000 {
        // The port is given back at once: no answer finds anybody, as long as no other test has this address.
        let socket = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
        socket.send_to(&request, bed.server).unwrap();
        tokio::task::yield_now().await;
    }
    let other = tokio::net::UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let other = Client { socket: other, server: bed.server };
    assert_eq!(other.fetch("small", NONE).await, Ok(content(10)));
    let text = shown(&metrics);
    let running = text.lines().find_map(|line| line.strip_prefix("tftp_in_progress ")).unwrap();
    assert!(running.parse::<usize>().unwrap() <= 102, "{text}");
    assert!(text.contains("outcome=\"refused\",reason=\"too-many\"} "), "{text}");
    bed.stop().await;
}

#[tokio::test]
async fn the_servers_end_is_told_to_the_client_recorded_and_counted() {
    for single in [false, true] {
        let (bed, metrics) = serving(|server| server.single_port(single)).await;
        let client = Client::new(bed.server).await;
        client.ask("x", NONE).await;
        client.receive().await;
        let timeline = bed.timeline.clone();
        let began = std::time::Instant::now();
        bed.stop().await;
        assert!(began.elapsed() < limits::SHUTDOWN);
        let (last, _) = client.receive().await;
        assert!(matches!(Packet::parse(&last), Ok(Packet::Error { code: 0, .. })), "{last:?}");
        let aborted = BootEventKind::TftpAborted { file: "x".to_owned(), reason: Reason::ShuttingDown };
        assert_eq!(timeline.of_len(2).await[1], aborted);
        let line = "tftp_transfers_total{outcome=\"aborted\",reason=\"shutting-down\"} 1\n";
        assert!(shown(&metrics).contains(line), "{}", shown(&metrics));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_port_serves_many_clients_windows_and_both_protocols_of_ip() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let file = content(300_000);
        let bed =
            Bed::with(address, Memory::default().with("x", file.clone()), |server| server.single_port(true))
                .await;
        let mut clients = tokio::task::JoinSet::new();
        for n in 0..40 {
            let (server, file) = (bed.server, file.clone());
            clients.spawn(async move {
                let options = Options { blksize: Some(1400), windowsize: (n % 2 == 0).then_some(8), ..NONE };
                let client = Client::new(server).await;
                client.ask("x", options).await;
                let (oack, from) = client.receive().await;
                assert_eq!(from, server, "the port that was asked");
                assert!(matches!(Packet::parse(&oack), Ok(Packet::Oack(_))));
                client.fetch("x", options).await == Ok(file)
            });
        }
        assert!(clients.join_all().await.into_iter().all(|whole| whole));
        bed.stop().await;
    }
}

#[tokio::test]
async fn edk2s_probe_and_its_request_are_one_healthy_transfer_at_one_port_too() {
    let (bed, metrics) = serving(|server| server.single_port(true)).await;
    let client = Client::new(bed.server).await;
    let options = Options { tsize: Some(0), blksize: Some(1468), ..NONE };
    for _ in 0..3 {
        client.ask("x", options).await;
        client.receive().await;
        client.send(Packet::Error { code: 8, message: b"User aborted the transfer" }, bed.server).await;
    }
    // The very same request, at once.
    assert_eq!(client.fetch("x", options).await, Ok(content(5000)));
    let kinds = bed.timeline.of_len(2).await;
    let finished = BootEventKind::TftpFinished { file: "x".to_owned(), bytes: 5000 };
    assert_eq!(kinds, [BootEventKind::TftpStarted { file: "x".to_owned() }, finished]);
    assert!(shown(&metrics).contains("tftp_transfers_total{outcome=\"finished\",reason=\"\"} 1\n"));
    bed.stop().await;
}

/// RFC 1350 section 4: a packet from another port is none of the transfer's, and does not disturb it.
#[tokio::test]
async fn another_port_neither_goes_on_with_a_transfer_nor_ends_it() {
    for single in [false, true] {
        let (bed, metrics) = serving(|server| server.single_port(single)).await;
        let (client, stranger) = (Client::new(bed.server).await, Client::new(bed.server).await);
        client.ask("x", NONE).await;
        let (first, from) = client.receive().await;
        assert_eq!(first[4..], content(5000)[..512]);
        stranger.send(Packet::Ack { block: 1 }, from).await;
        if single {
            let (answer, _) = stranger.receive().await;
            assert!(matches!(Packet::parse(&answer), Ok(Packet::Error { code: 5, .. })), "{answer:?}");
            assert!(shown(&metrics).contains("tftp_stray_total 1\n"));
        }
        stranger.send(Packet::Error { code: 0, message: b"" }, from).await;
        client.send(Packet::Ack { block: 1 }, from).await;
        assert_eq!(client.rest_after(1).await, Ok(content(5000)[512..].to_vec()));
        // What changed its port asks again, and gets the file from the start.
        assert_eq!(stranger.fetch("x", NONE).await, Ok(content(5000)));
        bed.stop().await;
    }
}
