//! The listening socket and the sessions that it starts.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bootcode_core::{
    clock::Clock,
    files::FileSource,
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason, Subject},
};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::{AbortHandle, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    BindError, ErrorCode, Packet, TftpMetrics,
    channel::Channel,
    metrics::End,
    session::{Ports, Session},
    socket::{self, Received, To},
};
use crate::limits;

/// A TFTP server that gives files and takes none.
pub struct TftpServer {
    socket: Arc<UdpSocket>,
    ports: Arc<Ports>,
    is_single_port: bool,
    per_address: usize,
}

impl TftpServer {
    /// Takes the address, port 69 by the standard. Files come from `source`, what happens goes to `recorder`.
    ///
    /// # Errors
    /// See [`BindError`]; its message says how to mend it.
    pub async fn bind(
        address: SocketAddr,
        source: Arc<dyn FileSource>,
        recorder: Arc<dyn BootRecorder>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BindError> {
        let socket = socket::listen(address).map_err(|source| BindError::new(address, source))?;
        let ports = Ports { source, recorder, clock, metrics: TftpMetrics::default() };
        Ok(Self {
            socket: Arc::new(socket),
            ports: Arc::new(ports),
            is_single_port: false,
            per_address: limits::TRANSFERS,
        })
    }

    /// All transfers use the port that it listens on, told apart by the client's address and port: for NAT and for containers
    /// whose other ports nobody reaches. Default: a port for each transfer, as RFC 1350 section 4 has it.
    #[must_use]
    pub fn single_port(mut self, is_single_port: bool) -> Self {
        self.is_single_port = is_single_port;
        self
    }

    /// At most this many transfers of one address at once; default [`limits::TRANSFERS`], the bound of all together, because
    /// behind a NAT or a relay a whole hall has one address.
    #[must_use]
    pub fn per_address(mut self, transfers: usize) -> Self {
        self.per_address = transfers;
        self
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> TftpMetrics {
        self.ports.metrics.clone()
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `cancel`; returns when every transfer has been told and joined, within [`limits::SHUTDOWN`].
    pub async fn run(self, cancel: CancellationToken) {
        let mut sessions = Sessions {
            shared: self.is_single_port.then(|| Arc::clone(&self.socket)),
            per_address: self.per_address,
            ports: self.ports,
            cancel: cancel.child_token(),
            open: HashMap::new(),
            of_address: HashMap::new(),
            tasks: JoinSet::new(),
            count: 0,
        };
        let mut buffer = [0; limits::REQUEST_BYTES];
        loop {
            tokio::select! {
                // What has ended is known before the next request: EDK2 asks again at once from the same port.
                biased;
                () = cancel.cancelled() => break,
                Some(ended) = sessions.tasks.join_next() => sessions.ended(ended),
                received = socket::receive(&self.socket, &mut buffer) => match received {
                    Ok(received) => sessions.datagram(&buffer[..received.len], received).await,
                    Err(error) => {
                        tracing::error!(%error, "receiving TFTP requests failed, trying again");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        sessions.end().await;
    }
}

struct Sessions {
    ports: Arc<Ports>,
    /// The listening socket where transfers use it.
    shared: Option<Arc<UdpSocket>>,
    per_address: usize,
    cancel: CancellationToken,
    open: HashMap<SocketAddr, Open>,
    /// How many of `open` each address has.
    of_address: HashMap<IpAddr, usize>,
    tasks: JoinSet<(SocketAddr, u64)>,
    count: u64,
}

struct Open {
    number: u64,
    request: Vec<u8>,
    has_progress: Arc<AtomicBool>,
    cancel: CancellationToken,
    task: AbortHandle,
    /// At a shared port: what the client sends.
    inbox: Option<mpsc::Sender<Box<[u8]>>>,
}

impl Sessions {
    async fn datagram(&mut self, datagram: &[u8], received: Received) {
        match (Packet::parse(datagram), received.asked) {
            (Ok(Packet::Rrq(_) | Packet::Wrq(_)), Some(ours)) => self.request(datagram, received.peer, ours),
            (Ok(packet), Some(ours)) if self.shared.is_some() => {
                self.of_transfer(datagram, &packet, To { peer: received.peer, ours }).await;
            }
            // Anything but a request has no business at this port; a broadcast must not be answered.
            _ => self.stray(received.peer),
        }
    }

    /// A packet of a transfer at the shared port.
    async fn of_transfer(&mut self, datagram: &[u8], packet: &Packet<'_>, to: To) {
        match self.open.get_mut(&to.peer) {
            Some(open) => {
                // A full inbox is a client that floods: as good as lost.
                let _ = open.inbox.as_ref().map(|inbox| inbox.try_send(datagram.into()));
                if matches!(packet, Packet::Error { .. }) {
                    // It may ask for the same file in its next packet, before its transfer has read this one.
                    open.request.clear();
                }
            }
            None => {
                self.stray(to.peer);
                // An error is never answered by an error.
                if let (Packet::Ack { .. }, Some(socket)) = (packet, &self.shared) {
                    let mut error = Vec::new();
                    Packet::error(ErrorCode::UnknownTransfer, "no transfer of this port").encode(&mut error);
                    let _ = socket::send(socket, Some(to), &error, error.len(), &mut false).await;
                }
            }
        }
    }

    fn stray(&self, peer: SocketAddr) {
        self.ports.metrics.stray.inc();
        tracing::debug!(%peer, "not a TFTP request to this host");
    }

    fn request(&mut self, datagram: &[u8], peer: SocketAddr, ours: IpAddr) {
        if let Some(open) = self.open.get(&peer) {
            if open.request == datagram && !open.has_progress.load(Ordering::Relaxed) {
                return; // sent again before our answer came; the transfer's own timer repeats the answer
            }
            open.cancel.cancel();
            self.remove(peer);
        }
        let ip = peer.ip().to_canonical();
        let of_address = self.of_address.get(&ip).copied().unwrap_or(0);
        // Cancelled ones still hold their memory until they are joined.
        if self.tasks.len() >= limits::TRANSFERS || of_address >= self.per_address {
            tracing::warn!(%peer, running = self.tasks.len(), of_address, "too many TFTP transfers, this one must ask again");
            self.ports.metrics.ended(End::Refused(Reason::TooMany));
            let kind = BootEventKind::Refused { file: "tftp".to_owned(), reason: Reason::TooMany };
            let at = self.ports.clock.now();
            self.ports.recorder.record(BootEvent { at, subject: Subject::Ip(ip), kind });
            return;
        }
        self.count += 1;
        let number = self.count;
        let cancel = self.cancel.child_token();
        let has_progress = Arc::new(AtomicBool::new(false));
        let request = datagram.to_vec();
        let (inbox, shared) = match &self.shared {
            None => (None, None),
            Some(socket) => {
                let (sender, inbox) = mpsc::channel(limits::INBOX_PACKETS);
                let socket = Arc::clone(socket);
                (Some(sender), Some(Channel::Shared { socket, to: To { peer, ours }, inbox }))
            }
        };
        let session = Session {
            ports: Arc::clone(&self.ports),
            peer,
            ours,
            shared,
            cancel: cancel.clone(),
            shutdown: self.cancel.clone(),
            has_progress: Arc::clone(&has_progress),
        };
        let answered = request.clone();
        let task = self.tasks.spawn(async move {
            session.run(answered).await;
            (peer, number)
        });
        self.ports.metrics.in_progress.set(self.tasks.len() as i64);
        self.open.insert(peer, Open { number, request, has_progress, cancel, task, inbox });
        *self.of_address.entry(ip).or_default() += 1;
    }

    fn remove(&mut self, peer: SocketAddr) {
        let ip = peer.ip().to_canonical();
        if self.open.remove(&peer).is_some()
            && let Some(count) = self.of_address.get_mut(&ip)
        {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&ip);
            }
        }
    }

    fn ended(&mut self, ended: Result<(SocketAddr, u64), JoinError>) {
        self.ports.metrics.in_progress.set(self.tasks.len() as i64);
        match ended {
            Ok((peer, number)) => {
                if self.open.get(&peer).is_some_and(|open| open.number == number) {
                    self.remove(peer);
                }
            }
            Err(error) => {
                if !error.is_cancelled() {
                    tracing::error!(%error, "a TFTP transfer failed by a fault of this program");
                }
                let over: Vec<SocketAddr> = self
                    .open
                    .iter()
                    .filter(|(_, open)| open.task.is_finished())
                    .map(|(peer, _)| *peer)
                    .collect();
                over.into_iter().for_each(|peer| self.remove(peer));
            }
        }
    }

    /// Tells every client, and leaves behind what does not end in time.
    async fn end(mut self) {
        self.cancel.cancel();
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(limits::SHUTDOWN, all).await.is_err() {
            tracing::warn!(
                left = self.tasks.len(),
                "TFTP transfers did not end in time; their disk may hang"
            );
            self.tasks.abort_all();
        }
    }
}
