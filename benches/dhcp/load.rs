//! The load: machines behind a relay, which is us. A codec of its own, no larger than this needs.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

use nix::sys::socket::{setsockopt, sockopt};

use crate::wire::{RELAY, SERVER, machine_ip, machine_mac};

const IN_FLIGHT: usize = 64;
/// After this a question counts as lost.
const LOST: Duration = Duration::from_secs(1);
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;

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

pub(crate) struct Load(UdpSocket);

impl Load {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddrV4::new(RELAY, 67))?;
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20))?;
        setsockopt(&socket, sockopt::SndBuf, &(4 << 20))?;
        socket.connect(SocketAddrV4::new(SERVER, 67))?;
        Ok(Self(socket))
    }

    /// DISCOVER, OFFER, REQUEST, ACK, again and again, 64 machines at a time.
    pub(crate) fn run(&self, machines: u32, length: Duration) -> io::Result<Loop> {
        self.0.set_nonblocking(false)?;
        self.0.set_read_timeout(Some(Duration::from_millis(50)))?;
        let end = Instant::now() + length;
        let (mut seen, mut next) = (Loop::default(), 0u32);
        let mut slots = [(0u32, 0u32, Instant::now()); IN_FLIGHT];
        let mut round = 0u32;
        let mut begin = |slot: usize, next: &mut u32| -> io::Result<(u32, u32, Instant)> {
            let machine = *next;
            *next = (*next + 1) % machines;
            round = round.wrapping_add(1) & 0x00ff_ffff;
            let xid = round << 8 | slot as u32;
            self.0.send(&message(DISCOVER, xid, machine))?;
            Ok((machine, xid, Instant::now()))
        };
        for (slot, state) in slots.iter_mut().enumerate() {
            *state = begin(slot, &mut next)?;
        }
        let mut buffer = [0; 1500];
        let mut looked = Instant::now();
        while Instant::now() < end {
            match self.0.recv(&mut buffer) {
                Ok(length) => {
                    let Some((kind, xid)) = reply(&buffer[..length]) else { continue };
                    let slot = (xid & 0xff) as usize;
                    let Some(&(machine, wanted, _)) = slots.get(slot).filter(|state| state.1 == xid) else {
                        continue;
                    };
                    match kind {
                        OFFER => drop(self.0.send(&message(REQUEST, wanted, machine))?),
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
        self.0.set_nonblocking(true)?;
        let mut buffer = [0; 1500];
        while self.0.recv(&mut buffer).is_ok() {}
        let start = Instant::now();
        let mut sent = vec![start; count as usize];
        let mut seen = Burst::default();
        let mut answered = vec![false; count as usize];
        for n in 0..count {
            sent[n as usize] = Instant::now();
            self.0.send(&message(DISCOVER, n, first + n))?;
        }
        seen.sent_in = start.elapsed();
        while seen.offers < count as usize && start.elapsed() < Duration::from_secs(10) {
            let Ok(length) = self.0.recv(&mut buffer) else { continue };
            let Some((OFFER, xid)) = reply(&buffer[..length]) else { continue };
            let at = xid as usize;
            if at < answered.len() && !std::mem::replace(&mut answered[at], true) {
                seen.offers += 1;
                seen.slowest = seen.slowest.max(sent[at].elapsed());
            }
        }
        Ok(seen)
    }
}

/// A UEFI machine's request (RFC 2131 2), through the relay.
fn message(kind: u8, xid: u32, machine: u32) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..4].copy_from_slice(&[1, 1, 6, 1]);
    bytes[4..8].copy_from_slice(&xid.to_be_bytes());
    bytes[24..28].copy_from_slice(&RELAY.octets());
    bytes[28..34].copy_from_slice(&machine_mac(machine));
    bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
    bytes.extend_from_slice(&[53, 1, kind]);
    if kind == REQUEST {
        bytes.extend_from_slice(&[50, 4]);
        bytes.extend_from_slice(&machine_ip(machine).octets());
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

/// The message type and the transaction of a reply.
fn reply(bytes: &[u8]) -> Option<(u8, u32)> {
    let mut options = bytes.get(240..).filter(|_| bytes[0] == 2)?;
    let xid = u32::from_be_bytes(bytes[4..8].try_into().ok()?);
    let mac: [u8; 6] = bytes[28..34].try_into().ok()?;
    let ip = Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]);
    while let [code, length, tail @ ..] = options {
        let (value, rest) = tail.split_at_checked(usize::from(*length))?;
        if let (53, [kind]) = (*code, value) {
            let machine = u32::from_be_bytes([mac[2], mac[3], mac[4], mac[5]]);
            assert!(*kind == 6 || ip == machine_ip(machine), "{ip} is not the address of machine {machine}");
            return Some((*kind, xid));
        }
        options = rest;
    }
    None
}
