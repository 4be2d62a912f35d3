//! Machines that boot at the same moment: each asks its questions one after the other, with a connection for each as cloud-init has it.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::{ask::Ask, connection::Connection, load::ready};

/// After a connection that broke, as cloud-init waits.
const AGAIN: Duration = Duration::from_secs(1);
/// Nobody waits longer.
const GIVEN_UP: Duration = Duration::from_secs(120);

/// What a storm saw.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Storm {
    pub(crate) took: Duration,
    /// Connections that ended without an answer.
    pub(crate) broken: u64,
    /// Machines that had all their answers.
    pub(crate) done: usize,
}

struct Machine {
    number: u32,
    asked: usize,
    connection: Option<Connection>,
    told: bool,
}

pub(crate) fn storm(target: SocketAddrV4, asks: &[Ask], machines: u32) -> io::Result<Storm> {
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let mut all: Vec<Machine> =
        (0..machines).map(|number| Machine { number, asked: 0, connection: None, told: false }).collect();
    let (mut seen, mut again) = (Storm::default(), VecDeque::new());
    let start = Instant::now();
    again.extend((0..all.len()).map(|at| (start, at)));
    let mut events = vec![EpollEvent::empty(); 1024];
    while seen.done < all.len() && start.elapsed() < GIVEN_UP {
        // So many at a time, that answers are read meanwhile.
        for _ in 0..256 {
            let Some((_, at)) = again.pop_front_if(|(when, _)| *when <= Instant::now()) else { break };
            begin(&epoll, &mut all[at], at, target)?;
        }
        let wait = if again.front().is_some_and(|(when, _)| *when <= Instant::now()) { 0u16 } else { 20 };
        for event in ready(&epoll, &mut events, wait.into())? {
            let at = event.data() as usize;
            let machine = &mut all[at];
            match machine.go_on(asks) {
                Ok(false) => (),
                Ok(true) if machine.asked == asks.len() => seen.done += 1,
                Ok(true) => begin(&epoll, machine, at, target)?,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(error),
                Err(_) => {
                    machine.connection = None;
                    seen.broken += 1;
                    again.push_back((Instant::now() + AGAIN, at));
                }
            }
        }
    }
    seen.took = start.elapsed();
    Ok(seen)
}

fn begin(epoll: &Epoll, machine: &mut Machine, at: usize, target: SocketAddrV4) -> io::Result<()> {
    let connection = Connection::begin(target, machine.number)?;
    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
    epoll.add(&connection.stream, EpollEvent::new(flags, at as u64))?;
    machine.connection = Some(connection);
    machine.told = false;
    Ok(())
}

impl Machine {
    /// Whether its question was answered.
    fn go_on(&mut self, asks: &[Ask]) -> io::Result<bool> {
        let Some(connection) = &mut self.connection else { return Ok(false) };
        if let Some(error) = connection.stream.take_error()? {
            return Err(error);
        }
        let ask = asks[self.asked];
        if !self.told {
            connection.ask(ask, &ask.request(connection.machine, false))?;
            self.told = true;
            return Ok(false);
        }
        let answered = connection.is_answered()?;
        if answered {
            self.asked += 1;
            self.connection = None;
        }
        Ok(answered)
    }
}
