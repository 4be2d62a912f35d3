//! `cargo xtask bench tftp`: this server beside dnsmasq, driven by one load in one run, both on one core, the load on another, with a veth between
//! two namespaces.
//!
//! Needs root, `ip`, `taskset`, `nft` and dnsmasq; `BENCH_SERVER_PROGRAM` is an optimised build of the server. Ends with 1 where a wanted figure
//! is missed. Both servers run all the time and are asked in turn: throughput is each one's best round, since others on the machine only ever
//! take from it; CPU time is that of all rounds together. `cargo xtask bench tftp loss` measures one part: hall, alone, loss or many.

#[path = "../core/table.rs"]
#[allow(dead_code)]
mod table;

#[path = "../http/ends.rs"]
mod ends;
#[path = "../process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../dhcp/wire.rs"]
#[allow(dead_code)]
mod wire;

mod client;
mod load;

use std::{
    error::Error,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use client::Asked;
use load::{Plan, Seen};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::Pid,
};
use process::Process;
use table::{Table, Wanted};

type Failed = Box<dyn Error + Send + Sync>;

/// Where dnsmasq listens: its port cannot be another than 69.
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 3);
const FILE: &str = "boot.img";
const FILE_BYTES: usize = 1 << 20;
const BLKSIZE: usize = 1468;
const HALL: usize = 1000;
const MANY: usize = 10_000;
/// Turns of each server.
const ROUNDS: u32 = 3;
/// The round trip of the client that is alone.
const ROUND_TRIP: Duration = Duration::from_millis(5);
/// A transfer that is held open acknowledges this often.
const HELD: Duration = Duration::from_secs(3);
/// After which a server has noticed that a client is gone: its longest wait before it sends again, and an eighth of jitter.
const GONE: Duration = Duration::from_secs(5);
const START: Duration = Duration::from_secs(30);
/// Longer than any of it may take.
const AT_MOST: Duration = Duration::from_secs(120);

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

/// One of the two servers.
struct Side {
    name: &'static str,
    address: SocketAddr,
    process: Process,
}

/// What all parts need.
struct Bench {
    theirs: Side,
    ours: Side,
    content: Vec<u8>,
    table: Table,
}

