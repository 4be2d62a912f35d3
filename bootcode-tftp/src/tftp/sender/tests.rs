//! Golden scripts by RFC, with a virtual clock: what goes in and comes out.

mod rfc1350;
mod rfc2347;
mod rfc2348;
mod rfc2349;
mod rfc7440;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Outcome, Sender, Transmit};
use crate::tftp::{Mode, Options, Packet, Request, Terms};

const MS: Duration = Duration::from_millis(1);

/// A sender and its clock; every method returns what was sent, as text.
struct Script {
    sender: Sender,
    now: Instant,
}

impl Script {
    fn start(options: Options, len: u64) -> (Self, String) {
        let terms = Terms::agree(&Request { filename: b"f", mode: Some(Mode::Octet), options }, len);
        let now = Instant::now();
        let mut script = Self { sender: Sender::new(terms, 1, now), now };
        let sent = script.sent();
        (script, sent)
    }

    fn sent(&mut self) -> String {
        let mut sent = Vec::new();
        while let Some(transmit) = self.sender.poll_transmit(self.now) {
            sent.push(match transmit {
                Transmit::Oack => "OACK".to_owned(),
                Transmit::Data { block, offset, len } => format!("{block}@{offset}+{len}"),
            });
        }
        if let Some(outcome) = self.sender.outcome() {
            sent.push(format!("{outcome:?}"));
        }
        sent.join(" ")
    }

    /// An acknowledgement that arrives `after` the last thing that happened.
    fn ack(&mut self, block: u16, after: Duration) -> String {
        self.packet(&Packet::Ack { block }, after)
    }

    fn packet(&mut self, packet: &Packet<'_>, after: Duration) -> String {
        self.now += after;
        self.sender.handle(packet, self.now);
        self.sent()
    }

    /// Waits for the timer; returns what was sent and after how long.
    fn timeout(&mut self) -> (String, Duration) {
        let deadline = self.sender.poll_timeout().expect("a timer runs");
        let waited = deadline - self.now;
        self.now = deadline;
        self.sender.handle_timeout(self.now);
        (self.sent(), waited)
    }
}

const NONE: Options = Options { blksize: None, timeout: None, tsize: None, windowsize: None };

fn window(windowsize: u64, blksize: u64) -> Options {
    Options { windowsize: Some(windowsize), blksize: Some(blksize), ..NONE }
}

/// A client by RFC 7440: acknowledges the window's last block, a gap at once, and repeats after a silence of 1 s.
struct Client {
    blksize: u64,
    windowsize: u64,
    expected: u64,
    window_start: u64,
    received: Vec<u8>,
    complete: bool,
    repeat_at: Instant,
    oack: bool,
}

impl Client {
    fn data(&mut self, block: u16, payload: &[u8]) -> Option<u16> {
        if block != (self.expected & 0xffff) as u16 {
            // A gap or an old block: say once what was received, and count the window from there.
            self.window_start = self.expected - 1;
            return Some((self.window_start & 0xffff) as u16);
        }
        if !self.complete {
            self.received.extend_from_slice(payload);
        }
        self.complete |= (payload.len() as u64) < self.blksize;
        self.expected += 1;
        let last = self.expected - 1;
        (self.complete || last - self.window_start >= self.windowsize).then(|| {
            self.window_start = last;
            (last & 0xffff) as u16
        })
    }
}

/// Fates of packets, drawn from a seed.
struct Link(u64);

impl Link {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// The delays of the copies that arrive: none, one or two, in any order.
    fn copies(&mut self, loss_percent: u64) -> Vec<Duration> {
        let count =
            if self.draw(100) < loss_percent { 0 } else { 1 + u64::from(self.draw(100) < loss_percent / 2) };
        (0..count).map(|_| Duration::from_micros(500 + self.draw(3000))).collect()
    }
}

enum Flight {
    Oack,
    Data(u16, Vec<u8>),
    Ack(u16),
}

