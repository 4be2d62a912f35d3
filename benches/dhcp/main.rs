//! `cargo xtask bench dhcp`: this server beside Kea, driven by one load in one run, each on a core of its own, in own namespaces.
//!
//! Needs root, `ip`, `taskset` and `kea-dhcp4`; `BENCH_SERVER_PROGRAM` is an optimised build of the server. Ends with 1 where a wanted
//! figure is missed. Times are the server's own CPU time, which others on the machine do not make longer; rates they do, for both alike.
//! `cargo xtask bench dhcp pool` measures one part: reserved, many or pool.

#[path = "../process.rs"]
mod process;
#[path = "../core/table.rs"]
#[allow(dead_code)]
mod table;

mod batch;
mod load;
mod peer;
mod wire;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use load::{Burst, From, Load, Loop};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use process::Process;
use table::{Table, Wanted};

type Failed = Box<dyn Error + Send + Sync>;

const MACHINES: u32 = 10_000;
const MANY: u32 = 100_000;
const LENGTH: Duration = Duration::from_secs(5);
/// Until the server's allocator has given back what reading all machines took: it does so within 10 s.
const GIVEN_BACK: Duration = Duration::from_secs(12);
/// A server reads its machines before it answers.
const START: Duration = Duration::from_secs(180);

/// A closed loop with what it cost the server.
struct Measured {
    seen: Loop,
    per_s: f64,
    cpu_us: f64,
}

