//! The run of one seed: what is due happens, what can go on goes on, until nothing is left to come to its end.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    chaos::LONGEST_PAUSES_MS,
    check::{Broken, Checker, broken, seconds},
    counts::Counts,
    dice::Dice,
    faulty::{Deed, FaultyStore},
    fleet,
    machine::Machine,
    network::Call,
    operator::Operation,
    server::{Done, Server},
    tasks::{Tasks, wait},
    time::SimClock,
    trace::Trace,
    worker::{Input, SimWorker},
};
use crate::{
    clock::Clock as _,
    engine::{LOG_PREFIX, NewWorkflow},
    limits::{REPORT_GRACE_SECONDS, START_GRACE_SECONDS},
    session::Sealer,
    store::Store,
    workflow::Report,
};

/// What a simulation is made of.
pub struct Options<'a> {
    /// Makes an empty store.
    pub store: &'a dyn Fn() -> Arc<dyn Store>,
    /// Makes a worker that has not started.
    pub worker: &'a dyn Fn() -> Box<dyn SimWorker>,
    /// Whether [`Outcome::trace`] is wanted; it takes time and memory.
    pub trace: bool,
}

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub broken: Option<Broken>,
    /// Of every message, fault and log entry, with its time.
    pub hash: u64,
    /// What was come across.
    pub counts: Counts,
    /// One line for each of them: time, who, what.
    pub trace: Vec<String>,
    /// How much virtual time passed, in milliseconds.
    pub virtual_ms: u64,
}

/// Faults stop after so long at the latest: several restarts, partitions and deadlines fit.
const CHAOS_MINUTES: (u64, u64) = (8, 30);
/// How much later than its deadline a workflow may end: a tick of the engine, and a slow store.
const SLACK_SECONDS: u64 = 30;
/// No run lasts longer, in virtual time: the longest deadlines with retries are below.
const LONGEST_MS: u64 = 6 * 3_600_000;

/// Something that is due.
pub(super) enum Event {
    ServerUp,
    Chaos,
    Calm,
    Look,
    Jump,
    Apply(usize),
    Operator,
    Request(u64),
    Cut(u64),
    Answer { call: u64, input: Input },
    Firmware { machine: usize, boot_life: u64 },
    PowerOn(usize),
    WorkerStart { machine: usize, life: u64 },
    Tell { machine: usize, life: u64, input: Input },
    Woke { machine: usize, life: u64, at_ms: u64 },
    PullEnds { machine: usize, number: u64, done: Result<(), String> },
    ContainerEnds { machine: usize, number: u64 },
}

pub(super) struct World<'a> {
    pub(super) options: &'a Options<'a>,
    pub(super) clock: SimClock,
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) counts: Counts,
    pub(super) checker: Checker,
    pub(super) tasks: Tasks<Done>,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    pub(super) store: Arc<FaultyStore>,
    pub(super) sealer: Sealer,
    pub(super) server: Server,
    pub(super) machines: Vec<Machine>,
    pub(super) plan: Vec<NewWorkflow>,
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) called: u64,
    pub(super) operations: BTreeMap<u64, Operation>,
    pub(super) sent: Vec<(usize, Report)>,
    pub(super) containers: u64,
    pub(super) calm: bool,
    pub(super) calm_retries: u32,
    /// When the server's clock jumped last.
    pub(super) jumped_ms: u64,
    pub(super) longest_pause_ms: u64,
    calm_since_ms: u64,
    over: bool,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, options: &Options<'_>) -> Outcome {
    let mut world = World::new(seed, options);
    let broken = world.work().err();
    if let Some(broken) = &broken {
        let ms = world.clock.now_ms();
        world.trace.note(ms, "checker", format_args!("BROKEN {}: {}", broken.rule, broken.detail));
    }
    let virtual_ms = world.clock.now_ms();
    let (hash, trace) = world.trace.end();
    Outcome { broken, hash, counts: world.counts, trace, virtual_ms }
}

