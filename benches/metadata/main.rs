//! `cargo xtask bench metadata`: this server with 100,000 machines beside nginx with a file of 1 KiB, driven by one load in one run.
//!
//! Needs root, `ip`, `taskset` and `nginx`; `BENCH_SERVER_PROGRAM` is an optimised build of the server. Both servers have core 0 alone (nginx one
//! worker, ours as many threads as it starts there), the load core 1 and a network namespace of its own, in which every machine's address is.
//! Rounds of the two take turns. Ends with 1 where a wanted figure is missed. `cargo xtask bench metadata storm` measures one part: rate, forms or storm.

#[path = "../nginx.rs"]
mod nginx;
#[path = "../process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../core/table.rs"]
#[allow(dead_code)]
mod table;
#[path = "../dhcp/wire.rs"]
mod wire;

mod ask;
mod connection;
mod load;
mod site;
mod storm;

use std::{
    error::Error,
    fs,
    net::SocketAddrV4,
    path::PathBuf,
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ask::{Ask, BOOT, FILE, MIX};
use connection::Connection;
use load::{Load, Seen};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::Pid,
};
use process::Process;
use table::{Table, Wanted};

type Failed = Box<dyn Error + Send + Sync>;

const MACHINES: u32 = 100_000;
const STORM: u32 = 10_000;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 3;
/// A server reads its machines before it answers.
const START: Duration = Duration::from_secs(180);
/// Of nginx's rate.
const RATE: f64 = 0.8;

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
    ours: Process,
    nginx: Process,
    table: Table,
}

fn bench() -> Result<Table, Failed> {
    type Part = (&'static str, fn(&mut Bench) -> Result<(), Failed>);
    let parts: [Part; 3] = [("rate", Bench::rate), ("forms", Bench::forms), ("storm", Bench::storm)];
    // `cargo bench` adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| parts.iter().all(|(part, _)| part != name)) {
        return Err(
            format!("no part `{unknown}`; there are {}", parts.map(|(part, _)| part).join(", ")).into()
        );
    }
    let program = std::env::var_os("BENCH_SERVER_PROGRAM").map(PathBuf::from);
    let program = program.ok_or("run it as `cargo xtask bench metadata`, which builds the server first")?;
    // The load must not share the server's core; what it starts is moved by `taskset`.
    let mut own = CpuSet::new();
    own.set(1)?;
    sched_setaffinity(Pid::this(), &own)?;
    // A socket for each machine of the storm; only some may raise the hard bound.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    wire::own_namespace()?;
    wire::run("ip", "link add srv0 type veth peer name cli0")?;
    wire::run("ip", &format!("addr add {}/24 dev srv0", wire::SERVER))?;
    wire::run("ip", "link set srv0 up")?;
    let dir = tempfile::tempdir()?;
    let fresh = |name: &str| -> Result<PathBuf, Failed> {
        let dir = dir.path().join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    };
    let (theirs, own) = (fresh("nginx")?, fresh("ours")?);
    let start = move || -> Result<(Process, Process), Failed> {
        Ok((site::nginx(&theirs)?, site::bootcode(&own, &program, MACHINES)?))
    };
    machines_side(start, move |(nginx, ours)| {
        let mut bench = Bench { nginx, ours, table: Table::default() };
        bench.wait()?;
        bench.said_load("before")?;
        for (name, measure) in parts {
            if named.is_empty() || named.iter().any(|part| part == name) {
                measure(&mut bench).map_err(|error| {
                    let (ours, theirs) = (bench.ours.said(), bench.nginx.said());
                    format!("{name}: {error}\nours said:\n{ours}nginx said:\n{theirs}")
                })?;
            }
        }
        bench.said_load("after")?;
        Ok(bench.table)
    })
}

/// Starts servers here and measures them from a thread in another namespace, where all machines' addresses are behind one router.
fn machines_side<S: Send + 'static, T: Send + 'static>(
    start: impl FnOnce() -> Result<S, Failed>,
    measure: impl FnOnce(S) -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<S>();
    let thread = thread::spawn(move || -> Result<T, Failed> {
        wire::own_namespace()?;
        tell.send(nix::unistd::gettid())?;
        let servers = wait.recv()?;
        wire::run("ip", &format!("addr add {}/24 dev cli0", wire::RELAY))?;
        wire::run("ip", "link set cli0 up")?;
        // All of them are this host's.
        wire::run("ip", "route add local 10.0.0.0/12 dev lo")?;
        measure(servers)
    });
    if let Ok(thread) = told.recv() {
        wire::run("ip", &format!("link set cli0 netns {thread}"))?;
        wire::run("ip", &format!("route add 10.0.0.0/12 via {}", wire::RELAY))?;
        // A thread that has ended says why.
        let _ = go.send(start()?);
    }
    thread.join().map_err(|_| "the load's thread failed")?
}

/// Rounds of one server, with what they cost it.
struct Measured {
    seen: Vec<Seen>,
    worked: Duration,
}

impl Measured {
    fn answers(&self) -> f64 {
        self.seen.iter().map(Seen::answers).sum()
    }

    fn took(&self) -> f64 {
        self.seen.iter().map(|seen| seen.took.as_secs_f64()).sum()
    }

    fn per_s(&self) -> f64 {
        self.answers() / self.took()
    }

    fn cpu_us(&self) -> f64 {
        self.worked.as_secs_f64() * 1e6 / self.answers()
    }
}

