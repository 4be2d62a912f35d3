//! One connection from a machine's own address, and the answers on it.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, SocketAddrV4, TcpStream},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{ask, ask::Ask, wire::machine_ip};

/// More than any answer has.
const ROOM: usize = 8192;
/// A listener that has room answers at once.
const CONNECT: Duration = Duration::from_secs(5);

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) machine: u32,
    name: String,
    asked: Option<Ask>,
    room: Box<[u8]>,
    filled: usize,
}

impl Connection {
    /// Begins one: it is there once it can be written to.
    pub(crate) fn begin(target: SocketAddrV4, machine: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((machine_ip(machine), 0)).into())?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&SocketAddr::V4(target).into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => return Err(error),
            _ => (),
        }
        let room = vec![0; ROOM].into_boxed_slice();
        Ok(Self { stream: socket.into(), machine, name: ask::name(machine), asked: None, room, filled: 0 })
    }

    /// One that is there, to ask many things over.
    pub(crate) fn open(target: SocketAddrV4, machine: u32) -> io::Result<Self> {
        let connection = Self::begin(target, machine)?;
        connection.poll(PollFlags::POLLOUT, CONNECT)?;
        match connection.stream.take_error()? {
            None => Ok(connection),
            Some(error) => Err(error),
        }
    }

    /// Waits until the answer is whole.
    pub(crate) fn wait(&mut self, length: Duration) -> io::Result<()> {
        let start = Instant::now();
        while !self.is_answered()? {
            self.poll(PollFlags::POLLIN, length.saturating_sub(start.elapsed()))?;
        }
        Ok(())
    }

    fn poll(&self, event: PollFlags, length: Duration) -> io::Result<()> {
        let length = PollTimeout::try_from(length).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.stream.as_fd(), event)], length)? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    /// Asks; a request fits into any socket's buffer.
    pub(crate) fn ask(&mut self, ask: Ask, request: &[u8]) -> io::Result<()> {
        self.asked = Some(ask);
        self.filled = 0;
        match self.stream.write(request)? {
            all if all == request.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Reads; whether the answer is whole. An answer that is another than 200, or another machine's, is an error.
    pub(crate) fn is_answered(&mut self) -> io::Result<bool> {
        match self.stream.read(&mut self.room[self.filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let bytes = &self.room[..self.filled];
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
        let (head, body) = (&bytes[..end], &bytes[end + 4..]);
        let Some(length) = length(head) else { return Err(wrong(self.asked, &self.name, bytes)) };
        if body.len() < length {
            return Ok(false);
        }
        let own = |at: usize| body.get(at..).is_some_and(|rest| rest.starts_with(self.name.as_bytes()));
        let good = head.get(9..12) == Some(b"200") && self.asked.and_then(|ask| ask.name_at).is_none_or(own);
        if good { Ok(true) } else { Err(wrong(self.asked, &self.name, bytes)) }
    }
}

fn wrong(ask: Option<Ask>, name: &str, bytes: &[u8]) -> io::Error {
    let path = ask.map_or("", |ask| ask.path);
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{name} asked for {path} and was told:\n{}", String::from_utf8_lossy(bytes)),
    )
}

fn length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME)))?;
    std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok()
}
