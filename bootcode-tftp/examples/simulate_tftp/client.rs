//! A client by RFC 1350 and 7440, written from them and not from the server.

use std::time::Instant;

/// How a client goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// To the end.
    Whole,
    /// It acknowledges everything twice, as the Sorcerer's Apprentice did.
    Twice,
    /// Power is cut after so many blocks.
    Vanishes(u64),
    /// It sends an error after so many blocks.
    Aborts(u64),
    /// It wants the size, and ends with error 8 (EDK2).
    Probes,
}

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Ack(u16),
    Error(u16),
}

pub(crate) struct Client {
    pub(crate) habit: Habit,
    pub(crate) blksize: u64,
    pub(crate) windowsize: u64,
    pub(crate) expected: u64,
    pub(crate) window_start: u64,
    pub(crate) received: Vec<u8>,
    pub(crate) is_complete: bool,
    pub(crate) is_gone: bool,
    /// Whether blocks may come: at once without options, after the OACK with them.
    pub(crate) is_open: bool,
    pub(crate) repeat_at: Instant,
    /// How often a block came out of turn.
    pub(crate) gaps: u64,
}

impl Client {
    /// The acknowledgement of the options.
    pub(crate) fn oack(&mut self) -> Option<Says> {
        if self.habit == Habit::Probes {
            self.is_gone = true;
            return Some(Says::Error(8));
        }
        self.is_open = true;
        (self.expected == 1).then_some(Says::Ack(0))
    }

    pub(crate) fn data(&mut self, block: u16, payload: &[u8]) -> Option<Says> {
        if !self.is_open {
            return None;
        }
        match self.habit {
            Habit::Vanishes(after) if self.expected > after => {
                self.is_gone = true;
                return None;
            }
            Habit::Aborts(after) if self.expected > after => {
                self.is_gone = true;
                return Some(Says::Error(3));
            }
            _ => {}
        }
        if block != wire(self.expected) {
            // A gap or an old block: say what was received, and count the window from there (RFC 7440 section 4).
            self.gaps += 1;
            self.window_start = self.expected - 1;
            return Some(Says::Ack(wire(self.window_start)));
        }
        self.received.extend_from_slice(payload);
        self.is_complete |= (payload.len() as u64) < self.blksize;
        self.expected += 1;
        let last = self.expected - 1;
        (self.is_complete || last - self.window_start >= self.windowsize).then(|| {
            self.window_start = last;
            Says::Ack(wire(last))
        })
    }

    /// After a second of silence it repeats itself.
    pub(crate) fn repeats(&mut self) -> Option<Says> {
        self.window_start = self.expected - 1;
        (self.is_open && !self.is_gone).then_some(Says::Ack(wire(self.window_start)))
    }
}

const fn wire(block: u64) -> u16 {
    (block & 0xffff) as u16
}
