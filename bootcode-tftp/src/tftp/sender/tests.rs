//! Golden scripts: what goes in and comes out, with a virtual clock.

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

#[test]
fn lock_step_without_options_is_rfc_1350() {
    let (mut script, sent) = Script::start(NONE, 1000);
    assert_eq!(sent, "1@0+512");
    assert_eq!(script.ack(1, MS), "2@512+488");
    assert_eq!(script.ack(2, MS), "Finished");
    assert_eq!(script.sender.poll_timeout(), None);
    assert_eq!(script.sender.resent(), 0);
}

#[test]
fn a_file_of_whole_blocks_ends_with_an_empty_block_and_an_empty_file_is_one() {
    let (mut script, _) = Script::start(NONE, 512);
    assert_eq!(script.ack(1, MS), "2@512+0");
    assert_eq!(script.ack(2, MS), "Finished");
    assert_eq!(Script::start(NONE, 0).1, "1@0+0");
}

#[test]
fn options_are_acknowledged_with_block_zero_before_the_first_block() {
    let (mut script, sent) = Script::start(window(4, 1000), 2500);
    assert_eq!(sent, "OACK");
    assert_eq!(script.ack(1, MS), "", "only block 0 acknowledges options");
    assert_eq!(script.ack(0, MS), "1@0+1000 2@1000+1000 3@2000+500");
    assert_eq!(script.ack(3, MS), "Finished");
}

#[test]
fn a_lost_oack_is_sent_again() {
    let (mut script, _) = Script::start(window(4, 1000), 10);
    assert_eq!(script.timeout().0, "OACK");
    assert_eq!(script.ack(0, MS), "1@0+10");
}

#[test]
fn a_duplicate_acknowledgement_in_lock_step_sends_nothing() {
    let (mut script, _) = Script::start(NONE, 5000);
    assert_eq!(script.ack(1, MS), "2@512+512");
    for _ in 0..100 {
        assert_eq!(script.ack(1, MS), "");
    }
    assert_eq!(script.ack(2, MS), "3@1024+512");
}

#[test]
fn wild_acknowledgements_send_nothing() {
    let (mut script, _) = Script::start(NONE, 5000);
    script.ack(1, MS);
    for block in [0, 3, 4, 9, 1000, 32768, 65535] {
        assert_eq!(script.ack(block, MS), "", "{block}");
    }
    assert_eq!(script.packet(&Packet::Data { block: 2, payload: b"x" }, MS), "");
    assert_eq!(script.packet(&Packet::Oack(NONE), MS), "");
    assert_eq!(script.ack(2, MS), "3@1024+512");
}

#[test]
fn a_gap_sends_everything_behind_it_again() {
    let (mut script, _) = Script::start(window(4, 10), 1000);
    assert_eq!(script.ack(0, MS), "1@0+10 2@10+10 3@20+10 4@30+10");
    assert_eq!(script.ack(2, MS), "3@20+10 4@30+10 5@40+10 6@50+10");
    assert_eq!(script.sender.resent(), 2);
    assert_eq!(script.ack(6, MS), "7@60+10 8@70+10 9@80+10 10@90+10");
}

#[test]
fn a_gap_at_the_windows_first_block_sends_the_window_again_once() {
    let (mut script, _) = Script::start(window(2, 10), 1000);
    script.ack(0, 5 * MS);
    assert_eq!(script.ack(2, 5 * MS), "3@20+10 4@30+10");
    assert_eq!(script.ack(2, MS), "", "too early to be an answer to block 3");
    assert_eq!(script.ack(2, 5 * MS), "3@20+10 4@30+10");
    for _ in 0..100 {
        assert_eq!(script.ack(2, 5 * MS), "", "once a window: the timer is the rest");
    }
    assert_eq!(script.timeout().0, "3@20+10 4@30+10");
}

