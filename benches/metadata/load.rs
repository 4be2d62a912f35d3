//! The load: 64 connections that are kept, each for a hundred questions of one machine; the next one is another machine's.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::{ask::Ask, connection::Connection};

const CONNECTIONS: usize = 64;
const QUESTIONS: u32 = 100;
/// Apart enough that neighbours in memory are not asked about one after the other.
const STRIDE: u32 = 7919;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) took: Duration,
    /// Of each answer, in us, from when it was due to be asked.
    latencies: Vec<u32>,
}

impl Seen {
    pub(crate) fn answers(&self) -> f64 {
        self.latencies.len() as f64
    }

    pub(crate) fn per_s(&self) -> f64 {
        self.answers() / self.took.as_secs_f64()
    }

    /// Milliseconds that this part of the answers came within.
    pub(crate) fn within_ms(&mut self, part: f64) -> f64 {
        let at = ((self.latencies.len() as f64 * part) as usize).min(self.latencies.len().saturating_sub(1));
        let (_, found, _) = self.latencies.select_nth_unstable(at);
        f64::from(*found) / 1000.0
    }
}

/// Who asks whom what.
pub(crate) struct Load<'a> {
    target: SocketAddrV4,
    asks: &'a [Ask],
    requests: Vec<Vec<u8>>,
    machines: u32,
    machine: u32,
    turn: usize,
    epoll: Epoll,
}

struct Slot {
    connection: Connection,
    left: u32,
    due: Instant,
}

impl<'a> Load<'a> {
    pub(crate) fn new(target: SocketAddrV4, asks: &'a [Ask], machines: u32) -> io::Result<Self> {
        let requests = asks.iter().map(|ask| ask.request(0, true)).collect();
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        Ok(Self { target, asks, requests, machines, machine: 0, turn: 0, epoll })
    }

    /// Each connection asks as soon as it was answered.
    pub(crate) fn closed(&mut self, length: Duration) -> io::Result<Seen> {
        let (mut slots, mut seen) = (self.slots()?, Seen::default());
        let start = Instant::now();
        for slot in &mut slots {
            self.ask(slot, Instant::now())?;
        }
        let mut events = [EpollEvent::empty(); CONNECTIONS];
        while start.elapsed() < length {
            for event in ready(&self.epoll, &mut events, 1000u16.into())? {
                let slot = &mut slots[event.data() as usize];
                if slot.connection.is_answered()? {
                    let now = Instant::now();
                    seen.latencies.push(micros(now - slot.due));
                    self.again(slot, event.data())?;
                    self.ask(slot, now)?;
                }
            }
        }
        seen.took = start.elapsed();
        Ok(seen)
    }

    /// So many are asked in a second, whether the ones before were answered or not; what waits for a connection has been asked already.
    pub(crate) fn open(&mut self, per_s: f64, length: Duration) -> io::Result<Seen> {
        let (mut slots, mut seen) = (self.slots()?, Seen::default());
        let (mut idle, mut waiting): (Vec<usize>, VecDeque<Instant>) =
            ((0..slots.len()).collect(), VecDeque::new());
        let (start, mut asked) = (Instant::now(), 0u32);
        let mut events = [EpollEvent::empty(); CONNECTIONS];
        loop {
            let now = Instant::now();
            if now - start > length && idle.len() == slots.len() {
                break;
            }
            let due_by = (now - start).min(length);
            while Duration::from_secs_f64(f64::from(asked) / per_s) <= due_by {
                waiting.push_back(start + Duration::from_secs_f64(f64::from(asked) / per_s));
                asked += 1;
            }
            while let Some(slot) = idle.pop_if(|_| !waiting.is_empty()) {
                let due = waiting.pop_front().unwrap_or(now);
                self.ask(&mut slots[slot], due)?;
            }
            // What is due next is sooner than a timer of the system.
            for event in ready(&self.epoll, &mut events, EpollTimeout::ZERO)? {
                let slot = &mut slots[event.data() as usize];
                if slot.connection.is_answered()? {
                    seen.latencies.push(micros(slot.due.elapsed()));
                    self.again(slot, event.data())?;
                    idle.push(event.data() as usize);
                }
            }
        }
        seen.took = start.elapsed();
        Ok(seen)
    }

    fn slots(&mut self) -> io::Result<Vec<Slot>> {
        (0..CONNECTIONS as u64)
            .map(|at| Ok(Slot { connection: self.connect(at)?, left: QUESTIONS, due: Instant::now() }))
            .collect()
    }

    fn connect(&mut self, at: u64) -> io::Result<Connection> {
        self.machine = (self.machine + STRIDE) % self.machines;
        let connection = Connection::open(self.target, self.machine)?;
        self.epoll.add(&connection.stream, EpollEvent::new(EpollFlags::EPOLLIN, at))?;
        Ok(connection)
    }

    fn ask(&mut self, slot: &mut Slot, due: Instant) -> io::Result<()> {
        self.turn = (self.turn + 1) % self.asks.len();
        slot.due = due;
        slot.connection.ask(self.asks[self.turn], &self.requests[self.turn])
    }

    /// After a hundred questions it is another machine's turn.
    fn again(&mut self, slot: &mut Slot, at: u64) -> io::Result<()> {
        slot.left -= 1;
        if slot.left == 0 {
            slot.connection = self.connect(at)?;
            slot.left = QUESTIONS;
        }
        Ok(())
    }
}

/// What happened, at most as many things as there is room for.
pub(crate) fn ready<'a>(
    epoll: &Epoll,
    events: &'a mut [EpollEvent],
    wait: EpollTimeout,
) -> io::Result<&'a [EpollEvent]> {
    match epoll.wait(events, wait) {
        Ok(count) => Ok(&events[..count]),
        Err(nix::Error::EINTR) => Ok(&[]),
        Err(error) => Err(error.into()),
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}
