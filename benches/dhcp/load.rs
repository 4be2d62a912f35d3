//! The load: machines behind a relay, which is us. A codec of its own, no larger than this needs.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

use nix::sys::socket::{setsockopt, sockopt};

use crate::{
    batch::{Received, send},
    wire::{RELAY, SERVER, machine_ip, machine_mac},
};

const IN_FLIGHT: usize = 64;
/// After this a question counts as lost.
const LOST: Duration = Duration::from_secs(1);
const ENROLMENT: Duration = Duration::from_secs(120);
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// What a closed loop saw.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Loop {
    pub(crate) doras: u64,
    pub(crate) lost: u64,
}

/// What a burst saw.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Burst {
    pub(crate) sent_in: Duration,
    pub(crate) offers: usize,
    pub(crate) slowest: Duration,
}

/// Where machines have their addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Reservations,
    /// Whatever is offered; no address may be two machines'.
    Pool,
}

pub(crate) struct Load {
    socket: UdpSocket,
    from: RefCell<From>,
    /// Who was acknowledged which address.
    given: RefCell<HashMap<Ipv4Addr, u32>>,
}

impl Load {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddrV4::new(RELAY, 67))?;
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20))?;
        setsockopt(&socket, sockopt::SndBuf, &(4 << 20))?;
        socket.connect(SocketAddrV4::new(SERVER, 67))?;
        Ok(Self { socket, from: RefCell::new(From::Reservations), given: RefCell::default() })
    }

    /// Another server is asked from now on, which gives addresses from there. What the one before said last is nobody's any more.
    pub(crate) fn turn(&self, from: From) -> io::Result<()> {
        self.quiet()?;
        *self.from.borrow_mut() = from;
        self.given.borrow_mut().clear();
        Ok(())
    }

    /// Waits until nothing more comes.
    fn quiet(&self) -> io::Result<()> {
        self.socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut inbox = Received::new();
        loop {
            match inbox.fill(&self.socket) {
                Ok(()) if inbox.datagrams().next().is_none() => return Ok(()),
                // A server that is gone says so by ICMP.
                Ok(()) | Err(_) => (),
            }
        }
    }

    /// Each machine gets its first address, as many at once as no queue loses; what that took.
    pub(crate) fn enrol(&self, machines: u32) -> io::Result<Duration> {
        self.socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let start = Instant::now();
        let (mut inbox, mut out) = (Received::new(), Vec::new());
        while self.given.borrow().len() < machines as usize {
            if start.elapsed() > ENROLMENT {
                let left = machines as usize - self.given.borrow().len();
                return Err(io::Error::other(format!("{left} of {machines} machines got no address")));
            }
            let mut missing = vec![true; machines as usize];
            self.given.borrow().values().for_each(|machine| missing[*machine as usize] = false);
            let some = (0..machines).filter(|n| missing[*n as usize]).take(1000);
            out.extend(some.map(|machine| message(DISCOVER, machine, machine, None)));
            let (sent, mut left) = (Instant::now(), out.len());
            while left > 0 && sent.elapsed() < LOST {
                send(&self.socket, &mut out)?;
                inbox.fill(&self.socket)?;
                for bytes in inbox.datagrams() {
                    match self.reply(bytes)? {
                        // One that came late for the loop before has another transaction than its machine's number.
                        Some((OFFER, xid, ip)) if xid < machines => {
                            out.push(message(REQUEST, xid, xid, Some(ip)));
                        }
                        Some((ACK, ..)) => left = left.saturating_sub(1),
                        _ => (),
                    }
                }
            }
        }
        Ok(start.elapsed())
    }

    /// DISCOVER, OFFER, REQUEST, ACK, again and again, 64 machines at a time.
    pub(crate) fn run(&self, machines: u32, length: Duration) -> io::Result<Loop> {
        self.socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let end = Instant::now() + length;
        let (mut seen, mut next, mut round) = (Loop::default(), 0u32, 0u32);
        let (mut inbox, mut out) = (Received::new(), Vec::with_capacity(IN_FLIGHT));
        let mut begin = |slot: usize, out: &mut Vec<Vec<u8>>| -> (u32, u32, Instant) {
            let machine = next;
            next = (next + 1) % machines;
            round = round.wrapping_add(1) & 0x00ff_ffff;
            let xid = round << 8 | slot as u32;
            out.push(message(DISCOVER, xid, machine, None));
            (machine, xid, Instant::now())
        };
        let mut slots: Vec<_> = (0..IN_FLIGHT).map(|slot| begin(slot, &mut out)).collect();
        let mut looked = Instant::now();
        while Instant::now() < end {
            send(&self.socket, &mut out)?;
            inbox.fill(&self.socket)?;
            for bytes in inbox.datagrams() {
                let Some((kind, xid, ip)) = self.reply(bytes)? else { continue };
                let slot = (xid & 0xff) as usize;
                let Some(&(machine, wanted, _)) = slots.get(slot).filter(|state| state.1 == xid) else {
                    continue;
                };
                match kind {
                    OFFER => out.push(message(REQUEST, wanted, machine, Some(ip))),
                    ACK => {
                        seen.doras += 1;
                        slots[slot] = begin(slot, &mut out);
                    }
                    _ => (),
                }
            }
            if looked.elapsed() > Duration::from_millis(100) {
                looked = Instant::now();
                for (slot, state) in slots.iter_mut().enumerate() {
                    if state.2.elapsed() > LOST {
                        seen.lost += 1;
                        *state = begin(slot, &mut out);
                    }
                }
            }
        }
        Ok(seen)
    }

    /// A DISCOVER of each of `count` machines, all at once.
    pub(crate) fn burst(&self, first: u32, count: u32) -> io::Result<Burst> {
        self.quiet()?;
        let mut inbox = Received::new();
        let start = Instant::now();
        let mut sent = Vec::with_capacity(count as usize);
        let mut seen = Burst::default();
        let mut answered = vec![false; count as usize];
        let mut out = Vec::with_capacity(IN_FLIGHT);
        for n in 0..count {
            out.push(message(DISCOVER, n, first + n, None));
            if out.len() == IN_FLIGHT || n + 1 == count {
                sent.resize(n as usize + 1, Instant::now());
                send(&self.socket, &mut out)?;
            }
        }
        seen.sent_in = start.elapsed();
        while seen.offers < count as usize && start.elapsed() < Duration::from_secs(10) {
            inbox.fill(&self.socket)?;
            for bytes in inbox.datagrams() {
                let Some((OFFER, xid, _)) = self.reply(bytes)? else { continue };
                let at = xid as usize;
                if at < answered.len() && !std::mem::replace(&mut answered[at], true) {
                    seen.offers += 1;
                    seen.slowest = seen.slowest.max(sent[at].elapsed());
                }
            }
        }
        Ok(seen)
    }

    /// A reply, whose address must be the one that its machine has.
    fn reply(&self, bytes: &[u8]) -> io::Result<Option<(u8, u32, Ipv4Addr)>> {
        let Some((kind, xid, machine, ip)) = reply(bytes) else { return Ok(None) };
        let reserved = *self.from.borrow() == From::Reservations;
        if kind != NAK && reserved && ip != machine_ip(machine) {
            return Err(io::Error::other(format!("{ip} is not the address of machine {machine}")));
        }
        if kind == ACK {
            let owner = *self.given.borrow_mut().entry(ip).or_insert(machine);
            if owner != machine {
                let text = format!("{ip} was given to machine {machine}, and machine {owner} has it");
                return Err(io::Error::other(text));
            }
        }
        Ok(Some((kind, xid, ip)))
    }
}

