//! One server, its store and one machine, with loss, repeats, restarts, failing commits and jumps of the clock, by seed.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;

use super::world::{Fault, World, hello, later, new_workflow, report};
use crate::{
    engine::{Engine, log_name},
    store::Store as _,
    workflow::{
        ActionPhase, Assignment, Claim, Event, Outcome, Phase, Recorded, Report, ServiceError, State,
        WorkflowService as _,
        fixtures::{failed, spec},
    },
};

const SEEDS: u64 = 200;
const STEPS: u32 = 300;
/// Steps after the last fault within which everything must have come to its end.
const CALM_STEPS: u32 = 400;

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// What a machine keeps in RAM: gone when it restarts.
#[derive(Default)]
struct Machine {
    boot: u32,
    token: String,
    session: Option<String>,
    running: Option<Assignment>,
    spooled: Option<Report>,
}

struct Simulation {
    world: World,
    engine: Engine,
    machine: Machine,
    dice: Dice,
    /// Reports that were sent at any time; the network may show them again.
    sent: Vec<Report>,
    acknowledged: Vec<(u32, u32)>,
    calm: bool,
}

impl Simulation {
    async fn new(seed: u64) -> Self {
        let world = World::new();
        let engine = world.engine().await;
        let mut spec = spec();
        spec.tasks[0].actions[1].retries = 2;
        engine.create(&new_workflow("w", spec)).await.unwrap();
        let mut simulation = Self {
            world,
            engine,
            machine: Machine::default(),
            dice: Dice(seed),
            sent: Vec::new(),
            acknowledged: Vec::new(),
            calm: false,
        };
        simulation.boot();
        simulation
    }

    fn boot(&mut self) {
        let boot = self.machine.boot + 1;
        self.machine = Machine { boot, token: self.world.token(), ..Machine::default() };
    }

    async fn step(&mut self) {
        if !self.calm {
            if self.dice.chance(6) {
                self.boot();
            }
            if self.dice.chance(6) {
                self.engine = self.world.engine().await;
            }
            if self.dice.chance(15) {
                let fault =
                    [Fault::Refuses, Fault::LosesTheAnswer, Fault::LosesBoth][self.dice.roll(3) as usize];
                self.world.store.fail(self.world.store.commits(), fault);
            }
            if self.dice.chance(2) {
                later(&self.world.clock, 600);
            }
            if !self.sent.is_empty() && self.dice.chance(10) {
                let old = self.sent[self.dice.roll(self.sent.len() as u64) as usize].clone();
                self.deliver(old).await;
            }
        }
        later(&self.world.clock, self.dice.roll(10));
        self.engine.tick().await;
        if self.engine.state("w").is_some_and(|state| state.phase.is_stopped())
            && (self.calm || self.dice.chance(50))
        {
            // The store may fail just then; the operator asks again.
            let _ = self.engine.retry("w", None).await;
        }
        self.act().await;
    }

    /// The machine's worker does the next thing; each answer may be lost.
    async fn act(&mut self) {
        let lost = !self.calm && self.dice.chance(15);
        let Some(session) = self.machine.session.clone() else {
            let hello = hello(&self.machine.token, &format!("boot-{}", self.machine.boot));
            match self.engine.hello(hello).await {
                Ok(session) if !lost => self.machine.session = Some(session.token),
                Ok(_) | Err(ServiceError::Unavailable { .. }) => {}
                Err(ServiceError::Refused { .. }) => self.boot(),
                Err(error) => panic!("{error}"),
            }
            return;
        };
        if let Some(report) = self.machine.spooled.clone() {
            self.sent.push(report.clone());
            if self.deliver(report).await && !lost {
                self.machine.spooled = None;
            }
        } else if let Some(assignment) = self.machine.running.take() {
            let good = self.calm || self.dice.chance(85);
            let outcome = if good { Outcome::Succeeded } else { failed("no") };
            self.machine.spooled = Some(report(&assignment, outcome));
        } else {
            match self.engine.claim(&session).now_or_never() {
                Some(Ok(Claim::Run(assignment))) if !lost => self.machine.running = Some(*assignment),
                Some(Ok(Claim::Finish { .. })) if !lost => self.boot(),
                Some(Ok(_) | Err(ServiceError::Unavailable { .. })) | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }

    /// Whether a report was answered for good.
    async fn deliver(&mut self, report: Report) -> bool {
        let Some(session) = &self.machine.session else { return false };
        match self.engine.report(session, report.clone()).await {
            Ok(_) => {
                self.acknowledged.push((report.index, report.attempt));
                true
            }
            Err(ServiceError::StaleAttempt { .. }) => true,
            Err(ServiceError::Unavailable { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn log(&self) -> Vec<Recorded> {
        let entries = self.world.store.read(&log_name("w"), 1).await.unwrap();
        entries.into_iter().map(|entry| serde_json::from_value(entry.value).unwrap()).collect()
    }
}

/// The log's own rules, apart from those that decided it.
fn check(log: &[Recorded], acknowledged: &[(u32, u32)]) {
    let mut state = State::empty("w");
    let mut ended = BTreeSet::new();
    let mut last_attempt = [0; 3];
    for recorded in log {
        assert!(!state.phase.is_terminal(), "{recorded:?} after {:?}", state.phase);
        match &recorded.event {
            Event::ActionStarted { index, attempt, .. } => {
                assert!(state.open.is_none(), "two attempts open at once: {recorded:?}");
                let place = *index as usize;
                assert!(state.actions[..place].iter().all(|action| action.phase == ActionPhase::Succeeded));
                assert_eq!(*attempt, last_attempt[place] + 1);
                last_attempt[place] = *attempt;
            }
            Event::ActionEnded { index, attempt, .. } => {
                let open = state.open.as_ref().expect("the end of an attempt that is not open");
                assert_eq!((open.index, open.attempt), (*index, *attempt));
                assert!(ended.insert((*index, *attempt)), "counted twice: {recorded:?}");
            }
            _ => {}
        }
        state.apply(recorded);
    }
    for report in acknowledged {
        assert!(ended.contains(report), "{report:?} was acknowledged and is not in the log");
    }
}

async fn simulate(seed: u64) -> Vec<Recorded> {
    let mut simulation = Simulation::new(seed).await;
    for _ in 0..STEPS {
        simulation.step().await;
        let state = simulation.engine.state("w").unwrap();
        if state.phase.is_terminal() {
            break;
        }
    }
    simulation.calm = true;
    for _ in 0..CALM_STEPS {
        if simulation.engine.state("w").unwrap().phase.is_terminal() {
            break;
        }
        simulation.step().await;
    }
    let log = simulation.log().await;
    check(&log, &simulation.acknowledged);
    let phase = State::fold("w", &log).phase;
    assert!(matches!(phase, Phase::Succeeded | Phase::Expired), "it never came to its end: {phase:?}");
    log
}

#[tokio::test]
async fn whatever_is_lost_repeated_or_restarted_the_log_keeps_its_rules_and_the_workflow_ends() {
    let mut succeeded = 0;
    for seed in 0..SEEDS {
        let log = std::panic::AssertUnwindSafe(simulate(seed)).catch_unwind().await;
        let Ok(log) = log else { panic!("seed {seed} fails") };
        succeeded += u64::from(State::fold("w", &log).phase == Phase::Succeeded);
    }
    assert!(succeeded > SEEDS * 9 / 10, "{succeeded} of {SEEDS} succeeded: the simulation tests too little");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 17, 99] {
        assert_eq!(simulate(seed).await, simulate(seed).await);
    }
    assert_ne!(simulate(1).await, simulate(2).await);
}
