//! The load: one download after another, many kept connections, or many downloads at once.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::client::{Client, READ_BYTES, Taken};

/// The pause between two boot files while images are fetched.
const BOOTS: Duration = Duration::from_millis(50);

/// Waits until some have bytes; which.
fn ready(clients: &[Option<Client>]) -> io::Result<Vec<usize>> {
    let open = || clients.iter().enumerate().filter_map(|(n, client)| Some((n, client.as_ref()?)));
    let mut polled: Vec<PollFd> =
        open().map(|(_, client)| PollFd::new(std::os::fd::AsFd::as_fd(client), PollFlags::POLLIN)).collect();
    if poll(&mut polled, PollTimeout::from(30_000_u16))? == 0 {
        return Err(io::Error::other("no connection has had a byte for 30 s"));
    }
    let ready = open().zip(&polled).filter(|(_, polled)| polled.any().unwrap_or(false));
    Ok(ready.map(|((n, _), _)| n).collect())
}

/// That many connections for that long, each with one request after another, over the paths in turn; the answers that came.
pub(crate) fn kept(
    server: SocketAddr,
    connections: usize,
    paths: &[String],
    length: Duration,
) -> io::Result<u64> {
    let mut clients = Vec::new();
    let mut next = paths.iter().cycle();
    let mut path = || next.next().map(String::as_str).unwrap_or_default();
    for _ in 0..connections {
        let mut client = Client::connect(server)?.waits_elsewhere()?;
        client.ask(path(), None)?;
        clients.push(Some(client));
    }
    let (mut buffer, mut answers) = (vec![0; READ_BYTES], 0);
    let start = Instant::now();
    while start.elapsed() < length {
        for n in ready(&clients)? {
            let Some(client) = &mut clients[n] else { continue };
            if client.take(&mut buffer, |_| ())? == Taken::Last {
                answers += 1;
                client.ask(path(), None)?;
            }
        }
    }
    Ok(answers)
}

/// What many downloads at once saw.
pub(crate) struct Crowd {
    /// How long each took.
    pub(crate) took: Vec<Duration>,
    /// How long a boot file took, one after another meanwhile, each over a connection of its own.
    pub(crate) boots: Vec<Duration>,
}

/// That many downloads of one file at once, and of a small one all the while.
pub(crate) fn crowd(server: SocketAddr, clients: usize, image: &str, boot: &str) -> io::Result<Crowd> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let boots = scope.spawn(|| -> io::Result<Vec<Duration>> {
            let (mut buffer, mut seen) = (vec![0; READ_BYTES], Vec::new());
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                Client::connect(server)?.fetch(boot, None, &mut buffer, |_| ())?;
                seen.push(start.elapsed());
                thread::sleep(BOOTS);
            }
            Ok(seen)
        });
        let took = images(server, clients, image);
        over.store(true, Ordering::Relaxed);
        let boots = boots.join().unwrap_or_else(|_| Err(io::Error::other("the boot files' thread failed")));
        Ok(Crowd { took: took?, boots: boots? })
    })
}

fn images(server: SocketAddr, count: usize, image: &str) -> io::Result<Vec<Duration>> {
    let (mut clients, mut buffer, mut took) = (Vec::new(), vec![0; READ_BYTES], Vec::new());
    let start = Instant::now();
    for _ in 0..count {
        let mut client = Client::connect(server)?.waits_elsewhere()?;
        client.ask(image, None)?;
        clients.push(Some(client));
    }
    while took.len() < count {
        for n in ready(&clients)? {
            let last = match &mut clients[n] {
                Some(client) => client.take(&mut buffer, |_| ())? == Taken::Last,
                None => false,
            };
            if last {
                took.push(start.elapsed());
                clients[n] = None;
            }
        }
    }
    Ok(took)
}