/// Plays one transfer over a bad link; returns what arrived, what was sent in blocks, and how long it took.
fn simulate(
    file: &[u8],
    blksize: u64,
    windowsize: u64,
    loss_percent: u64,
    seed: u64,
) -> (Vec<u8>, u64, Option<Outcome>) {
    let start = Instant::now();
    let request = Request { filename: b"f", mode: Some(Mode::Octet), options: window(windowsize, blksize) };
    let terms = Terms::agree(&request, file.len() as u64);
    let mut sender = Sender::new(terms, seed, start);
    let mut client = Client {
        blksize,
        windowsize: terms.windowsize,
        expected: 1,
        window_start: 0,
        received: Vec::new(),
        complete: false,
        repeat_at: start + 1000 * MS,
        oack: false,
    };
    let (mut link, mut now, mut sequence, mut blocks) = (Link(seed), start, 0u64, 0);
    let mut flights = std::collections::BTreeMap::<(Instant, u64), Flight>::new();
    while sender.outcome().is_none() {
        while let Some(transmit) = sender.poll_transmit(now) {
            for delay in link.copies(loss_percent) {
                sequence += 1;
                let flight = match transmit {
                    Transmit::Oack => Flight::Oack,
                    Transmit::Data { block, offset, len } => {
                        let start = usize::try_from(offset).unwrap();
                        Flight::Data(block, file[start..start + len].to_vec())
                    }
                };
                flights.insert((now + delay, sequence), flight);
            }
            blocks += u64::from(transmit != Transmit::Oack);
        }
        let timer = sender.poll_timeout().expect("an open transfer has a timer");
        let arrival = flights.first_key_value().map(|((at, _), _)| *at);
        let next = [Some(timer), arrival, Some(client.repeat_at)].into_iter().flatten().min().unwrap();
        now = now.max(next);
        let mut answer = None;
        if arrival == Some(next) {
            match flights.pop_first().unwrap().1 {
                Flight::Ack(block) => sender.handle(&Packet::Ack { block }, now),
                Flight::Oack => {
                    client.oack = true;
                    answer = (client.expected == 1).then_some(0);
                }
                Flight::Data(..) if !client.oack => {}
                Flight::Data(block, payload) => answer = client.data(block, &payload),
            }
        } else if client.repeat_at == next {
            client.repeat_at = now + 1000 * MS;
            client.window_start = client.expected - 1;
            answer = client.oack.then_some((client.window_start & 0xffff) as u16);
        } else {
            sender.handle_timeout(now);
        }
        if let Some(block) = answer {
            client.repeat_at = now + 1000 * MS;
            for delay in link.copies(loss_percent) {
                sequence += 1;
                flights.insert((now + delay, sequence), Flight::Ack(block));
            }
        }
    }
    (client.received, blocks, sender.outcome())
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

#[test]
fn without_loss_nothing_is_sent_twice() {
    // Delays reorder nothing here: one block in flight at a time.
    let file = content(100_000);
    let (received, blocks, outcome) = simulate(&file, 512, 1, 0, 7);
    assert_eq!((received == file, blocks, outcome), (true, 196, Some(Outcome::Finished)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn loss_duplication_and_reordering_deliver_the_same_bytes_with_bounded_resends(
        len in 0usize..40_000, blksize in 64u64..1500, windowsize in 1u64..20, loss in 0u64..25, seed: u64,
    ) {
        let file = content(len);
        let (received, blocks, outcome) = simulate(&file, blksize, windowsize, loss, seed);
        prop_assert_eq!(outcome, Some(Outcome::Finished));
        prop_assert!(received == file, "other bytes arrived");
        let least = len as u64 / blksize + 1;
        prop_assert!(blocks <= least * (windowsize + 2) * 4 + 200, "{} blocks for {}", blocks, least);
    }

    #[test]
    fn any_packets_keep_offsets_inside_the_file_and_the_transfer_ends(
        len in 0u64..100_000, blksize in 0u64..2000, windowsize in 0u64..100,
        operations in prop::collection::vec((0u8..4, any::<u16>(), 0u64..2000), 0..200),
    ) {
        let (mut script, _) = Script::start(window(windowsize, blksize), len);
        for (kind, number, millis) in operations {
            script.now += Duration::from_millis(millis);
            match kind {
                0 => script.sender.handle(&Packet::Ack { block: number }, script.now),
                1 => script.sender.handle(&Packet::Ack { block: number % 64 }, script.now),
                2 => script.sender.handle_timeout(script.now),
                _ => script.sender.handle(&Packet::Data { block: number, payload: &[] }, script.now),
            }
            let mut sent = 0;
            while let Some(transmit) = script.sender.poll_transmit(script.now) {
                sent += 1;
                prop_assert!(sent <= 64, "more than a window at once");
                if let Transmit::Data { offset, len: block, .. } = transmit {
                    prop_assert!(offset + block as u64 <= len);
                }
            }
        }
        for _ in 0..100 {
            let Some(deadline) = script.sender.poll_timeout() else { break };
            script.now = deadline;
            script.sender.handle_timeout(deadline);
            while script.sender.poll_transmit(deadline).is_some() {}
        }
        prop_assert!(script.sender.outcome().is_some(), "silence does not end it");
    }
}