impl<'a> World<'a> {
    fn new(seed: u64, options: &'a Options<'a>) -> Self {
        let mut dice = Dice::new(seed);
        let clock = SimClock::default();
        let fleet = fleet::machines(&mut dice);
        let plan = fleet::workflows(&fleet, &mut dice);
        let longest_pause_ms = *dice.pick(&LONGEST_PAUSES_MS).unwrap_or(&LONGEST_PAUSES_MS[0]);
        let store = FaultyStore::new((options.store)(), clock.clone(), dice.fork());
        Self {
            options,
            clock,
            trace: Trace::new(options.trace),
            counts: Counts::default(),
            checker: Checker::default(),
            tasks: Tasks::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            store: Arc::new(store),
            sealer: Sealer::new([7; 32]),
            server: Server::default(),
            machines: fleet.into_iter().map(|(hardware, disks)| Machine::new(hardware, disks)).collect(),
            plan,
            calls: BTreeMap::new(),
            called: 0,
            operations: BTreeMap::new(),
            sent: Vec::new(),
            containers: 0,
            calm: false,
            calm_retries: 0,
            jumped_ms: 0,
            longest_pause_ms,
            calm_since_ms: 0,
            over: false,
            dice,
        }
    }

    fn begin(&mut self) {
        self.at(0, Event::ServerUp);
        for machine in 0..self.machines.len() {
            let ms = self.dice.roll(60_000);
            self.at(ms, Event::PowerOn(machine));
        }
        for number in 0..self.plan.len() {
            let ms = self.dice.roll(600_000);
            self.at(ms, Event::Apply(number));
        }
        let chaos_ms = self.dice.between(CHAOS_MINUTES.0, CHAOS_MINUTES.1) * 60_000;
        self.at(1, Event::Chaos);
        self.at(30_000, Event::Operator);
        self.at(chaos_ms, Event::Calm);
    }

    fn work(&mut self) -> Result<(), Broken> {
        self.begin();
        while !self.over {
            while let Some((task, done)) = self.tasks.next() {
                self.heard_from_the_store()?;
                self.done(task, done)?;
            }
            self.heard_from_the_store()?;
            let event_ms = self.events.first_key_value().map(|((due, _), _)| *due);
            let Some(next_ms) = event_ms.into_iter().chain(self.clock.next_ms()).min() else { break };
            self.clock.move_to(next_ms);
            self.checker.now_ms = next_ms;
            if event_ms == Some(next_ms)
                && let Some((_, event)) = self.events.pop_first()
            {
                self.happens(event)?;
            }
            if next_ms > LONGEST_MS {
                return broken("every-workflow-ends", "the run does not end");
            }
        }
        self.nothing_is_lost()
    }

