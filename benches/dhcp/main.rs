//! `cargo xtask bench dhcp`: this server beside Kea, driven by one load in one run, each on a core of its own, in own namespaces.
//!
//! Needs root, `ip`, `taskset` and `kea-dhcp4`; `BENCH_SERVER_PROGRAM` is a release build of the server. Ends with 1 where a wanted
//! figure is missed. Times are the server's own CPU time, which others on the machine do not make longer; rates they do, for both alike.

#[path = "../core/table.rs"]
#[allow(dead_code)]
mod table;

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
use peer::Peer;
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

fn bench() -> Result<Table, Failed> {
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
    let load = relay()?;

    let dir = tempfile::tempdir()?;
    let fresh = |name: &str| -> Result<PathBuf, Failed> {
        let dir = dir.path().join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    };
    let mut table = Table::default();
    let reserved = |load: &Load| load.turn(From::Reservations);
    reserved(&load);
    let kea = fresh("kea")?;
    let (theirs, their_burst) =
        serving(&load, &kea, peer::kea(&kea, MACHINES, From::Reservations)?, |peer| {
            Ok((closed(&load, peer)?, settled_burst(&load)?))
        })?;
    reserved(&load);
    let ours = fresh("ours")?;
    let server = peer::bootcode(&ours, &program, MACHINES, From::Reservations)?;
    let (ours, small) =
        serving(&load, &ours, server, |peer| Ok((closed(&load, peer)?, settled_burst(&load)?)))?;
    reserved(&load);
    let many = fresh("many")?;
    let server = peer::bootcode(&many, &program, MANY, From::Reservations)?;
    let (large, resident) = serving(&load, &many, server, |peer| {
        let burst = settled_burst(&load)?;
        thread::sleep(GIVEN_BACK);
        Ok((burst, peer.resident_mib()?))
    })?;
    let pool = fresh("kea-pool")?;
    load.turn(From::Pool);
    let their_pool = serving(&load, &pool, peer::kea(&pool, MACHINES, From::Pool)?, |peer| {
        Ok((load.enrol(MACHINES)?, closed(&load, peer)?))
    })?;
    let pool = fresh("our-pool")?;
    load.turn(From::Pool);
    let server = peer::bootcode(&pool, &program, MACHINES, From::Pool)?;
    let our_pool = serving(&load, &pool, server, |peer| Ok((load.enrol(MACHINES)?, closed(&load, peer)?)))?;

    table.note("Kea: DORA", Wanted::Nothing, theirs.per_s, "/s");
    table.note("Kea: CPU time of a DORA", Wanted::Nothing, theirs.cpu_us, "us");
    table.note("Kea: lost", Wanted::Nothing, theirs.seen.lost as f64, "");
    table.note("ours: DORA", Wanted::Nothing, ours.per_s, "/s");
    table.note("ours: CPU time of a DORA", Wanted::Nothing, ours.cpu_us, "us");
    table.note("ours: lost", Wanted::Below(1.0), ours.seen.lost as f64, "");
    table.note("DORA/s by Kea's", Wanted::AtLeast(6.0), ours.per_s / theirs.per_s, "times");
    table.note("Kea's CPU time by ours", Wanted::AtLeast(6.0), theirs.cpu_us / ours.cpu_us, "times");
    for (whose, burst, judged) in
        [("Kea, 10k", their_burst, false), ("ours, 10k", small, true), ("ours, 100k", large, true)]
    {
        let below = |bound| if judged { Wanted::Below(bound) } else { Wanted::Nothing };
        let unanswered = f64::from(MACHINES) - burst.offers as f64;
        let sent_in = burst.sent_in.as_secs_f64();
        table.note(format!("{whose} known: 10k DISCOVERs sent within"), Wanted::Below(0.1), sent_in, "s");
        table.note(format!("{whose} known: unanswered"), below(1.0), unanswered, "");
        table.note(format!("{whose} known: last OFFER"), below(1.0), burst.slowest.as_secs_f64(), "s");
    }
    // Kea asks nobody who has an address; ours asks before the first offer to a machine, and not in the loop of machines that return.
    for (whose, (first, closed)) in [("Kea", &their_pool), ("ours", &our_pool)] {
        table.note(
            format!("{whose}, pool of 10k: all have their first address after"),
            Wanted::Nothing,
            first.as_secs_f64(),
            "s",
        );
        table.note(
            format!("{whose}, pool of 10k, returning, each ACK after its write: DORA"),
            Wanted::Nothing,
            closed.per_s,
            "/s",
        );
        table.note(format!("{whose}, pool: CPU time of a DORA"), Wanted::Nothing, closed.cpu_us, "us");
        table.note(format!("{whose}, pool: lost"), Wanted::Nothing, closed.seen.lost as f64, "");
    }
    table.note("pool: DORA/s by Kea's", Wanted::AtLeast(2.0), our_pool.1.per_s / their_pool.1.per_s, "times");
    table.note("RSS with 100k machines", Wanted::Below(150.0), resident, "MiB");
    Ok(table)
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
    mut peer: Peer,
    measure: impl FnOnce(&Peer) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let start = Instant::now();
    loop {
        if peer.ended() || start.elapsed() > START {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
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

fn closed(load: &Load, peer: &Peer) -> Result<Measured, Failed> {
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