#[test]
fn silence_sends_the_window_again_with_growing_waits_and_ends() {
    let (mut script, _) = Script::start(window(2, 10), 1000);
    assert_eq!(script.ack(0, 4 * MS), "1@0+10 2@10+10");
    let started = script.now;
    let mut waits = Vec::new();
    loop {
        let (sent, waited) = script.timeout();
        waits.push(waited);
        if sent != "1@0+10 2@10+10" {
            assert_eq!(sent, "TimedOut");
            break;
        }
    }
    assert!(waits[0] >= 50 * MS && waits[0] < 60 * MS, "{waits:?}");
    assert!(waits.windows(2).take(5).all(|pair| pair[1] > pair[0] * 3 / 2), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(4500)), "{waits:?}");
    assert!(script.now - started >= Duration::from_secs(30));
    assert!(waits.len() < 20, "{waits:?}");
}

#[test]
fn the_first_wait_without_a_measured_round_trip_is_half_a_second_and_a_measured_one_shortens_it() {
    let (mut script, _) = Script::start(NONE, 100_000);
    let (sent, waited) = script.timeout();
    assert_eq!(sent, "1@0+512");
    assert!(waited >= 500 * MS && waited < 570 * MS, "{waited:?}");
    script.ack(1, MS);
    for block in 2..10 {
        script.ack(block, 40 * MS);
    }
    let (_, waited) = script.timeout();
    assert!(waited > 50 * MS && waited < 150 * MS, "{waited:?}");
}

#[test]
fn the_clients_timeout_bounds_the_wait() {
    let (mut script, _) = Script::start(Options { timeout: Some(1), ..NONE }, 100);
    for _ in 0..5 {
        assert!(script.timeout().1 <= 1125 * MS);
    }
}

#[test]
fn an_error_of_the_client_ends_at_once() {
    let (mut script, _) = Script::start(NONE, 5000);
    let error = Packet::Error { code: 3, message: b"disk full" };
    assert_eq!(script.packet(&error, MS), "Aborted { code: Some(3) }");
    assert_eq!(script.ack(1, MS), "Aborted { code: Some(3) }");
    assert_eq!(script.sender.poll_timeout(), None);
}

#[test]
fn asking_for_the_size_and_leaving_is_a_probe_but_not_after_the_first_acknowledgement() {
    let size = Options { tsize: Some(0), ..window(4, 1468) };
    let abort = Packet::Error { code: 8, message: b"User aborted" };
    let (mut script, _) = Script::start(size, 5000);
    assert_eq!(script.packet(&abort, MS), "Probed");
    let (mut script, _) = Script::start(size, 5000);
    script.ack(0, MS);
    assert_eq!(script.packet(&abort, MS), "Aborted { code: Some(8) }");
    let (mut script, _) = Script::start(window(4, 1468), 5000);
    assert_eq!(script.packet(&abort, MS), "Aborted { code: Some(8) }", "the size was not asked for");
}

#[test]
fn the_block_number_wraps_to_zero_and_offsets_go_on() {
    let (mut script, _) = Script::start(window(1, 8), 8 * 70_000);
    script.ack(0, MS);
    for block in 1..=65_534u16 {
        script.ack(block, MS);
    }
    assert_eq!(script.ack(65_535, MS), "0@524280+8");
    assert_eq!(script.ack(0, MS), "1@524288+8");
    assert_eq!(script.sender.resent(), 0);
}

#[test]
fn a_window_across_the_wrap_is_acknowledged_inside_of_it() {
    let (mut script, _) = Script::start(window(4, 8), 8 * 70_000);
    let mut sent = script.ack(0, MS);
    for end in (4..=65_532u16).step_by(4) {
        sent = script.ack(end, MS);
    }
    assert_eq!(sent, "65533@524256+8 65534@524264+8 65535@524272+8 0@524280+8");
    assert_eq!(script.ack(65_534, MS), "65535@524272+8 0@524280+8 1@524288+8 2@524296+8");
    assert_eq!(script.ack(0, MS), "1@524288+8 2@524296+8 3@524304+8 4@524312+8");
}

#[test]
fn a_closed_port_ends_at_once() {
    let (mut script, _) = Script::start(NONE, 5000);
    script.sender.handle_unreachable();
    assert_eq!(script.sender.outcome(), Some(Outcome::Aborted { code: None }));
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