    fn happens(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::ServerUp => self.server_up(),
            Event::Chaos => self.chaos(),
            Event::Calm => self.calm(),
            Event::Look => return self.look(),
            Event::Jump => self.jump(),
            Event::Apply(number) => self.apply(number),
            Event::Operator => self.operate(),
            Event::Request(call) => self.request(call),
            Event::Cut(call) => self.cut(call),
            Event::Answer { call, input } => return self.answer(call, input),
            Event::Firmware { machine, boot_life } => self.firmware(machine, boot_life),
            Event::PowerOn(machine) => self.power_on(machine),
            Event::WorkerStart { machine, life } => return self.worker_starts(machine, life),
            Event::Tell { machine, life, input } => return self.tell(machine, life, input),
            Event::Woke { machine, life, at_ms } => {
                if self.machines[machine].life == life && self.machines[machine].wake_ms == Some(at_ms) {
                    self.machines[machine].wake_ms = None;
                    return self.tell(machine, life, Input::Woke);
                }
            }
            Event::PullEnds { machine, number, done } => return self.pull_ends(machine, number, done),
            Event::ContainerEnds { machine, number } => return self.container_ends(machine, number),
        }
        Ok(())
    }

    /// Schedules what happens in so many milliseconds.
    pub(super) fn at(&mut self, in_ms: u64, event: Event) {
        self.scheduled += 1;
        self.events.insert((self.clock.now_ms() + in_ms, self.scheduled), event);
    }

    pub(super) fn note(&mut self, who: &str, what: std::fmt::Arguments<'_>) {
        let ms = self.clock.now_ms();
        self.trace.note(ms, who, what);
    }

    fn heard_from_the_store(&mut self) -> Result<(), Broken> {
        for deed in self.store.deeds() {
            match deed {
                Deed::Failed(name) => {
                    self.counts.add(name);
                    self.note("store", format_args!("{name}"));
                }
                Deed::Committed(batch) => {
                    for append in &batch.appends {
                        for value in &append.entries {
                            let log = append.log.strip_prefix(LOG_PREFIX).unwrap_or(&append.log);
                            self.note("log", format_args!("{log} {}", Short(value)));
                        }
                    }
                    self.checker.committed(&batch, &mut self.counts)?;
                }
            }
        }
        Ok(())
    }

    /// From here on nothing fails any more.
    fn calm(&mut self) {
        self.note("fault", format_args!("none from here on"));
        self.calm = true;
        self.calm_since_ms = self.clock.now_ms();
        self.store.set(super::faulty::Trouble { slow_ms: 5, ..Default::default() });
        for machine in &mut self.machines {
            machine.cut_off_until_ms = 0;
        }
        if !self.server.is_wanted() {
            self.server_up();
        }
        self.at(1000, Event::Look);
    }

    /// Whether all has come to its end, or should have.
    fn look(&mut self) -> Result<(), Broken> {
        let now = self.clock.now();
        let up = self.checker.up_since + seconds(START_GRACE_SECONDS);
        let mut open = 0;
        for (name, seen) in &self.checker.workflows {
            let Some((_, _, expires)) = &seen.plan else { continue };
            if seen.rests() {
                continue;
            }
            open += 1;
            let due = match seen.global_deadline() {
                Some(deadline) => deadline + seconds(REPORT_GRACE_SECONDS),
                None => *expires,
            };
            let due = due.max(up) + seconds(SLACK_SECONDS);
            if now > due && self.clock.now_ms() > self.calm_since_ms + SLACK_SECONDS * 1000 {
                return broken("every-workflow-ends", format!("{name} goes on at {now}, due {due}"));
            }
        }
        let resting = open == 0 && self.operations.is_empty();
        if resting && !self.calm_operator() {
            self.over = true;
        } else if !resting && self.dice.chance(30) {
            self.calm_operator();
        }
        self.at(2000, Event::Look);
        Ok(())
    }

    /// What was committed is what the store has.
    fn nothing_is_lost(&self) -> Result<(), Broken> {
        for (name, seen) in &self.checker.workflows {
            let read = wait(self.store.inner.read(&crate::engine::log_name(name), 1));
            let read = match read {
                Ok(read) => read,
                Err(error) => return broken("the-store-keeps-its-entries", format!("{name}: {error}")),
            };
            if !read.iter().map(|entry| &entry.value).eq(&seen.entries) {
                return broken("the-store-keeps-its-entries", format!("{name} differs"));
            }
        }
        Ok(())
    }
}

/// A log entry without what a workflow was created with.
struct Short<'a>(&'a serde_json::Value);

impl std::fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(fields) = self.0.as_object() else { return write!(f, "{}", self.0) };
        write!(f, "#{} {}", self.0["seq"], self.0["event"].as_str().unwrap_or("?"))?;
        for (name, value) in fields {
            if !["seq", "at", "event", "declared", "spec", "inventory"].contains(&&**name) && !value.is_null()
            {
                write!(f, " {name}={value}")?;
            }
        }
        Ok(())
    }
}