fn main() -> ExitCode {
    match bench() {
        Ok(table) => {
            print!("{table}");
            if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all parts need.
struct Bench {
    program: PathBuf,
    load: Load,
    dir: tempfile::TempDir,
    table: Table,
}

fn bench() -> Result<Table, Failed> {
    type Part = (&'static str, fn(&mut Bench) -> Result<(), Failed>);
    let parts: [Part; 3] = [("reserved", Bench::reserved), ("many", Bench::many), ("pool", Bench::pool)];
    // `cargo bench` adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| parts.iter().all(|(part, _)| part != name)) {
        return Err(
            format!("no part `{unknown}`; there are {}", parts.map(|(part, _)| part).join(", ")).into()
        );
    }
    let program = std::env::var_os("BENCH_SERVER_PROGRAM").map(PathBuf::from);
    let program = program.ok_or("run it as `cargo xtask bench dhcp`, which builds the server first")?;
    // The load must not share the server's core; what it starts is moved by `taskset`.
    let mut own = CpuSet::new();
    own.set(1)?;
    sched_setaffinity(Pid::this(), &own)?;
    wire::own_namespace()?;
    wire::run("ip", "link add srv0 type veth peer name cli0")?;
    wire::run("ip", &format!("addr add {}/8 dev srv0", wire::SERVER))?;
    wire::run("ip", "link set srv0 up")?;
    let mut bench = Bench { program, load: relay()?, dir: tempfile::tempdir()?, table: Table::default() };
    for (name, measure) in parts {
        if named.is_empty() || named.iter().any(|part| part == name) {
            measure(&mut bench).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(bench.table)
}

impl Bench {
    /// A server's directory.
    fn fresh(&self, name: &str) -> Result<PathBuf, Failed> {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// Reservations: a closed loop, then all machines at once.
    fn reserved(&mut self) -> Result<(), Failed> {
        self.load.turn(From::Reservations)?;
        let load = &self.load;
        let measure = |peer: &Process| Ok((closed(load, peer)?, settled_burst(load)?));
        let dir = self.fresh("kea")?;
        let (theirs, their_burst) =
            serving(load, &dir, peer::kea(&dir, MACHINES, From::Reservations)?, measure)?;
        let dir = self.fresh("ours")?;
        let server = peer::bootcode(&dir, &self.program, MACHINES, From::Reservations)?;
        let (ours, burst) = serving(load, &dir, server, measure)?;
        let table = &mut self.table;
        for (whose, measured, lost) in
            [("Kea", &theirs, Wanted::Nothing), ("ours", &ours, Wanted::Below(1.0))]
        {
            table.note(format!("{whose}: DORA"), Wanted::Nothing, measured.per_s, "/s");
            table.note(format!("{whose}: CPU time of a DORA"), Wanted::Nothing, measured.cpu_us, "us");
            table.note(format!("{whose}: lost"), lost, measured.seen.lost as f64, "");
        }
        table.note("DORA/s by Kea's", Wanted::AtLeast(6.0), ours.per_s / theirs.per_s, "times");
        table.note("Kea's CPU time by ours", Wanted::AtLeast(6.0), theirs.cpu_us / ours.cpu_us, "times");
        table.burst("Kea, 10k", &their_burst, false);
        table.burst("ours, 10k", &burst, true);
        Ok(())
    }

    /// All the machines that a site may have: memory, and whether a look-up gets slower.
    fn many(&mut self) -> Result<(), Failed> {
        self.load.turn(From::Reservations)?;
        let load = &self.load;
        let dir = self.fresh("many")?;
        let server = peer::bootcode(&dir, &self.program, MANY, From::Reservations)?;
        let (burst, resident) = serving(load, &dir, server, |peer| {
            let burst = settled_burst(load)?;
            thread::sleep(GIVEN_BACK);
            Ok((burst, peer.resident_mib()?))
        })?;
        let again = peer::again(&dir, &self.program)?;
        let restarted = serving(load, &dir, again, |peer| {
            thread::sleep(GIVEN_BACK);
            Ok(peer.resident_mib()?)
        })?;
        self.table.burst("ours, 100k", &burst, true);
        self.table.note("RSS with 100k machines, just applied", Wanted::Below(150.0), resident, "MiB");
        self.table.note("RSS with 100k machines, started again", Wanted::Below(150.0), restarted, "MiB");
        Ok(())
    }

    /// Addresses from a pool. Kea asks nobody who has an address; ours asks before the first offer to a machine, and not in the loop of
    /// machines that return.
    fn pool(&mut self) -> Result<(), Failed> {
        let load = &self.load;
        let measure = |peer: &Process| Ok((load.enrol(MACHINES)?, closed(load, peer)?));
        load.turn(From::Pool)?;
        let dir = self.fresh("kea-pool")?;
        let theirs = serving(load, &dir, peer::kea(&dir, MACHINES, From::Pool)?, measure)
            .map_err(|error| format!("Kea: {error}"))?;
        load.turn(From::Pool)?;
        let dir = self.fresh("our-pool")?;
        let server = peer::bootcode(&dir, &self.program, MACHINES, From::Pool)?;
        let ours = serving(load, &dir, server, measure)?;
        let table = &mut self.table;
        for (whose, (first, closed)) in [("Kea", &theirs), ("ours", &ours)] {
            let first = first.as_secs_f64();
            table.note(
                format!("{whose}, pool of 10k: all have an address after"),
                Wanted::Nothing,
                first,
                "s",
            );
            table.note(format!("{whose}, pool, returning: DORA"), Wanted::Nothing, closed.per_s, "/s");
            table.note(format!("{whose}, pool: CPU time of a DORA"), Wanted::Nothing, closed.cpu_us, "us");
            table.note(format!("{whose}, pool: lost"), Wanted::Nothing, closed.seen.lost as f64, "");
        }
        let by = ours.1.per_s / theirs.1.per_s;
        table.note("pool, each ACK after its write: DORA/s by Kea's", Wanted::AtLeast(2.0), by, "times");
        Ok(())
    }
}

impl Table {
    fn burst(&mut self, whose: &str, burst: &Burst, judged: bool) {
        let below = |bound| if judged { Wanted::Below(bound) } else { Wanted::Nothing };
        let unanswered = f64::from(MACHINES) - burst.offers as f64;
        let (sent_in, slowest) = (burst.sent_in.as_secs_f64(), burst.slowest.as_secs_f64());
        self.note(format!("{whose} known: 10k DISCOVERs sent within"), Wanted::Below(0.1), sent_in, "s");
        self.note(format!("{whose} known: unanswered"), below(1.0), unanswered, "");
        self.note(format!("{whose} known: last OFFER"), below(1.0), slowest, "s");
    }
}

/// The load's socket, opened by a thread in a namespace of its own. A socket stays where it was made.
fn relay() -> Result<Load, Failed> {
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let thread = thread::spawn(move || -> Result<Load, Failed> {
        wire::own_namespace()?;
        tell.send(nix::unistd::gettid())?;
        wait.recv()?;
        wire::run("ip", &format!("addr add {}/8 dev cli0", wire::RELAY))?;
        wire::run("ip", "link set cli0 up")?;
        Ok(Load::open()?)
    });
    if let Ok(thread) = told.recv() {
        wire::run("ip", &format!("link set cli0 netns {thread}"))?;
        go.send(())?;
    }
    thread.join().map_err(|_| "the load's thread failed")?
}

/// Waits until the server answers, then measures it; what it said goes with a failure.
fn serving<T>(
    load: &Load,
    dir: &Path,
    mut peer: Process,
    measure: impl FnOnce(&Process) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let start = Instant::now();
    loop {
        if peer.ended() || start.elapsed() > START {
            let log = peer.said();
            return Err(format!("{} does not answer; it said:\n{log}", dir.display()).into());
        }
        // A server that is not there yet says so by ICMP. Of many machines, so that none asks more often than it may.
        if load.run(MACHINES, Duration::from_millis(300)).is_ok_and(|seen| seen.doras > 0) {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    measure(&peer)
}

fn closed(load: &Load, peer: &Process) -> Result<Measured, Failed> {
    load.run(MACHINES, Duration::from_secs(1))?;
    let (before, start) = (peer.worked()?, Instant::now());
    let seen = load.run(MACHINES, LENGTH)?;
    let (took, worked) = (start.elapsed(), peer.worked()? - before);
    let doras = seen.doras.max(1) as f64;
    Ok(Measured { seen, per_s: doras / took.as_secs_f64(), cpu_us: worked.as_secs_f64() * 1e6 / doras })
}

/// After what came before has ended, so that no client asks more often than it may.
fn settled_burst(load: &Load) -> Result<Burst, Failed> {
    thread::sleep(Duration::from_secs(5));
    Ok(load.burst(0, MACHINES)?)
}
