//! Runs seeds of the simulation on every core: `simulate [--seed N | --guards | --seeds COUNT --from N]`. `cargo xtask sim` calls it.

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bootcode_core::{
    simulation::{Broken, Counts, Outcome},
    store::{MemoryStore, Store},
    workflow::{Guard, without},
};

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--seed") {
        return replay(seed);
    }
    if arguments.iter().any(|argument| argument == "--guards") {
        return guards(number("--seeds").unwrap_or(1000));
    }
    let (from, count) = (number("--from").unwrap_or(0), number("--seeds").unwrap_or(10_000));
    sweep(from, count)
}

/// Prints all that happens in one seed.
fn replay(seed: u64) -> ExitCode {
    let outcome = bootcode_worker::simulation::run(seed, &store, true);
    let mut out = std::io::stdout().lock();
    for line in &outcome.trace {
        // Whoever reads only the beginning has read enough.
        if writeln!(out, "{line}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    let end = verdict(seed, &outcome);
    let _ = writeln!(out, "{end}");
    if outcome.broken.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Switches each guard off until a seed fails because of it.
fn guards(count: u64) -> ExitCode {
    let mut missed = 0;
    for guard in Guard::ALL {
        let caught = without(guard, || {
            (0..count).find_map(|seed| {
                let broken = bootcode_worker::simulation::run(seed, &store, false).broken?;
                Some((seed, broken))
            })
        });
        match caught {
            Some((seed, broken)) => println!("{guard:?}: seed {seed}: {}: {}", broken.rule, broken.detail),
            None => {
                missed += 1;
                println!("{guard:?}: NOT NOTICED in {count} seeds");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn verdict(seed: u64, outcome: &Outcome) -> String {
    let minutes = outcome.virtual_ms / 60_000;
    match &outcome.broken {
        None => format!("seed {seed}: every rule held for {minutes} min; trace {:016x}", outcome.hash),
        Some(Broken { rule, detail }) => format!(
            "seed {seed}: BROKEN {rule}: {detail}\n  after {minutes} min; trace {:016x}\n  again: cargo xtask sim --seed {seed}",
            outcome.hash
        ),
    }
}

#[derive(Default)]
struct Sweep {
    next: AtomicU64,
    done: AtomicU64,
    end: AtomicBool,
    counts: Mutex<Counts>,
    failed: Mutex<Option<(u64, Outcome)>>,
}

impl Sweep {
    fn work(&self, from: u64, count: u64) {
        let mut counts = Counts::default();
        while !self.end.load(Ordering::Relaxed) {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                break;
            }
            let outcome = bootcode_worker::simulation::run(from + place, &store, false);
            counts.merge(&outcome.counts);
            self.done.fetch_add(1, Ordering::Relaxed);
            if outcome.broken.is_some() {
                self.end.store(true, Ordering::Relaxed);
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                // The first seed, so that two runs name the same one as often as can be.
                if failed.as_ref().is_none_or(|(seed, _)| *seed > from + place) {
                    *failed = Some((from + place, outcome));
                }
            }
        }
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).merge(&counts);
    }
}

fn sweep(from: u64, count: u64) -> ExitCode {
    let start = Instant::now();
    let sweep = Sweep::default();
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| sweep.work(from, count))).collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(50));
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                println!("    {} of {count} seeds", sweep.done.load(Ordering::Relaxed));
            }
        }
        // A panic in a worker of ours is told by itself and ends this program.
        workers.into_iter().for_each(|worker| drop(worker.join()));
    });
    let done = sweep.done.load(Ordering::Relaxed);
    let counts = sweep.counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seen: Vec<String> = counts.all().map(|(what, count)| format!("{what} {count}")).collect();
    println!("    {}", seen.join(", "));
    println!("    {done} seeds in {:.1} s", start.elapsed().as_secs_f64());
    match sweep.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((seed, outcome)) => {
            eprintln!("{}", verdict(seed, &outcome));
            ExitCode::FAILURE
        }
        None if done < count => {
            eprintln!("only {done} of {count} seeds ran: see above");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
