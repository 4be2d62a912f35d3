//! A program that is measured, on a core of its own.

use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The core of the server; the load has the other.
pub(crate) const CORE: &str = "0";

/// It ends with this value.
pub(crate) struct Process {
    child: Child,
    log: fs::File,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it; what it says goes into `dir/log`.
    pub(crate) fn start(
        dir: &Path,
        program: &Path,
        args: &[&Path],
        variables: &[(&str, &Path)],
    ) -> io::Result<Self> {
        let log =
            fs::File::options().create(true).truncate(true).read(true).write(true).open(dir.join("log"))?;
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(program).args(args).envs(variables.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).spawn()?;
        Ok(Self { child, log })
    }

    /// The time that it has worked, all threads together.
    pub(crate) fn worked(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        // After the name in brackets; utime and stime are fields 14 and 15 (proc(5)), in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        Ok(Duration::from_millis(10 * (ticks(11) + ticks(12))))
    }

    /// MiB of memory that it holds now.
    pub(crate) fn resident_mib(&self) -> io::Result<f64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
        Ok(kib / 1024.0)
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What it said.
    pub(crate) fn said(&mut self) -> String {
        let mut text = String::new();
        let _ = self.log.seek(SeekFrom::Start(0));
        let _ = self.log.read_to_string(&mut text);
        text
    }

    fn proc(&self, file: &str) -> String {
        // `taskset` became the program.
        format!("/proc/{}/{file}", self.child.id())
    }
}
