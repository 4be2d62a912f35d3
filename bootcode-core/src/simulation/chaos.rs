//! What goes wrong, and when.

use super::{
    faulty::Trouble,
    network::Request,
    worker::Attempt,
    world::{Event, World},
};
use crate::workflow::{Outcome, Report};

/// Milliseconds between two faults, at least.
const SHORTEST_PAUSE_MS: u64 = 2000;
/// And at most, by seed: in bad weather hardly anything gets done, in good weather whole workflows do.
pub(super) const LONGEST_PAUSES_MS: [u64; 4] = [15_000, 60_000, 150_000, 400_000];

impl World<'_> {
    pub(super) fn chaos(&mut self) {
        if self.calm {
            return;
        }
        let machine = self.dice.roll(self.machines.len() as u64) as usize;
        match self.dice.roll(100) {
            0..12 => self.restart(machine),
            12..24 => self.worker_dies(machine),
            24..34 => {
                self.server_down();
                let ms = if self.dice.chance(300) { self.dice.roll(400_000) } else { self.dice.roll(10_000) };
                self.at(ms, Event::ServerUp);
            }
            34..48 => self.cut_off(machine),
            48..52 => self.at(0, Event::Jump),
            52..70 => self.trouble(),
            70..80 => self.store_recovers(),
            80..88 => self.misdirect(machine),
            88..96 => self.repeat_report(),
            _ => self.replay_token(machine),
        }
        let ms = self.dice.between(SHORTEST_PAUSE_MS, self.longest_pause_ms);
        self.at(ms, Event::Chaos);
    }

    fn cut_off(&mut self, machine: usize) {
        let ms = if self.dice.chance(150) { self.dice.roll(1_200_000) } else { self.dice.roll(120_000) };
        let host = &mut self.machines[machine];
        host.cut_off_until_ms = self.clock.now_ms() + ms;
        let name = host.name().to_owned();
        self.counts.add("partitions");
        self.note("fault", format_args!("{name} is cut off for {} s", ms / 1000));
    }

    /// The server's wall clock is set.
    pub(super) fn jump(&mut self) {
        if self.calm {
            return;
        }
        let ms = self.dice.roll(600_000).cast_signed();
        let by_ms = if self.dice.chance(500) { ms } else { -ms };
        self.counts.add("clock jumps");
        self.note("fault", format_args!("the server's clock jumps by {} s", by_ms / 1000));
        self.clock.jump(by_ms);
        self.jumped_ms = self.clock.now_ms();
    }

    fn trouble(&mut self) {
        let scale = self.dice.between(5, 120);
        let trouble = Trouble {
            refuses: self.dice.roll(scale),
            loses_the_answer: self.dice.roll(scale),
            loses_both: self.dice.roll(scale),
            lands_late: self.dice.roll(scale),
            slow_ms: if self.dice.chance(200) { self.dice.roll(1000) } else { self.dice.roll(20) },
        };
        self.note("fault", format_args!("the store: {trouble:?}"));
        self.store.set(trouble);
    }

    fn store_recovers(&mut self) {
        let slow_ms = self.dice.roll(10);
        self.store.set(Trouble { slow_ms, ..Trouble::default() });
        self.note("fault", format_args!("the store is well"));
    }

    fn session_of(&self, machine: usize) -> Option<String> {
        let worker = self.machines[machine].worker.as_ref()?;
        Some(worker.session()?.token.clone())
    }

    /// A machine reports another one's attempt, as a disk that was copied with its spool would.
    fn misdirect(&mut self, machine: usize) {
        let (name, seen) = (self.machines[machine].name().to_owned(), &self.checker.workflows);
        let open = seen.values().filter_map(|seen| Some((seen, seen.open.as_ref()?)));
        let foreign = open.filter(|(_, open)| open.worker != name).find_map(|(seen, open)| {
            let (_, spec, _) = seen.plan.as_ref()?;
            let (_, action) = spec.actions().nth(open.attempt.index as usize)?;
            Some((open.attempt.clone(), action.name.clone()))
        });
        let (Some((attempt, action)), Some(session)) = (foreign, self.session_of(machine)) else { return };
        let Attempt { workflow, index, number } = attempt;
        let outcome = Outcome::Succeeded;
        let report = Report {
            workflow,
            index,
            action,
            attempt: number,
            outcome,
            ran_ms: 1,
            disks: Vec::new(),
            hook: None,
            outputs: None,
        };
        self.counts.add("misdirected reports");
        self.send_foreign(machine, session, Request::Report(Box::new(report)));
    }

    /// A report that was sent at any time is sent again.
    fn repeat_report(&mut self) {
        let Some((machine, report)) = self.dice.pick(&self.sent).cloned() else { return };
        let Some(session) = self.session_of(machine) else { return };
        self.send_foreign(machine, session, Request::Report(Box::new(report)));
    }

    /// Somebody who saw a machine's boot token shows it.
    fn replay_token(&mut self, machine: usize) {
        let mut hello = self.machines[machine].hello();
        if hello.token.is_empty() || !self.is_redeemed(machine) {
            return;
        }
        hello.nonce = "f".repeat(32);
        hello.boot_id = format!("{}-thief", self.machines[machine].name());
        self.counts.add("replayed tokens");
        self.send_foreign(machine, String::new(), Request::Hello(Box::new(hello)));
    }

    /// Before its own worker redeemed it, a token is anybody's.
    fn is_redeemed(&self, machine: usize) -> bool {
        let host = &self.machines[machine];
        self.checker.sessions.get(host.name()).is_some_and(|(_, _, boot)| *boot == host.boot_id())
    }

    fn send_foreign(&mut self, machine: usize, session: String, request: Request) {
        let call = self.new_call(machine, session, request);
        if let Some(call) = self.calls.get_mut(&call) {
            call.answered = true;
        }
        self.at(1, Event::Request(call));
    }
}
