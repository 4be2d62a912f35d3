//! Many clients at once in one thread, a socket each: a server tells them apart by their ports.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt},
};

use crate::client::{Answer, Asked, Client};

/// After which a client repeats what it said last; the next time after twice as long. PXE ROMs have 1 s to 4 s.
const PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE_MOST: Duration = Duration::from_secs(4);
/// One segmented send of a server, at most.
const TOGETHER_BYTES: usize = 64 << 10;

/// What the clients do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) asked: Asked<'a>,
    pub(crate) clients: usize,
    /// Before each acknowledgement: a round trip that the wire does not have.
    pub(crate) pause: Duration,
    /// Ends here, whatever is open then.
    pub(crate) until: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Until the last one had its file.
    pub(crate) took: Duration,
    pub(crate) finished: usize,
    /// Those that got at least a block.
    pub(crate) begun: usize,
    pub(crate) failed: Vec<String>,
    pub(crate) blocks: u64,
    pub(crate) again: u64,
}

struct Open {
    socket: UdpSocket,
    client: Client,
    /// The port that the server took for this transfer.
    at: Option<SocketAddr>,
    spoke: Instant,
    patience: Duration,
    is_over: bool,
}

/// Runs the plan; all clients ask at once.
pub(crate) fn run(plan: &Plan<'_>) -> io::Result<Seen> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let request = plan.asked.request();
    let mut open = Vec::with_capacity(plan.clients);
    for number in 0..plan.clients {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        // What a server sends together comes together; without it the kernel takes it apart, and the load costs more than the server.
        setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        open.push(Open {
            socket,
            client: Client::new(),
            at: None,
            spoke: Instant::now(),
            patience: PATIENCE,
            is_over: false,
        });
    }
    let mut load = Load { plan, open, seen: Seen::default(), due: VecDeque::new(), left: plan.clients };
    let start = Instant::now();
    for one in &mut load.open {
        one.spoke = Instant::now();
        let _ = one.socket.send_to(&request, plan.server);
    }
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut looked = start;
    while load.left > 0 && start.elapsed() < plan.until {
        // With acknowledgements due it spins: it has the core to itself, and a timer's milliseconds would be in the figure.
        let wait = if load.due.is_empty() { EpollTimeout::from(20_u8) } else { EpollTimeout::ZERO };
        let ready = match epoll.wait(&mut events, wait) {
            Ok(ready) => ready,
            Err(nix::Error::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            load.receive(usize::try_from(event.data()).unwrap_or_default())?;
        }
        load.speak_due();
        if looked.elapsed() > PATIENCE / 20 {
            looked = Instant::now();
            load.repeat(&request);
        }
    }
    load.seen.took = start.elapsed();
    for one in &load.open {
        load.seen.begun += usize::from(one.client.blocks > 0);
        load.seen.blocks += one.client.blocks;
        load.seen.again += one.client.again;
    }
    Ok(load.seen)
}

struct Load<'a> {
    plan: &'a Plan<'a>,
    open: Vec<Open>,
    seen: Seen,
    /// Acknowledgements that wait for their time, in its order.
    due: VecDeque<(Instant, usize, u16)>,
    left: usize,
}

impl Load<'_> {
    /// Takes all that is there for a client.
    fn receive(&mut self, number: usize) -> io::Result<()> {
        let mut bytes = [0; TOGETHER_BYTES];
        loop {
            let mut space = nix::cmsg_space!(i32);
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let one = &mut self.open[number];
            let received = match recvmsg::<SockaddrIn>(
                one.socket.as_raw_fd(),
                &mut parts,
                Some(&mut space),
                MsgFlags::empty(),
            ) {
                Ok(received) => received,
                Err(nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ECONNREFUSED) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let from = received.address.map(SocketAddrV4::from).map(SocketAddr::from);
            let segment = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::UdpGroSegments(segment) => usize::try_from(segment).ok(),
                _ => None,
            });
            let length = received.bytes;
            if one.at.is_some() && one.at != from {
                continue; // RFC 1350 section 4: another transfer's, as of a request that was repeated
            }
            one.at = from;
            for datagram in bytes[..length].chunks(segment.unwrap_or(length).max(1)) {
                self.take(number, datagram);
            }
        }
    }

    fn take(&mut self, number: usize, datagram: &[u8]) {
        let one = &mut self.open[number];
        if one.is_over {
            return;
        }
        match one.client.take(&self.plan.asked, datagram) {
            Answer::Nothing => one.spoke = Instant::now(),
            Answer::Acknowledge(block) if self.plan.pause.is_zero() => one.acknowledge(block),
            Answer::Acknowledge(block) => {
                one.spoke = Instant::now();
                self.due.push_back((Instant::now() + self.plan.pause, number, block));
            }
            Answer::Finish(block) => {
                one.acknowledge(block);
                one.is_over = true;
                self.left -= 1;
                self.seen.finished += 1;
            }
            Answer::Fail(message) => {
                one.is_over = true;
                self.left -= 1;
                self.seen.failed.push(message);
            }
        }
    }

    fn speak_due(&mut self) {
        while self.due.front().is_some_and(|(at, ..)| *at <= Instant::now()) {
            if let Some((_, number, block)) = self.due.pop_front() {
                self.open[number].acknowledge(block);
            }
        }
    }

    /// Whoever heard nothing for long says its last word again.
    fn repeat(&mut self, request: &[u8]) {
        let patience = PATIENCE.max(self.plan.pause * 2);
        for one in self.open.iter_mut().filter(|one| !one.is_over) {
            if one.spoke.elapsed() < one.patience.max(patience) {
                continue;
            }
            let patience = (one.patience * 2).min(PATIENCE_MOST);
            match one.client.repeat() {
                Some(block) => one.acknowledge(block),
                None => {
                    one.spoke = Instant::now();
                    let _ = one.socket.send_to(request, self.plan.server);
                }
            }
            one.patience = patience;
        }
    }
}

impl Open {
    fn acknowledge(&mut self, block: u16) {
        let [high, low] = block.to_be_bytes();
        self.spoke = Instant::now();
        self.patience = PATIENCE;
        if let Some(at) = self.at {
            let _ = self.socket.send_to(&[0, 4, high, low], at);
        }
    }
}
