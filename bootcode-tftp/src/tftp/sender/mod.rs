//! One transfer to one client, as a value: packets and time go in, offsets come out.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::{Packet, Terms, rtt::Rtt};
use crate::limits;

/// The sending side of one transfer. It knows no file, no socket and no clock.
///
/// Feed it with [`handle`](Self::handle) and [`handle_timeout`](Self::handle_timeout), then send what
/// [`poll_transmit`](Self::poll_transmit) says until it says nothing, and call again at [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Sender {
    terms: Terms,
    opening: Opening,
    /// Blocks count from 1 and do not wrap here; only their number on the wire does.
    acked: u64,
    next: u64,
    sent: u64,
    resent: u64,
    rtt: Rtt,
    /// When a block was sent whose acknowledgement will tell the round trip; none after a retransmission (Karn).
    sample: Option<(u64, Instant)>,
    attempt: u32,
    deadline: Option<Instant>,
    progress_at: Instant,
    window_at: Instant,
    rewound: bool,
    /// Until then a repeated acknowledgement may be the answer to a copy of what it acknowledges.
    echoes_until: Option<Instant>,
    outcome: Option<Outcome>,
}

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmit {
    /// The accepted options.
    Oack,
    /// A block.
    Data {
        /// Its number on the wire.
        block: u16,
        /// Where it starts in the file.
        offset: u64,
        /// Its bytes; `offset + len` is never beyond the file.
        len: usize,
    },
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The last block was acknowledged.
    Finished,
    /// The client only wanted the size: it asked for `tsize` and ended with an error instead of an acknowledgement. Healthy.
    Probed,
    /// The client sent an error, or its port is closed.
    Aborted {
        /// The error's code, where one was sent.
        code: Option<u16>,
    },
    /// The client was silent for [`limits::SILENCE`].
    TimedOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// The OACK must be sent, for the first time or again.
    Due,
    /// The OACK was sent and not acknowledged.
    Sent,
    /// Blocks flow.
    Over,
}

impl Sender {
    /// A transfer that starts now; `seed` spreads retransmissions of many transfers, any number will do.
    #[must_use]
    pub fn new(terms: Terms, seed: u64, now: Instant) -> Self {
        Self {
            terms,
            opening: if terms.accepted.is_empty() { Opening::Over } else { Opening::Due },
            acked: 0,
            next: 1,
            sent: 0,
            resent: 0,
            rtt: Rtt::new(terms.rto_max, seed),
            sample: None,
            attempt: 0,
            deadline: None,
            progress_at: now,
            window_at: now,
            rewound: false,
            echoes_until: None,
            outcome: None,
        }
    }

    /// Takes a packet of the client.
    pub fn handle(&mut self, packet: &Packet<'_>, now: Instant) {
        match packet {
            _ if self.outcome.is_some() => {}
            Packet::Ack { block } => self.acknowledged(*block, now),
            Packet::Error { code, .. } => self.ended_by_client(Some(*code)),
            // A request again is the server's to judge; nothing else is a client's to send.
            Packet::Rrq(_) | Packet::Wrq(_) | Packet::Data { .. } | Packet::Oack(_) => {}
        }
    }

    /// Takes the news that nobody listens on the client's port any more.
    pub fn handle_unreachable(&mut self) {
        self.ended_by_client(None);
    }

