//! `cargo xtask bench http`: this server beside Debian's nginx, driven by one load in one run, both on one core, the load on another, with a veth
//! between two namespaces.
//!
//! Needs root, `ip`, `taskset`, nginx, and 1.4 GB below `target/`; `BENCH_SERVER_PROGRAM` is an optimised build of the server. Ends with 1 where
//! a wanted figure is missed. Both servers run all the time and are asked in turn: throughput is each one's best round, since others on the
//! machine only ever take from it; CPU time is that of all rounds together. `cargo xtask bench http large` measures one part: large, small or crowd.

#[path = "../core/table.rs"]
#[allow(dead_code)]
mod table;

#[path = "../nginx.rs"]
mod nginx;
#[path = "../process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../dhcp/wire.rs"]
#[allow(dead_code)]
mod wire;

mod client;
mod content;
mod ends;
mod load;

use std::{
    error::Error,
    fs,
    net::{SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use client::{Client, READ_BYTES};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use process::Process;
use table::{Table, Wanted};

type Failed = Box<dyn Error + Send + Sync>;

const LARGE_BYTES: u64 = 256 << 20;
const SMALL_BYTES: u64 = 64 << 10;
const SMALL_FILES: usize = 100;
const IMAGE_BYTES: u64 = 1 << 30;
const BOOT_BYTES: u64 = 1 << 20;
const KEPT: usize = 64;
const CROWD: usize = 64;
/// Turns of each server, and what it does in one.
const ROUNDS: u32 = 7;
const LARGE_A_ROUND: u64 = 6;
const SMALL_A_ROUND: Duration = Duration::from_secs(2);
const START: Duration = Duration::from_secs(30);

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
    sides: [Side; 2],
    files: PathBuf,
    table: Table,
}

fn bench() -> Result<Table, Failed> {
    type Part = (&'static str, fn(&mut Bench) -> Result<(), Failed>);
    let parts: [Part; 3] = [("large", Bench::large), ("small", Bench::small), ("crowd", Bench::crowd)];
    // `cargo bench` adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| parts.iter().all(|(part, _)| part != name)) {
        return Err(
            format!("no part `{unknown}`; there are {}", parts.map(|(part, _)| part).join(", ")).into()
        );
    }
    let program = std::env::var_os("BENCH_SERVER_PROGRAM").map(PathBuf::from);
    let program = program.ok_or("run it as `cargo xtask bench http`, which builds the server first")?;
    // The load must not share the servers' core; what it starts is moved by `taskset`.
    let mut own = CpuSet::new();
    own.set(1)?;
    sched_setaffinity(Pid::this(), &own)?;
    ends::server_end()?;
    // Below target/, which has room for it and is no tmpfs.
    let dir = tempfile::tempdir_in(program.parent().ok_or("the server's program has no directory")?)?;
    // What nginx serves as `/files/`, too.
    let files = dir.path().join("nginx/www/files");
    fs::create_dir_all(&files)?;
    let sides = [theirs(dir.path())?, ours(dir.path(), &files, &program)?];
    let mut bench = Bench { sides, files, table: Table::default() };
    ends::at_the_other_end(|| {
        bench.sides.iter_mut().try_for_each(answers)?;
        for (name, measure) in parts {
            if named.is_empty() || named.iter().any(|part| part == name) {
                measure(&mut bench).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(bench.table)
    })?
}

fn theirs(dir: &Path) -> Result<Side, Failed> {
    let address = SocketAddrV4::new(wire::SERVER, 8081);
    let process = nginx::start(&dir.join("nginx"), address)?;
    Ok(Side { name: "nginx", address: address.into(), process })
}

fn ours(dir: &Path, files: &Path, program: &Path) -> Result<Side, Failed> {
    let dir = dir.join("ours");
    fs::create_dir_all(dir.join("machines"))?;
    let address = SocketAddr::from((wire::SERVER, 8080));
    let config = dir.join("bootcode.yaml");
    let text = format!(
        "data_dir: data\nstore: sqlite\ninterfaces: [srv0]\ntftp: {{listen: '127.0.0.1:0'}}\nhttp: {{listen: '{address}'}}\n\
         api: {{socket: api.sock}}\nsources: [{{dir: machines}}]\nfiles: ['{}']\n",
        files.display()
    );
    fs::write(&config, text)?;
    let args = [Path::new("--config"), &config];
    Ok(Side { name: "ours", address, process: Process::start(&dir, program, &args, &[])? })
}

/// Waits until a server accepts connections.
fn answers(side: &mut Side) -> Result<(), Failed> {
    let start = Instant::now();
    while Client::connect(side.address).is_err() {
        if side.process.ended() {
            return Err(format!("{} has ended; it said:\n{}", side.name, side.process.said()).into());
        }
        if start.elapsed() > START {
            return Err(format!("{} does not answer", side.name).into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// What a server did in its rounds.
#[derive(Debug, Default, Clone, Copy)]
struct Done {
    /// The most of a round, in its unit a second.
    best_per_s: f64,
    all: f64,
    cpu_s: f64,
}

impl Bench {
    /// Each server in turn; `round` says how much it got.
    fn in_turn(&self, mut round: impl FnMut(&Side) -> Result<f64, Failed>) -> Result<[Done; 2], Failed> {
        let mut done = [Done::default(); 2];
        for number in 0..=ROUNDS {
            for (side, done) in self.sides.iter().zip(&mut done) {
                let (start, before) = (Instant::now(), side.process.worked()?);
                let got = round(side).map_err(|error| format!("{}: {error}", side.name))?;
                let per_s = got / start.elapsed().as_secs_f64();
                // The first one reads the files into memory.
                if number > 0 {
                    done.best_per_s = done.best_per_s.max(per_s);
                    done.all += got;
                    done.cpu_s += (side.process.worked()? - before).as_secs_f64();
                }
            }
        }
        Ok(done)
    }

    fn file(&self, name: &str, bytes: u64) -> Result<String, Failed> {
        content::write(&self.files.join(name), bytes)?;
        let url = format!("/files/{name}");
        Ok(url)
    }

    /// Files that were just written are not kept in memory: they may be written again.
    fn settle() {
        thread::sleep(Duration::from_secs(4));
    }

    /// One download after another, over a connection each.
    fn large(&mut self) -> Result<(), Failed> {
        let url = self.file("large.img", LARGE_BYTES)?;
        Self::settle();
        for side in &self.sides {
            content::verify(side.address, &url, &self.files.join("large.img"))?;
        }
        let mut buffer = vec![0; READ_BYTES];
        let [theirs, ours] = self.in_turn(|side| {
            let mut bytes = 0;
            for _ in 0..LARGE_A_ROUND {
                bytes += Client::connect(side.address)?.fetch(&url, None, &mut buffer, |_| ())?;
            }
            Ok(bytes as f64 / f64::from(1 << 30))
        })?;
        for (side, done) in self.sides.iter().zip([theirs, ours]) {
            let what = format!("{}: 256 MiB file, one client", side.name);
            self.table.note(&what, Wanted::Nothing, done.best_per_s, "GiB/s");
            self.table.note(format!("{what}: CPU time"), Wanted::Nothing, done.cpu_s / done.all, "s/GiB");
        }
        let by = ours.best_per_s / theirs.best_per_s;
        self.table.note("256 MiB file: throughput by nginx's", Wanted::AtLeast(0.9), by, "times");
        let by = (ours.cpu_s / ours.all) / (theirs.cpu_s / theirs.all);
        self.table.note("256 MiB file: CPU time by nginx's", Wanted::Below(1.3), by, "times");
        Ok(())
    }

    /// Small files over connections that are kept.
    fn small(&mut self) -> Result<(), Failed> {
        let name = |n: usize| format!("small-{n}.bin");
        let urls: Result<Vec<String>, Failed> =
            (0..SMALL_FILES).map(|n| self.file(&name(n), SMALL_BYTES)).collect();
        let urls = urls?;
        Self::settle();
        for side in &self.sides {
            content::verify(side.address, &urls[0], &self.files.join(name(0)))?;
        }
        let [theirs, ours] =
            self.in_turn(|side| Ok(load::kept(side.address, KEPT, &urls, SMALL_A_ROUND)? as f64))?;
        for (side, done) in self.sides.iter().zip([theirs, ours]) {
            let what = format!("{}: 64 KiB files, {KEPT} kept connections", side.name);
            self.table.note(&what, Wanted::Nothing, done.best_per_s, "/s");
            let cpu_us = done.cpu_s * 1e6 / done.all;
            self.table.note(format!("{what}: CPU time of one"), Wanted::Nothing, cpu_us, "us");
        }
        let by = ours.best_per_s / theirs.best_per_s;
        self.table.note("64 KiB files: requests/s by nginx's", Wanted::AtLeast(0.9), by, "times");
        let by = (ours.cpu_s / ours.all) / (theirs.cpu_s / theirs.all);
        self.table.note("64 KiB files: CPU time by nginx's", Wanted::Below(1.3), by, "times");
        Ok(())
    }

    /// An image to many at once, and boot files meanwhile.
    fn crowd(&mut self) -> Result<(), Failed> {
        let (image, boot) = (self.file("image.img", IMAGE_BYTES)?, self.file("boot.efi", BOOT_BYTES)?);
        Self::settle();
        for side in &self.sides {
            let judged = side.name == "ours";
            let below = |bound| if judged { Wanted::Below(bound) } else { Wanted::Nothing };
            let seen = load::crowd(side.address, CROWD, &image, &boot)?;
            let took: Vec<f64> = seen.took.iter().map(Duration::as_secs_f64).collect();
            let mean = took.iter().sum::<f64>() / took.len() as f64;
            let apart = took.iter().map(|took| (took - mean).abs() / mean).fold(0.0, f64::max);
            let slowest = seen.boots.iter().max().map_or(f64::NAN, Duration::as_secs_f64);
            let what = format!("{}: 1 GiB to {CROWD} clients", side.name);
            let table = &mut self.table;
            table.note(format!("{what}: the mean"), Wanted::Nothing, mean, "s");
            table.note(format!("{what}: farthest from it"), below(20.0), 100.0 * apart, "%");
            table.note(
                format!("{what}: slowest of {} boot files of 1 MiB meanwhile", seen.boots.len()),
                below(200.0),
                1000.0 * slowest,
                "ms",
            );
            table.note(format!("{what}: RSS after"), Wanted::Nothing, side.process.resident_mib()?, "MiB");
        }
        Ok(())
    }
}
