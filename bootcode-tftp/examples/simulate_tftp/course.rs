//! One transfer, drawn from a seed, and the rules that it must keep.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bootcode_tftp::{
    limits,
    tftp::{Mode, Options, Outcome, Packet, Request, Sender, Terms, Transmit},
};

use crate::{
    client::{Client, Habit, Says},
    link::{Link, Random},
};

const REPEAT: Duration = Duration::from_secs(1);

/// One transfer.
pub(crate) struct Course {
    seed: u64,
    len: u64,
    options: Options,
    habit: Habit,
    link: Link,
}

enum Flight {
    Oack,
    Data(u16, Vec<u8>),
    Said(Says),
}

/// Blocks that were sent, and how many of them again.
type Sent = (u64, u64);

impl Course {
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let blksize = (!random.one_in(4)).then(|| match random.below(4) {
            0 => 8 + random.below(64),
            1 => 1468,
            2 => 65464,
            _ => 512 + random.below(1000),
        });
        let block = blksize.unwrap_or(512);
        // Every length near a block's edge, some past the counter's wrap.
        let blocks = if random.one_in(200) && block < 100 { 66_000 } else { random.below(120) };
        let len = (blocks * block + random.below(3)).saturating_sub(1);
        let windowsize = random.one_in(2).then(|| 1 + random.below(80));
        let some = |random: &mut Random| random.one_in(3);
        let options = Options {
            blksize,
            windowsize,
            tsize: some(&mut random).then_some(0),
            timeout: some(&mut random).then(|| 1 + random.below(9)),
        };
        let after = random.below(40);
        let habit = match random.below(10) {
            0 => Habit::Vanishes(after),
            1 => Habit::Aborts(after),
            2 if options.tsize.is_some() => Habit::Probes,
            3 => Habit::Twice,
            _ => Habit::Whole,
        };
        let clean = random.one_in(5);
        let link = Link {
            loss_percent: if clean { 0 } else { random.below(20) },
            double_percent: if clean { 0 } else { random.below(10) },
            delay_us: 50 + random.below(20_000),
            jitter_us: if clean { 0 } else { random.below(5_000) },
            troubles: 0,
            random,
        };
        Self { seed, len, options, habit, link }
    }

    /// Whether the link delivers everything once, in order.
    fn is_clean(&self) -> bool {
        self.link.loss_percent == 0 && self.link.double_percent == 0 && self.link.jitter_us == 0
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// The rule that was broken.
    pub(crate) fn play(mut self, tells: bool) -> Result<Sent, String> {
        let start = Instant::now();
        let file: Vec<u8> = (0..self.len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect();
        let request = Request { filename: b"f", mode: Some(Mode::Octet), options: self.options };
        let terms = Terms::agree(&request, self.len);
        let mut sender = Sender::new(terms, self.seed, start);
        let mut client = Client {
            habit: self.habit,
            blksize: terms.blksize,
            windowsize: terms.windowsize,
            expected: 1,
            window_start: 0,
            received: Vec::new(),
            is_complete: false,
            is_gone: false,
            is_open: terms.accepted.is_empty(),
            repeat_at: start + REPEAT,
            gaps: 0,
        };
        let (mut now, mut number, mut blocks, mut timeouts, mut acks) = (start, 0_u64, 0, 0, 0);
        let mut flights = BTreeMap::<(Instant, u64), Flight>::new();
        let mut heard = start;
        let say = |now: Instant, what: &str| {
            if tells {
                println!("{:>12.3} ms  {what}", (now - start).as_secs_f64() * 1e3);
            }
        };
        say(now, &format!("{} bytes, {:?}, {:?}, {:?}", self.len, self.options, self.habit, self.link));
        while sender.outcome().is_none() {
            let mut at_once = 0;
            while let Some(transmit) = sender.poll_transmit(now) {
                at_once += 1;
                say(now, &format!("server: {transmit:?}"));
                if let Transmit::Data { offset, len, .. } = transmit {
                    blocks += 1;
                    if offset + len as u64 > self.len || offset % terms.blksize != 0 {
                        return Err(format!("{offset}+{len} is no block of the file"));
                    }
                }
                for delay in self.link.copies() {
                    number += 1;
                    let flight = match transmit {
                        Transmit::Oack => Flight::Oack,
                        Transmit::Data { block, offset, len } => {
                            let from = offset as usize; // below len, which is a few MiB
                            Flight::Data(block, file[from..from + len].to_vec())
                        }
                    };
                    flights.insert((now + delay, number), flight);
                }
            }
            if at_once > terms.windowsize {
                return Err(format!("{at_once} packets at once in a window of {}", terms.windowsize));
            }
            let Some(timer) = sender.poll_timeout() else {
                return Err("an open transfer without a timer".into());
            };
            let arrival = flights.first_key_value().map(|((at, _), _)| *at);
            let repeat = (!client.is_gone).then_some(client.repeat_at);
            let next = [Some(timer), arrival, repeat].into_iter().flatten().min().unwrap_or(timer);
            now = now.max(next);
            if now.saturating_duration_since(heard) > limits::SILENCE + limits::RTO_MAX * 2 {
                return Err("silence does not end it".into());
            }
            let mut answer = None;
            if arrival == Some(next) {
                match flights.pop_first().map(|(_, flight)| flight) {
                    Some(Flight::Said(said)) => {
                        heard = now;
                        say(now, &format!("client: {said:?}"));
                        match said {
                            Says::Ack(block) => sender.handle(&Packet::Ack { block }, now),
                            Says::Error(code) => sender.handle(&Packet::Error { code, message: b"" }, now),
                        }
                    }
                    _ if client.is_gone => {}
                    Some(Flight::Oack) => answer = client.oack(),
                    Some(Flight::Data(block, payload)) => answer = client.data(block, &payload),
                    None => {}
                }
            } else if repeat == Some(next) {
                client.repeat_at = now + REPEAT;
                answer = client.repeats();
            } else {
                timeouts += 1;
                sender.handle_timeout(now);
            }
            if let Some(said) = answer {
                client.repeat_at = now + REPEAT;
                let times = if self.habit == Habit::Twice { 2 } else { 1 };
                for _ in 0..times {
                    acks += 1;
                    for delay in self.link.copies() {
                        number += 1;
                        flights.insert((now + delay, number), Flight::Said(said));
                    }
                }
            }
        }
        say(now, &format!("{:?}, {blocks} blocks, {} again", sender.outcome(), sender.resent()));
        let causes = Causes { timeouts, gaps: client.gaps, acks };
        self.judge(&sender, &client, &file, causes)?;
        Ok((blocks, sender.resent()))
    }

    fn judge(&self, sender: &Sender, client: &Client, file: &[u8], causes: Causes) -> Result<(), String> {
        let terms = sender.terms();
        let outcome = sender.outcome();
        let wanted = match self.habit {
            Habit::Whole | Habit::Twice => outcome == Some(Outcome::Finished),
            // Whoever ends after the last block has had the file; an error that is lost is a silence.
            Habit::Vanishes(_) => matches!(outcome, Some(Outcome::TimedOut | Outcome::Finished)),
            Habit::Aborts(_) => {
                matches!(
                    outcome,
                    Some(Outcome::TimedOut | Outcome::Finished | Outcome::Aborted { .. } | Outcome::Probed)
                )
            }
            Habit::Probes => matches!(outcome, Some(Outcome::Probed | Outcome::TimedOut)),
        };
        if !wanted {
            return Err(format!("{:?} ended as {outcome:?}", self.habit));
        }
        if !file.starts_with(&client.received) {
            return Err("other bytes arrived".into());
        }
        if outcome == Some(Outcome::Finished) && (client.received != file || sender.delivered() != self.len) {
            return Err(format!("{} of {} bytes arrived", client.received.len(), self.len));
        }
        let resent = sender.resent();
        if self.is_clean() && self.habit == Habit::Whole && resent > 0 {
            return Err(format!("{resent} packets were sent again without a cause"));
        }
        // A window goes again for a reason: a timer that ran out, a block out of turn, an acknowledgement that came twice.
        let reasons = causes.timeouts
            + causes.gaps
            + self.link.troubles
            + if self.habit == Habit::Twice { causes.acks } else { 0 };
        if resent > terms.windowsize * (reasons + 1) {
            return Err(format!("{resent} packets were sent again for {reasons} reasons"));
        }
        if terms.windowsize == 1 && resent > causes.timeouts {
            return Err(format!(
                "{resent} packets were sent again in lock-step by {} timers",
                causes.timeouts
            ));
        }
        Ok(())
    }
}

struct Causes {
    timeouts: u64,
    gaps: u64,
    acks: u64,
}