impl Bench {
    /// Until both answer.
    fn wait(&mut self) -> Result<(), Failed> {
        let start = Instant::now();
        for (target, ask) in [(site::NGINX, FILE), (site::OURS, MIX[0])] {
            let answers = || {
                let mut connection = Connection::open(target, MACHINES - 1)?;
                connection.ask(ask, &ask.request(MACHINES - 1, true))?;
                connection.wait(START)
            };
            while let Err(error) = answers() {
                if self.ours.ended() || self.nginx.ended() || start.elapsed() > START {
                    let (ours, theirs) = (self.ours.said(), self.nginx.said());
                    return Err(format!("{target}: {error}; ours said:\n{ours}nginx said:\n{theirs}").into());
                }
                thread::sleep(Duration::from_millis(500));
            }
        }
        self.table.note(
            "100k machines answered for after",
            Wanted::Nothing,
            start.elapsed().as_secs_f64(),
            "s",
        );
        Ok(())
    }

    fn said_load(&mut self, when: &str) -> Result<(), Failed> {
        let average = fs::read_to_string("/proc/loadavg")?;
        let minute: f64 = average.split(' ').next().unwrap_or_default().parse()?;
        self.table.note(format!("load average of a minute, {when}"), Wanted::Nothing, minute, "");
        Ok(())
    }

    /// Both in turn: a closed loop, then half of the wanted rate whatever comes back.
    fn rate(&mut self) -> Result<(), Failed> {
        closed(&self.nginx, site::NGINX, &[FILE], Duration::from_secs(1))?;
        closed(&self.ours, site::OURS, &MIX, Duration::from_secs(1))?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(closed(&self.nginx, site::NGINX, &[FILE], ROUND)?);
            ours.push(closed(&self.ours, site::OURS, &MIX, ROUND)?);
        }
        let (theirs, ours) = (sum(theirs), sum(ours));
        for (whose, measured) in [("nginx, 1 KiB", &theirs), ("ours, mixed", &ours)] {
            self.table.note(format!("{whose}: requests"), Wanted::Nothing, measured.per_s(), "/s");
            self.table.note(
                format!("{whose}: CPU time of a request"),
                Wanted::Nothing,
                measured.cpu_us(),
                "us",
            );
            let busy = measured.worked.as_secs_f64() / measured.took() * 100.0;
            self.table.note(format!("{whose}: its core busy with it"), Wanted::Nothing, busy, "%");
        }
        self.table.note(
            "requests/s by nginx's",
            Wanted::AtLeast(RATE),
            ours.per_s() / theirs.per_s(),
            "times",
        );
        self.table.note(
            "nginx's CPU time by ours",
            Wanted::Nothing,
            theirs.cpu_us() / ours.cpu_us(),
            "times",
        );
        let half = theirs.per_s() * RATE / 2.0;
        self.table.note("half of the wanted rate", Wanted::Nothing, half, "/s");
        for (whose, target, asks, wanted) in [
            ("nginx", site::NGINX, &[FILE][..], Wanted::Nothing),
            ("ours", site::OURS, &MIX, Wanted::Below(2.0)),
        ] {
            let mut seen = Load::new(target, asks, MACHINES)?.open(half, ROUND * ROUNDS)?;
            self.table.note(format!("{whose}: answered at that rate"), Wanted::Nothing, seen.per_s(), "/s");
            for (part, name, wanted) in
                [(0.5, "median", Wanted::Nothing), (0.99, "p99", wanted), (0.999, "p99.9", Wanted::Nothing)]
            {
                self.table.note(format!("{whose}: {name} at that rate"), wanted, seen.within_ms(part), "ms");
            }
        }
        Ok(())
    }

    /// Each form alone.
    fn forms(&mut self) -> Result<(), Failed> {
        for ask in &MIX {
            let seen = closed(&self.ours, site::OURS, std::slice::from_ref(ask), ROUND)?;
            self.table.note(format!("ours, {}", ask.path), Wanted::Nothing, seen.per_s(), "/s");
            self.table.note(format!("ours, {}: CPU time", ask.path), Wanted::Nothing, seen.cpu_us(), "us");
        }
        Ok(())
    }

    /// 10,000 machines at once.
    fn storm(&mut self) -> Result<(), Failed> {
        for (whose, target, asks, judged) in
            [("nginx", site::NGINX, &[FILE; BOOT.len()], false), ("ours", site::OURS, &BOOT, true)]
        {
            let seen = storm::storm(target, asks, STORM)?;
            let below = |bound| if judged { Wanted::Below(bound) } else { Wanted::Nothing };
            let (took, undone) = (seen.took.as_secs_f64(), f64::from(STORM) - seen.done as f64);
            self.table.note(format!("{whose}: 10k machines, 20 connections each"), below(20.0), took, "s");
            self.table.note(format!("{whose}: machines without all answers"), below(1.0), undone, "");
            self.table.note(
                format!("{whose}: connections that broke"),
                Wanted::Nothing,
                seen.broken as f64,
                "",
            );
        }
        Ok(())
    }
}

fn closed(
    server: &Process,
    target: SocketAddrV4,
    asks: &[Ask],
    length: Duration,
) -> Result<Measured, Failed> {
    let before = server.worked()?;
    let seen = Load::new(target, asks, MACHINES)?.closed(length)?;
    Ok(Measured { seen: vec![seen], worked: server.worked()? - before })
}

fn sum(rounds: Vec<Measured>) -> Measured {
    let worked = rounds.iter().map(|round| round.worked).sum();
    Measured { seen: rounds.into_iter().flat_map(|round| round.seen).collect(), worked }
}
