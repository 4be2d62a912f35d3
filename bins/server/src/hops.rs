//! A machine's connection with a hop limit: what is written to it goes so far and no further.

use std::{
    io::{self, IoSlice},
    num::NonZeroU8,
    pin::Pin,
    task::{Context, Poll},
};

use bootcode_metadata::HopLimit;
use bootcode_tftp::http::{Lane, LaneStream};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The connection. A limit that is set while a request is answered is the socket's before the first byte of the answer is.
pub(crate) struct Hops {
    stream: LaneStream,
    wanted: HopLimit,
    kept: Option<NonZeroU8>,
}

impl Hops {
    /// With the limit that its requests are handed.
    pub(crate) fn new(stream: TcpStream) -> (Self, HopLimit) {
        let wanted = HopLimit::default();
        (Self { stream: LaneStream::new(stream), wanted: wanted.clone(), kept: None }, wanted)
    }

    /// What its requests are handed where nothing encrypts what is written.
    pub(crate) fn lane(&self) -> Lane {
        self.stream.lane()
    }

    /// An answer that cannot be held back is not written: the connection ends instead.
    fn keep(&mut self) -> io::Result<()> {
        let Some(hops) = self.wanted.get().filter(|hops| self.kept != Some(*hops)) else { return Ok(()) };
        let socket = SockRef::from(self.stream.get_ref());
        let hops_u32 = u32::from(hops.get());
        if self.stream.get_ref().peer_addr()?.ip().to_canonical().is_ipv4() {
            socket.set_ttl_v4(hops_u32)?;
        } else {
            socket.set_unicast_hops_v6(hops_u32)?;
        }
        self.kept = Some(hops);
        Ok(())
    }
}

impl AsyncRead for Hops {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Hops {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.keep()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.keep()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_limit_is_the_socket_s_with_the_next_byte_that_is_written() {
        for (address, v6) in [("127.0.0.1:0", false), ("[::1]:0", true), ("[::ffff:127.0.0.1]:0", false)] {
            let listener = TcpListener::bind(address.parse::<SocketAddr>().unwrap()).await.unwrap();
            let (accepted, connected) =
                tokio::join!(listener.accept(), TcpStream::connect(listener.local_addr().unwrap()));
            let _client = connected.unwrap();
            let (mut hops, wanted) = Hops::new(accepted.unwrap().0);
            let ttl = |hops: &Hops| {
                let socket = SockRef::from(hops.stream.get_ref());
                if v6 { socket.unicast_hops_v6() } else { socket.ttl_v4() }.unwrap()
            };
            hops.write_all(b"before").await.unwrap();
            assert!(ttl(&hops) > 3, "{address}: the system's own");
            for limit in [1, 3] {
                wanted.set(NonZeroU8::new(limit).unwrap());
                hops.write_all(b"after").await.unwrap();
                assert_eq!(ttl(&hops), u32::from(limit), "{address}");
            }
        }
    }
}
