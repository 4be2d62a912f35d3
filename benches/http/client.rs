//! A client of HTTP/1.1, no larger than this needs: one connection that is kept, one request at a time, bodies handed on or dropped.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// Bytes that are read at once, as much as curl reads at most.
pub(crate) const READ_BYTES: usize = 512 << 10;
/// After this an answer counts as not given.
const SILENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    stream: TcpStream,
    head: Vec<u8>,
    /// Bytes of the body that are still to come, once the head is there.
    rest: Option<u64>,
}

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing yet; only where the client waits elsewhere.
    Nothing,
    Some,
    /// The answer's last byte.
    Last,
}

impl Client {
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { stream, head: Vec::new(), rest: None })
    }

    /// Reads no longer wait; whoever reads waits for many at once.
    pub(crate) fn waits_elsewhere(self) -> io::Result<Self> {
        self.stream.set_nonblocking(true)?;
        Ok(self)
    }

    /// Asks for a file, or for a range of it (`0-99`).
    pub(crate) fn ask(&mut self, path: &str, range: Option<&str>) -> io::Result<()> {
        let range = range.map(|range| format!("Range: bytes={range}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{range}\r\n");
        self.head.clear();
        self.rest = None;
        // Some hundred bytes into an empty buffer: never in parts.
        self.stream.write_all(request.as_bytes())
    }

    /// Reads once and hands on what is of the body.
    pub(crate) fn take(&mut self, buffer: &mut [u8], mut body: impl FnMut(&[u8])) -> io::Result<Taken> {
        let read = match self.stream.read(buffer) {
            Ok(0) => return Err(io::Error::other("the server closed the connection before the last byte")),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Taken::Nothing),
            Err(error) => return Err(error),
        };
        let mut bytes = &buffer[..read];
        if self.rest.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(8192)]);
            let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(Taken::Some);
            };
            bytes = &bytes[end + 4 - before..];
            self.rest = Some(content_length(&self.head[..end])?);
        }
        let rest = self.rest.unwrap_or(0).checked_sub(bytes.len() as u64);
        self.rest = Some(rest.ok_or_else(|| io::Error::other("more bytes than Content-Length says"))?);
        body(bytes);
        Ok(if self.rest == Some(0) { Taken::Last } else { Taken::Some })
    }

    /// Fetches a file whole, or a range of it; the bytes of the body.
    pub(crate) fn fetch(
        &mut self,
        path: &str,
        range: Option<&str>,
        buffer: &mut [u8],
        mut body: impl FnMut(&[u8]),
    ) -> io::Result<u64> {
        let mut bytes = 0;
        self.ask(path, range)?;
        loop {
            let taken = self.take(buffer, |part| {
                bytes += part.len() as u64;
                body(part);
            })?;
            match taken {
                Taken::Nothing => return Err(io::ErrorKind::TimedOut.into()),
                Taken::Some => {}
                Taken::Last => return Ok(bytes),
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn content_length(head: &[u8]) -> io::Result<u64> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200 ") && !status.starts_with("HTTP/1.1 206 ") {
        return Err(io::Error::other(format!("the answer is {status}")));
    }
    let fields = lines.filter_map(|line| line.split_once(':'));
    fields
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("an answer without Content-Length"))
}
