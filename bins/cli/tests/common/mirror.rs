//! A web server whose every byte the test says, so that it may break off, lie and go on for ever.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

/// What a connection is answered with.
pub(crate) enum Answer {
    /// These bytes; then it is closed.
    Closed(Vec<u8>),
    /// These bytes, which is told; then nothing, until the client goes.
    Held(Vec<u8>, Arc<Notify>),
}

/// The heads of requests as they came, one of each connection.
#[derive(Clone, Default)]
pub(crate) struct Heads(Arc<Mutex<Vec<String>>>);

impl Heads {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Serves what `answer` says of the head of each request; its address.
pub(crate) async fn mirror(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (String, Heads) {
    serve(None, answer).await
}

/// The same by TLS.
pub(crate) async fn secure(
    tls: TlsAcceptor,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> (String, Heads) {
    serve(Some(tls), answer).await
}

async fn serve(
    tls: Option<TlsAcceptor>,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> (String, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heads, answer) = (Heads::default(), Arc::new(answer));
    let kept = heads.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, kept, answer) = (tls.clone(), kept.clone(), Arc::clone(&answer));
            tokio::spawn(async move {
                match tls {
                    None => connection(stream, &kept, &*answer).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            connection(stream, &kept, &*answer).await;
                        }
                    }
                }
            });
        }
    });
    (address, heads)
}

async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heads: &Heads,
    answer: &(impl Fn(&str) -> Answer + Sync),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    heads.0.lock().unwrap().push(head.clone());
    // A client that has seen enough goes before all is written.
    match answer(&head) {
        Answer::Closed(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Answer::Held(bytes, written) => {
            let _ = stream.write_all(&bytes).await;
            written.notify_one();
            let _ = stream.read_u8().await;
        }
    }
}

/// A head with these lines, and a body.
pub(crate) fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut reply = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n").into_bytes();
    reply.extend_from_slice(body);
    reply
}

/// A whole file.
pub(crate) fn file(body: &[u8]) -> Answer {
    Answer::Closed(reply("200 OK", &format!("content-length: {}\r\netag: \"e\"\r\n", body.len()), body))
}

/// The first byte that a request asks for.
pub(crate) fn asked_from(head: &str) -> Option<usize> {
    head.split_once("range: bytes=")?.1.split_once('-')?.0.parse().ok()
}