    /// To be called when the time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.outcome.is_some() || self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        if now.saturating_duration_since(self.progress_at) >= limits::SILENCE {
            self.end(Outcome::TimedOut);
            return;
        }
        self.attempt += 1;
        self.sample = None;
        if self.opening == Opening::Sent {
            self.opening = Opening::Due;
            self.resent += 1;
        } else {
            self.next = self.acked + 1;
        }
        self.arm(now);
    }

    /// What to send now, until `None`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if self.outcome.is_some() {
            return None;
        }
        match self.opening {
            Opening::Due => {
                self.opening = Opening::Sent;
                if self.attempt == 0 {
                    self.sample = Some((0, now));
                }
                self.arm(now);
                Some(Transmit::Oack)
            }
            Opening::Sent => None,
            Opening::Over => self.next_block(now),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// How the transfer ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether the client has acknowledged anything.
    #[must_use]
    pub fn has_progress(&self) -> bool {
        self.acked > 0 || (self.opening == Opening::Over && !self.terms.accepted.is_empty())
    }

    /// The terms it was started with.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How many packets were sent again.
    #[must_use]
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// How many blocks were sent, each counted once.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many bytes of the file the client acknowledged.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.acked.saturating_mul(self.terms.blksize).min(self.terms.len)
    }

    fn acknowledged(&mut self, block: u16, now: Instant) {
        if self.opening != Opening::Over {
            if block == 0 && self.opening == Opening::Sent {
                self.opening = Opening::Over;
                self.progress(0, now);
            }
            return;
        }
        let ahead = u64::from(block.wrapping_sub(wire(self.acked)));
        let block = self.acked + ahead;
        if block > self.sent {
            return; // older than the window, or never sent
        }
        if ahead == 0 {
            self.repeated(now);
            return;
        }
        self.acked = block;
        // Short of the window's end it says where a gap is: everything behind it goes again (RFC 7440 section 4).
        self.next = block + 1;
        self.progress(block, now);
        if block < self.sent {
            self.sample = None;
        }
        if block == self.terms.blocks() {
            self.end(Outcome::Finished);
        }
    }

    /// The same acknowledgement again. In lock-step it is always ignored, or every duplicate would be answered until the end of the
    /// file (Sorcerer's Apprentice). With a window it may say that the first block is missing; believed once a window, and only
    /// when it can be an answer to that window at all and none to a copy of the one before.
    fn repeated(&mut self, now: Instant) {
        let answer = now.saturating_duration_since(self.window_at) >= self.rtt.least();
        let echo = self.echoes_until.is_some_and(|until| now < until);
        if self.terms.windowsize > 1 && self.sent > self.acked && !self.rewound && answer && !echo {
            self.rewound = true;
            self.sample = None;
            self.next = self.acked + 1;
        }
    }

    fn progress(&mut self, block: u64, now: Instant) {
        if let Some((_, at)) = self.sample.take_if(|(sampled, _)| *sampled <= block) {
            self.rtt.sample(now.saturating_duration_since(at));
        }
        // What went twice may be answered twice, and a gap may be told with each block behind it.
        let copies = self.attempt > 0 || self.rewound || block < self.sent;
        self.attempt = 0;
        self.progress_at = now;
        self.rewound = false;
        self.arm(now);
        self.echoes_until = self.deadline.filter(|_| copies);
    }

    fn next_block(&mut self, now: Instant) -> Option<Transmit> {
        let end = (self.acked + self.terms.windowsize).min(self.terms.blocks());
        if self.next > end {
            return None;
        }
        let number = self.next;
        self.next += 1;
        if number == self.acked + 1 {
            self.window_at = now;
        }
        if number > self.sent {
            self.sent = number;
            // The window's last block is the one that is acknowledged at once.
            if number == end && self.attempt == 0 && !self.rewound {
                self.sample = Some((number, now));
            }
        } else {
            self.resent += 1;
        }
        if number == end {
            self.arm(now);
        }
        let offset = (number - 1) * self.terms.blksize;
        let len = (self.terms.len - offset).min(self.terms.blksize);
        // blksize is at most 65,464
        Some(Transmit::Data { block: wire(number), offset, len: len as usize })
    }

    fn arm(&mut self, now: Instant) {
        let wait: Duration = self.rtt.wait(self.attempt);
        self.deadline = Some(now + wait);
    }

    fn ended_by_client(&mut self, code: Option<u16>) {
        if self.outcome.is_none() {
            let probe = self.opening != Opening::Over && self.terms.accepted.tsize.is_some();
            self.end(if probe { Outcome::Probed } else { Outcome::Aborted { code } });
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.deadline = None;
    }
}

/// A block's number on the wire: after 65,535 comes 0.
const fn wire(block: u64) -> u16 {
    (block & 0xffff) as u16
}