fn bench() -> Result<Table, Failed> {
    type Part = (&'static str, fn(&mut Bench) -> Result<(), Failed>);
    let parts: [Part; 4] =
        [("hall", Bench::hall), ("alone", Bench::alone), ("loss", Bench::loss), ("many", Bench::many)];
    // `cargo bench` adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| parts.iter().all(|(part, _)| part != name)) {
        return Err(
            format!("no part `{unknown}`; there are {}", parts.map(|(part, _)| part).join(", ")).into()
        );
    }
    let program = std::env::var_os("BENCH_SERVER_PROGRAM").map(PathBuf::from);
    let program = program.ok_or("run it as `cargo xtask bench tftp`, which builds the server first")?;
    // The load must not share the servers' core; what it starts is moved by `taskset`.
    let mut own = CpuSet::new();
    own.set(1)?;
    sched_setaffinity(Pid::this(), &own)?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    ends::server_end()?;
    wire::run("ip", &format!("addr add {THEIRS}/24 dev srv0"))?;
    let dir = tempfile::tempdir()?;
    let content: Vec<u8> = (0..FILE_BYTES as u64 / 8).flat_map(u64::to_be_bytes).collect();
    let files = dir.path().join("files");
    fs::create_dir(&files)?;
    fs::write(files.join(FILE), &content)?;
    let theirs = dnsmasq(dir.path(), &files)?;
    let ours = bootcode(dir.path(), &files, &program)?;
    let mut bench = Bench { theirs, ours, content, table: Table::default() };
    ends::at_the_other_end(|| {
        bench.answers()?;
        for (name, measure) in parts {
            if named.is_empty() || named.iter().any(|part| part == name) {
                measure(&mut bench).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(bench.table)
    })?
}

/// dnsmasq from Debian, for files only, with as many transfers at once as the benchmark has.
fn dnsmasq(dir: &Path, files: &Path) -> Result<Side, Failed> {
    let dir = dir.join("dnsmasq");
    fs::create_dir(&dir)?;
    let config = dir.join("dnsmasq.conf");
    let text = format!(
        "keep-in-foreground\nlog-facility=-\nquiet-tftp\nport=0\nbind-interfaces\nlisten-address={THEIRS}\nenable-tftp\ntftp-root={}\n\
         tftp-max={MANY}\nuser=root\npid-file={}\n",
        files.display(),
        dir.join("dnsmasq.pid").display()
    );
    fs::write(&config, text)?;
    let option = PathBuf::from(format!("--conf-file={}", config.display()));
    let process = Process::start(&dir, Path::new("/usr/sbin/dnsmasq"), &[&option], &[])?;
    Ok(Side { name: "dnsmasq", address: (THEIRS, 69).into(), process })
}

fn bootcode(dir: &Path, files: &Path, program: &Path) -> Result<Side, Failed> {
    let dir = dir.join("ours");
    fs::create_dir_all(dir.join("machines"))?;
    let address = SocketAddr::from((wire::SERVER, 69));
    let config = dir.join("bootcode.yaml");
    let text = format!(
        "data_dir: data\nstore: sqlite\ninterfaces: [srv0]\ntftp: {{listen: '{address}'}}\nhttp: {{listen: '127.0.0.1:0'}}\n\
         api: {{socket: api.sock}}\nsources: [{{dir: machines}}]\nfiles: ['{}']\n",
        files.display()
    );
    fs::write(&config, text)?;
    let args = [Path::new("--config"), &config];
    let process = Process::start(&dir, program, &args, &[])?;
    Ok(Side { name: "ours", address, process })
}

/// What a server did in its rounds.
#[derive(Debug, Default, Clone, Copy)]
struct Done {
    /// The most MB/s of a round, and how long its last client waited.
    best: f64,
    cpu_s: f64,
    gib: f64,
    failed: f64,
    blocks: f64,
    again: f64,
}

impl Bench {
    fn plan(&self, side: &Side, clients: usize, windowsize: u64) -> Plan<'_> {
        let asked = Asked { file: FILE, content: &self.content, blksize: BLKSIZE, windowsize };
        Plan { server: side.address, asked, clients, pause: Duration::ZERO, until: AT_MOST }
    }

    /// Waits until both answer, and lets the file get old enough to be kept in memory.
    fn answers(&mut self) -> Result<(), Failed> {
        let start = Instant::now();
        loop {
            let all = [&self.theirs, &self.ours].map(|side| {
                load::run(&Plan { until: Duration::from_secs(1), ..self.plan(side, 1, 1) })
                    .is_ok_and(|seen| seen.finished == 1)
            });
            if all == [true; 2] {
                thread::sleep(Duration::from_secs(4));
                return Ok(());
            }
            for side in [&mut self.theirs, &mut self.ours] {
                if side.process.ended() {
                    return Err(format!("{} has ended; it said:\n{}", side.name, side.process.said()).into());
                }
                if start.elapsed() > START {
                    return Err(format!("{} does not answer", side.name).into());
                }
            }
        }
    }

    /// A hall that starts at once: each server in turn.
    fn in_turn(&self, windowsize: u64) -> Result<[Done; 2], Failed> {
        let mut done = [Done::default(); 2];
        for _ in 0..ROUNDS {
            for (side, done) in [&self.theirs, &self.ours].into_iter().zip(&mut done) {
                let before = side.process.worked()?;
                let seen = load::run(&self.plan(side, HALL, windowsize))?;
                done.cpu_s += (side.process.worked()? - before).as_secs_f64();
                let bytes = (seen.finished * FILE_BYTES) as f64;
                done.best = done.best.max(bytes / 1e6 / seen.took.as_secs_f64());
                done.gib += bytes / f64::from(1 << 30);
                done.failed += (HALL - seen.finished) as f64;
                done.blocks += seen.blocks as f64;
                done.again += seen.again as f64;
                tell(side, &seen);
            }
        }
        Ok(done)
    }

    fn hall(&mut self) -> Result<(), Failed> {
        for (windowsize, times) in [(1, 1.0), (8, 3.0)] {
            let [theirs, ours] = self.in_turn(windowsize)?;
            let table = &mut self.table;
            for (name, done, judged) in [("dnsmasq", theirs, false), ("ours", ours, true)] {
                let below = |bound| if judged { Wanted::Below(bound) } else { Wanted::Nothing };
                let what = format!("{name}, window {windowsize}: {HALL} clients x 1 MiB");
                table.note(&*what, Wanted::Nothing, done.best, "MB/s");
                let cpu = if windowsize == 8 { below(2.5) } else { Wanted::Nothing };
                table.note(format!("{what}, CPU time"), cpu, done.cpu_s / done.gib, "s/GiB");
                table.note(format!("{what}, failures in {ROUNDS} rounds"), below(1.0), done.failed, "");
                let again = 1000.0 * done.again / done.blocks;
                table.note(format!("{what}, blocks that came twice of 1,000"), below(1.0), again, "");
            }
            let by = ours.best / theirs.best;
            table.note(
                format!("window {windowsize}: ours by dnsmasq's"),
                Wanted::AtLeast(times),
                by,
                "times",
            );
        }
        Ok(())
    }

    /// One client over a distance: as fast as its window lets it.
    fn alone(&mut self) -> Result<(), Failed> {
        for windowsize in [1, 8, 64] {
            let seen = load::run(&Plan { pause: ROUND_TRIP, ..self.plan(&self.ours, 1, windowsize) })?;
            all_finished(&seen, 1)?;
            let most = windowsize as f64 * BLKSIZE as f64 / ROUND_TRIP.as_secs_f64();
            let by = FILE_BYTES as f64 / seen.took.as_secs_f64() / most;
            let what =
                format!("ours, one client, round trip 5 ms, window {windowsize}: of window x block / RTT");
            // The last window is not full, and the round trip of the options carries nothing.
            let short = if windowsize == 64 { Wanted::Nothing } else { Wanted::AtLeast(0.8) };
            self.table.note(what, short, by, "");
        }
        Ok(())
    }

    /// Each packet by itself: what goes over a veth in one piece would be lost in one piece.
    fn loss(&mut self) -> Result<(), Failed> {
        wire::run("ip", "link set cli0 gso_max_segs 1")?;
        wire::run("nft", "add table ip lossy")?;
        for windowsize in [1, 8] {
            let mut took = [0.0_f64; 2];
            let mut again = 0.0;
            for (lossy, took) in [false, true].into_iter().zip(&mut took) {
                if lossy {
                    for hook in ["input", "output"] {
                        wire::run(
                            "nft",
                            &format!("add chain ip lossy {hook} {{ type filter hook {hook} priority 0 ; }}"),
                        )?;
                        wire::run(
                            "nft",
                            &format!("add rule ip lossy {hook} numgen random mod 100 == 0 drop"),
                        )?;
                    }
                }
                let seen = load::run(&self.plan(&self.ours, HALL, windowsize))?;
                wire::run("nft", "flush table ip lossy")?;
                tell(&self.ours, &seen);
                all_finished(&seen, HALL)?;
                *took = seen.took.as_secs_f64();
                again = 100.0 * seen.again as f64 / seen.blocks as f64;
            }
            let [whole, lossy] = took;
            let table = &mut self.table;
            let what = format!("ours, window {windowsize}, {HALL} clients");
            table.note(format!("{what}: the last has its file after"), Wanted::Nothing, whole, "s");
            table.note(format!("{what}, 1 % loss: the last has its file after"), Wanted::Nothing, lossy, "s");
            table.note(
                format!("{what}, 1 % loss: by the time without"),
                Wanted::Below(3.0),
                lossy / whole,
                "times",
            );
            table.note(
                format!("{what}, 1 % loss: blocks that came twice of 100"),
                Wanted::Nothing,
                again,
                "",
            );
        }
        wire::run("nft", "delete table ip lossy")?;
        Ok(())
    }

    /// Ten thousand that stay: what each costs in memory.
    fn many(&mut self) -> Result<(), Failed> {
        // Ports of clients that are gone are given anew; transfers whose last acknowledgement was lost still send to them.
        thread::sleep(GONE);
        let plan = Plan { pause: HELD, until: HELD * 4, ..self.plan(&self.ours, MANY, 8) };
        let (seen, resident) = thread::scope(|scope| {
            let load = scope.spawn(|| load::run(&plan));
            thread::sleep(HELD * 3);
            let resident = self.ours.process.resident_mib();
            (load.join(), resident)
        });
        let seen = seen.map_err(|_| "the load failed")??;
        let held = seen.begun - seen.failed.len();
        tell(&self.ours, &seen);
        self.table.note("ours: transfers at once", Wanted::AtLeast(MANY as f64), held as f64, "");
        self.table.note("ours: RSS with them", Wanted::Below(100.0), resident?, "MiB");
        Ok(())
    }
}

fn tell(side: &Side, seen: &Seen) {
    let first = seen.failed.first().map(String::as_str).unwrap_or_default();
    eprintln!(
        "  {}: {} finished, {} failed {first} in {:.2} s; {} blocks, {} twice",
        side.name,
        seen.finished,
        seen.failed.len(),
        seen.took.as_secs_f64(),
        seen.blocks,
        seen.again
    );
}

fn all_finished(seen: &Seen, clients: usize) -> Result<(), Failed> {
    if seen.finished == clients {
        return Ok(());
    }
    Err(format!("{} of {clients} clients have their file: {:?}", seen.finished, seen.failed.first()).into())
}