/// A UEFI machine's request (RFC 2131 2), through the relay.
fn message(kind: u8, xid: u32, machine: u32, ip: Option<Ipv4Addr>) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..4].copy_from_slice(&[1, 1, 6, 1]);
    bytes[4..8].copy_from_slice(&xid.to_be_bytes());
    bytes[24..28].copy_from_slice(&RELAY.octets());
    bytes[28..34].copy_from_slice(&machine_mac(machine));
    bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
    bytes.extend_from_slice(&[53, 1, kind]);
    if let Some(ip) = ip {
        bytes.extend_from_slice(&[50, 4]);
        bytes.extend_from_slice(&ip.octets());
        bytes.extend_from_slice(&[54, 4]);
        bytes.extend_from_slice(&SERVER.octets());
    }
    bytes.extend_from_slice(&[
        57, 2, 5, 192, 93, 2, 0, 7, 94, 3, 1, 3, 16, 55, 8, 1, 3, 6, 12, 15, 43, 66, 67, 60, 32,
    ]);
    bytes.extend_from_slice(b"PXEClient:Arch:00007:UNDI:003016");
    bytes.push(255);
    bytes
}

/// The message type, the transaction, the machine and the address of a reply.
fn reply(bytes: &[u8]) -> Option<(u8, u32, u32, Ipv4Addr)> {
    let mut options = bytes.get(240..).filter(|_| bytes[0] == 2)?;
    let xid = u32::from_be_bytes(bytes[4..8].try_into().ok()?);
    let machine = u32::from_be_bytes(bytes[30..34].try_into().ok()?);
    let ip = Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]);
    while let [code, length, tail @ ..] = options {
        let (value, rest) = tail.split_at_checked(usize::from(*length))?;
        if let (53, [kind]) = (*code, value) {
            return Some((*kind, xid, machine, ip));
        }
        options = rest;
    }
    None
}
