//! A server over loopback and a client of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bootcode_core::{clock::SystemClock, files::FileSource};
use bootcode_tftp::{
    TftpServer,
    tftp::{Mode, Options, Packet, Request},
};
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Timeline;

pub const NONE: Options = Options { blksize: None, timeout: None, tsize: None, windowsize: None };

pub struct Bed {
    pub server: SocketAddr,
    pub timeline: Timeline,
    pub cancel: CancellationToken,
    pub running: JoinHandle<()>,
}

impl Bed {
    pub async fn serving(source: impl FileSource + 'static) -> Self {
        Self::at("127.0.0.1:0", source).await
    }

    pub async fn at(address: &str, source: impl FileSource + 'static) -> Self {
        Self::with(address, source, |server| server).await
    }

    pub async fn with(
        address: &str,
        source: impl FileSource + 'static,
        change: impl FnOnce(TftpServer) -> TftpServer,
    ) -> Self {
        let timeline = Timeline::default();
        let recorder = Arc::new(timeline.clone());
        let server =
            TftpServer::bind(address.parse().unwrap(), Arc::new(source), recorder, Arc::new(SystemClock));
        let server = change(server.await.unwrap());
        let (address, cancel) = (server.local_addr().unwrap(), CancellationToken::new());
        let running = tokio::spawn(server.run(cancel.clone()));
        Self { server: address, timeline, cancel, running }
    }

    pub async fn stop(self) {
        self.cancel.cancel();
        timeout(Duration::from_secs(5), self.running).await.expect("the server ends").unwrap();
    }
}

/// One client's port.
pub struct Client {
    pub socket: UdpSocket,
    pub server: SocketAddr,
}

impl Client {
    pub async fn new(server: SocketAddr) -> Self {
        // One address only: what another test's server sends to a port that it had before must not come here.
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        Self { socket: UdpSocket::bind(any).await.unwrap(), server }
    }

    pub async fn send(&self, packet: Packet<'_>, to: SocketAddr) {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        self.socket.send_to(&bytes, to).await.unwrap();
    }

    pub async fn ask(&self, filename: &str, options: Options) {
        let request = Request { filename: filename.as_bytes(), mode: Some(Mode::Octet), options };
        self.send(Packet::Rrq(request), self.server).await;
    }

    pub async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut bytes = vec![0; 70_000];
        let received = timeout(Duration::from_secs(10), self.socket.recv_from(&mut bytes)).await;
        let (len, from) = received.expect("an answer in time").unwrap();
        bytes.truncate(len);
        (bytes, from)
    }

    /// Fetches a file; the error's code where there is one.
    pub async fn fetch(&self, filename: &str, options: Options) -> Result<Vec<u8>, u16> {
        self.ask(filename, options).await;
        self.rest().await
    }

    /// Takes what comes until the last block.
    pub async fn rest(&self) -> Result<Vec<u8>, u16> {
        self.rest_after(0).await
    }

    /// The same where block `last` was acknowledged already.
    pub async fn rest_after(&self, mut last: u16) -> Result<Vec<u8>, u16> {
        let (mut file, mut blksize, mut windowsize, mut in_window) = (Vec::new(), 512, 1, 0);
        loop {
            let (bytes, from) = self.receive().await;
            match Packet::parse(&bytes).unwrap() {
                Packet::Oack(options) => {
                    blksize = options.blksize.unwrap_or(512);
                    windowsize = options.windowsize.unwrap_or(1);
                    self.send(Packet::Ack { block: 0 }, from).await;
                }
                Packet::Data { block, payload } if block == last.wrapping_add(1) => {
                    last = block;
                    in_window += 1;
                    file.extend_from_slice(payload);
                    let complete = (payload.len() as u64) < blksize;
                    if complete || in_window == windowsize {
                        in_window = 0;
                        self.send(Packet::Ack { block }, from).await;
                    }
                    if complete {
                        return Ok(file);
                    }
                }
                Packet::Data { .. } => {
                    in_window = 0;
                    self.send(Packet::Ack { block: last }, from).await;
                }
                Packet::Error { code, .. } => return Err(code),
                other => panic!("{other:?}"),
            }
        }
    }
}
