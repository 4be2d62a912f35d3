//! What is malformed, too long or too much: an exact status each, on a real connection.

use std::{net::SocketAddr, time::Duration};

use bootcode_core::{document::MetadataIdentity, session::Use, timeline::Reason};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    NODE_1, good,
    site::{NOW, World, token},
};

/// The status of what is answered to these bytes, and the rest.
async fn answer(world: &World, request: &[u8]) -> (u16, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = world.router().into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whoever is refused may be cut off while still sending.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    serving.abort();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    assert!(read.is_ok() || status != 0, "no answer and no end");
    (status, text)
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn requests_that_are_too_much_have_an_exact_status() {
    let world = World::new(MetadataIdentity::Address);
    let token = good();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let long = "a".repeat(64 << 10);
    let flood: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    let cases: [(&str, Vec<u8>, u16); 15] = [
        ("as it should be", get("/metadata", &bearer), 200),
        ("an unknown path", get("/nowhere", &bearer), 404),
        ("an unknown version", get("/2000-01-01/meta-data/", &bearer), 404),
        ("a path of 64 KiB less one", get(&format!("/{}", &long[2..]), &bearer), 414),
        ("a path of 64 KiB", get(&format!("/{long}"), &bearer), 414),
        ("a query of 64 KiB", get(&format!("/metadata?{long}"), &bearer), 414),
        ("101 headers", get("/metadata", &flood), 431),
        ("a header of 512 KiB", get("/metadata", &format!("x: {}\r\n", long.repeat(8))), 431),
        (
            "another method",
            b"DELETE /metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
            405,
        ),
        ("no method", b"G E T / HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        ("a path that steps out", get("/latest/../metadata", &bearer), 404),
        ("encoded steps", get("/latest/%2e%2e/metadata", &bearer), 404),
        ("bytes that are no text", get("/nocloud/%ff%fe", &bearer), 400),
        ("a zero byte", get("/latest/meta-data/%00", &bearer), 404),
    ];
    for (what, request, status) in cases {
        let (found, text) = answer(&world, &request).await;
        assert_eq!(found, status, "{what}: {}", &text[..text.len().min(300)]);
        assert!(!text.contains(&token), "{what}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_and_one_that_is_too_long() {
    let world = World::new(MetadataIdentity::Address);
    let home = |length: u64| {
        format!(
            "POST /phone-home?token={} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            good()
        )
    };
    let (status, _) = answer(&world, home(1 << 30).as_bytes()).await;
    assert_eq!(status, 413, "a body of 1 GiB is refused before it is read");
    let chunked = format!(
        "POST /phone-home?token={} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n20000\r\n{}\r\n",
        good(),
        "a".repeat(0x2_0000)
    );
    let (status, _) = answer(&world, chunked.as_bytes()).await;
    assert_eq!(status, 413, "nor is one that does not say how long it is kept");
}

#[tokio::test]
async fn tokens_cut_stretched_or_changed_are_refused_everywhere() {
    let world = World::new(MetadataIdentity::Address);
    let instance = good();
    let session = token("node-1", Use::Imds, NOW + 60);
    for cut in 0..instance.len() {
        let answer = world.get(NODE_1, "/metadata", Some(&instance[..cut])).await;
        assert_eq!(answer.status, 403, "cut to {cut}");
        assert_eq!(world.recorded.last_refusal(), Some(Reason::BadToken), "cut to {cut}");
    }
    for at in 0..instance.len() {
        let mut changed = instance.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(world.get(NODE_1, "/metadata", Some(&changed)).await.status, 403, "changed at {at}");
    }
    for stretched in [
        format!("{instance}A"),
        format!("{instance}="),
        format!("{instance}.{instance}"),
        instance.repeat(200),
    ] {
        assert_eq!(world.get(NODE_1, "/metadata", Some(&stretched)).await.status, 403);
    }
    assert_eq!(world.get(NODE_1, "/metadata", Some(&session)).await.status, 403, "made for something else");
}
