//! The listening socket and the sessions that it starts.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
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
use tokio::{net::UdpSocket, task::AbortHandle, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    BindError, Packet,
    session::{Ports, Session},
    socket::{self, Received},
};
use crate::limits;

/// A TFTP server that gives files and takes none.
pub struct TftpServer {
    socket: UdpSocket,
    ports: Arc<Ports>,
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
        Ok(Self { socket, ports: Arc::new(Ports { source, recorder, clock }) })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `cancel`; returns when every transfer has been told and joined.
    pub async fn run(self, cancel: CancellationToken) {
        let mut sessions =
            Sessions { cancel: cancel.child_token(), open: HashMap::new(), tasks: JoinSet::new(), count: 0 };
        let mut buffer = [0; limits::REQUEST_BYTES];
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(ended) = sessions.tasks.join_next() => sessions.ended(ended),
                received = socket::receive(&self.socket, &mut buffer) => match received {
                    Ok(received) => sessions.request(&self.ports, &buffer[..received.len], received),
                    Err(error) => {
                        tracing::error!(%error, "receiving TFTP requests failed, trying again");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        sessions.cancel.cancel();
        while let Some(ended) = sessions.tasks.join_next().await {
            sessions.ended(ended);
        }
    }
}

struct Sessions {
    cancel: CancellationToken,
    open: HashMap<SocketAddr, Open>,
    tasks: JoinSet<(SocketAddr, u64)>,
    count: u64,
}

struct Open {
    number: u64,
    request: Vec<u8>,
    has_progress: Arc<AtomicBool>,
    cancel: CancellationToken,
    task: AbortHandle,
}

impl Sessions {
    fn request(&mut self, ports: &Arc<Ports>, datagram: &[u8], received: Received) {
        let Received { peer, asked, .. } = received;
        // Anything but a request has no business at this port; a broadcast must not be answered.
        let (Ok(Packet::Rrq(_) | Packet::Wrq(_)), Some(ours)) = (Packet::parse(datagram), asked) else {
            tracing::debug!(%peer, "not a TFTP request to this host");
            return;
        };
        if let Some(open) = self.open.get(&peer) {
            if open.request == datagram && !open.has_progress.load(Ordering::Relaxed) {
                return; // sent again before our answer came; the transfer's own timer repeats the answer
            }
            open.cancel.cancel();
        } else if self.open.len() >= limits::TRANSFERS {
            tracing::warn!(%peer, "{} TFTP transfers run, this one must ask again", limits::TRANSFERS);
            let kind = BootEventKind::Refused { file: "tftp".to_owned(), reason: Reason::TooMany };
            ports.recorder.record(BootEvent { at: ports.clock.now(), subject: Subject::Ip(peer.ip()), kind });
            return;
        }
        self.count += 1;
        let number = self.count;
        let cancel = self.cancel.child_token();
        let has_progress = Arc::new(AtomicBool::new(false));
        let request = datagram.to_vec();
        let session = Session {
            ports: Arc::clone(ports),
            peer,
            ours,
            cancel: cancel.clone(),
            shutdown: self.cancel.clone(),
            has_progress: Arc::clone(&has_progress),
        };
        let answered = request.clone();
        let task = self.tasks.spawn(async move {
            session.run(answered).await;
            (peer, number)
        });
        self.open.insert(peer, Open { number, request, has_progress, cancel, task });
    }

    fn ended(&mut self, ended: Result<(SocketAddr, u64), tokio::task::JoinError>) {
        match ended {
            Ok((peer, number)) => {
                if self.open.get(&peer).is_some_and(|open| open.number == number) {
                    self.open.remove(&peer);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a TFTP transfer failed by a fault of this program");
                self.open.retain(|_, open| !open.task.is_finished());
            }
        }
    }
}
