//! The load: machines behind a relay, which is us. A codec of its own, no larger than this needs.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

use nix::sys::socket::{setsockopt, sockopt};

use crate::wire::{RELAY, SERVER, machine_ip, machine_mac};

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

    /// Another server is asked from now on, which gives addresses from there.
    pub(crate) fn turn(&self, from: From) {
        *self.from.borrow_mut() = from;
        self.given.borrow_mut().clear();
    }

    /// Each machine gets its first address, as many at once as no queue loses; what that took.
    pub(crate) fn enrol(&self, machines: u32) -> io::Result<Duration> {
        self.socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let start = Instant::now();
        let mut buffer = [0; 1500];
        while self.given.borrow().len() < machines as usize {
            if start.elapsed() > ENROLMENT {
                let left = machines as usize - self.given.borrow().len();
                return Err(io::Error::other(format!("{left} of {machines} machines got no address")));
            }
            let have: Vec<u32> = self.given.borrow().values().copied().collect();
            let mut missing = vec![true; machines as usize];
            have.into_iter().for_each(|machine| missing[machine as usize] = false);
            let some: Vec<u32> = (0..machines).filter(|n| missing[*n as usize]).take(1000).collect();
            for machine in &some {
                self.socket.send(&message(DISCOVER, *machine, *machine, None))?;
            }
            let (sent, mut left) = (Instant::now(), some.len());
            while left > 0 && sent.elapsed() < LOST {
                let Ok(length) = self.socket.recv(&mut buffer) else { continue };
                match self.reply(&buffer[..length]) {
                    // One that came late for the loop before has another transaction than its machine's number.
                    Some((OFFER, xid, ip)) if xid < machines => {
                        self.socket.send(&message(REQUEST, xid, xid, Some(ip)))?;
                    }
                    Some((ACK, ..)) => left = left.saturating_sub(1),
                    _ => (),
                }
            }
        }
        Ok(start.elapsed())
    }

    /// DISCOVER, OFFER, REQUEST, ACK, again and again, 64 machines at a time.
    pub(crate) fn run(&self, machines: u32, length: Duration) -> io::Result<Loop> {
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let end = Instant::now() + length;
        let (mut seen, mut next) = (Loop::default(), 0u32);
        let mut slots = [(0u32, 0u32, Instant::now()); IN_FLIGHT];
        let mut round = 0u32;
        let mut begin = |slot: usize, next: &mut u32| -> io::Result<(u32, u32, Instant)> {
            let machine = *next;
            *next = (*next + 1) % machines;
            round = round.wrapping_add(1) & 0x00ff_ffff;
            let xid = round << 8 | slot as u32;
            self.socket.send(&message(DISCOVER, xid, machine, None))?;
            Ok((machine, xid, Instant::now()))
        };
        for (slot, state) in slots.iter_mut().enumerate() {
            *state = begin(slot, &mut next)?;
        }
        let mut buffer = [0; 1500];
        let mut looked = Instant::now();
        while Instant::now() < end {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let Some((kind, xid, ip)) = self.reply(&buffer[..length]) else { continue };
                    let slot = (xid & 0xff) as usize;
                    let Some(&(machine, wanted, _)) = slots.get(slot).filter(|state| state.1 == xid) else {
                        continue;
                    };
                    match kind {
                        OFFER => drop(self.socket.send(&message(REQUEST, wanted, machine, Some(ip)))?),
                        ACK => {
                            seen.doras += 1;
                            slots[slot] = begin(slot, &mut next)?;
                        }
                        _ => (),
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error),
            }
            if looked.elapsed() > Duration::from_millis(100) {
                looked = Instant::now();
                for (slot, state) in slots.iter_mut().enumerate() {
                    if state.2.elapsed() > LOST {
                        seen.lost += 1;
                        *state = begin(slot, &mut next)?;
                    }
                }
            }
        }
        Ok(seen)
    }

    /// A DISCOVER of each of `count` machines, all at once.
    pub(crate) fn burst(&self, first: u32, count: u32) -> io::Result<Burst> {
        self.socket.set_nonblocking(true)?;
        let mut buffer = [0; 1500];
        while self.socket.recv(&mut buffer).is_ok() {}
        let start = Instant::now();
        let mut sent = vec![start; count as usize];
        let mut seen = Burst::default();
        let mut answered = vec![false; count as usize];
        for n in 0..count {
            sent[n as usize] = Instant::now();
            self.socket.send(&message(DISCOVER, n, first + n, None))?;
        }
        seen.sent_in = start.elapsed();
        while seen.offers < count as usize && start.elapsed() < Duration::from_secs(10) {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let Some((OFFER, xid, _)) = self.reply(&buffer[..length]) else { continue };
            let at = xid as usize;
            if at < answered.len() && !std::mem::replace(&mut answered[at], true) {
                seen.offers += 1;
                seen.slowest = seen.slowest.max(sent[at].elapsed());
            }
        }
        Ok(seen)
    }

    /// A reply, whose address must be the one that its machine has.
    fn reply(&self, bytes: &[u8]) -> Option<(u8, u32, Ipv4Addr)> {
        let (kind, xid, machine, ip) = reply(bytes)?;
        let reserved = *self.from.borrow() == From::Reservations;
        let right = kind == NAK || !reserved || ip == machine_ip(machine);
        assert!(right, "{ip} is not the address of machine {machine}");
        if kind == ACK {
            let owner = *self.given.borrow_mut().entry(ip).or_insert(machine);
            assert!(owner == machine, "{ip} was given to machine {machine}, and {owner} has it");
        }
        Some((kind, xid, ip))
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
