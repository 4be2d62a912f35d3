//! The simulation itself: it repeats, it comes across everything that it is for, and it misses no guard that is switched off.

use std::sync::Arc;

use bootcode_core::{
    simulation::{Counts, Outcome},
    store::{MemoryStore, Store},
    workflow::{Guard, without},
};

/// Seeds that a guard's absence must show in; `cargo xtask sim --guards` tells which does.
const SEEDS: u64 = 1000;
/// Seeds that must come across everything between them.
const COVERING: u64 = 150;

fn run(seed: u64, trace: bool) -> Outcome {
    let store = || -> Arc<dyn Store> { Arc::new(MemoryStore::new()) };
    bootcode_worker::simulation::run(seed, &store, trace)
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    for seed in [1, 17, 99] {
        let (first, again) = (run(seed, true), run(seed, true));
        assert!(first.trace.len() > 20, "seed {seed}: {:?}", first.trace);
        assert_eq!(first, again, "seed {seed}");
        assert_eq!(run(seed, false).hash, first.hash, "whether a trace is wanted changes nothing");
        assert_ne!(run(seed + 1, false).hash, first.hash);
    }
}

#[test]
fn every_rule_holds_and_everything_is_come_across() {
    let mut counts = Counts::default();
    for seed in 0..COVERING {
        let outcome = run(seed, false);
        assert_eq!(outcome.broken, None, "seed {seed}: cargo xtask sim --seed {seed}");
        counts.merge(&outcome.counts);
    }
    assert_eq!(counts.missing(), [""; 0], "the simulation has stopped testing something");
}

/// The rules that name what goes wrong without a guard.
fn rules(guard: Guard) -> &'static [&'static str] {
    match guard {
        Guard::ReportOfOpenAttempt => &["a-report-is-counted-once", "only-the-open-attempt-ends"],
        Guard::ReportOfOwnMachine => &["an-outcome-is-its-workers"],
        Guard::ReportOnce => &["a-report-is-counted-once", "nothing-after-the-end"],
        Guard::OneOpenAttempt => &["one-open-attempt"],
        Guard::NothingAfterTheEnd => &["nothing-after-the-end"],
        Guard::NothingWhileHeld => &["nothing-while-held", "what-is-held-is-held-once"],
        Guard::OwnTask => &["an-action-is-its-machines"],
        Guard::Expiry | Guard::Deadlines => &["nothing-starts-late", "every-workflow-ends"],
        Guard::StartGrace => &["an-attempt-has-its-time"],
        Guard::BootInterrupts => &["a-reboot-interrupts"],
        Guard::CancelStops => &["nothing-after-a-cancel"],
        Guard::RetriesAreCounted => &["retries-are-bounded"],
        Guard::DisksArmedFirst => &["disks-are-armed-first"],
        Guard::BlankOrNamed | Guard::LookedAtAnew => &["only-blank-or-named-disks"],
        Guard::OneWriterAMachine => &["one-writer-a-machine"],
        Guard::DecidedAgain => &[
            "one-open-attempt",
            "a-report-is-counted-once",
            "nothing-after-the-end",
            "attempts-count",
            "a-reboot-interrupts",
        ],
        Guard::LostAnswerLookedFor => &["what-is-acknowledged-is-kept"],
        Guard::BootTokenOnce => &["a-boot-token-opens-one-boot"],
        Guard::SessionOfThisBoot => &["an-earlier-boot-is-refused"],
        other => panic!("{other:?} has no rule that notices its absence: add one"),
    }
}

#[test]
fn each_guard_that_is_switched_off_is_noticed_by_its_rule() {
    for guard in Guard::ALL {
        let broken = without(guard, || (0..SEEDS).find_map(|seed| run(seed, false).broken));
        let Some(broken) = broken else { panic!("{guard:?} is not noticed in {SEEDS} seeds") };
        assert!(rules(guard).contains(&broken.rule), "{guard:?}: {broken:?}");
    }
}
