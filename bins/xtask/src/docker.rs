//! A Docker engine for the test of the worker's Docker runtime.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::TaskError;
use crate::run::{start_error, tail};
use crate::workspace::Workspace;

/// Where engines listen.
const SOCKET: &str = "/var/run/docker.sock";
/// How long a fresh engine may take: it makes its directories and starts containerd.
const START: Duration = Duration::from_secs(60);

/// Makes sure that an engine answers: the one that runs, else one of our own that stays until it is ended
/// by the process id in `target/docker/dockerd.pid`.
///
/// # Errors
/// When none answers and ours does not come up: what it said last.
pub(crate) fn ensure(workspace: &Workspace) -> Result<(), TaskError> {
    if answers() {
        println!("docker: an engine answers");
        return Ok(());
    }
    let dir = workspace.target.join("docker");
    fs::create_dir_all(&dir).map_err(TaskError::file("making", &dir))?;
    let pid_file = dir.join("dockerd.pid");
    forget_ended(&pid_file);
    let log_path = dir.join("dockerd.log");
    let log = File::create(&log_path).map_err(TaskError::file("writing", &log_path))?;
    let errors = log.try_clone().map_err(TaskError::file("writing", &log_path))?;
    let mut command = Command::new("dockerd");
    // Actions share the host's network, so the engine needs no bridge and touches no packet filter; the fuse-free
    // vfs driver works on every file system.
    command
        .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"])
        .arg("--data-root")
        .arg(dir.join("data"))
        .arg("--pidfile")
        .arg(&pid_file)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0);
    let mut engine = command.spawn().map_err(|source| start_error(&command, source))?;
    let start = Instant::now();
    while start.elapsed() < START {
        if answers() {
            println!("docker: started an engine (process {}, log in target/docker)", engine.id());
            return Ok(());
        }
        if !matches!(engine.try_wait(), Ok(None)) {
            break;
        }
        thread::sleep(Duration::from_millis(250));
    }
    let _ = engine.kill();
    let _ = engine.wait();
    let said = fs::read_to_string(&log_path).unwrap_or_default();
    Err(TaskError::Missing {
        missing: format!("a Docker engine: dockerd does not come up:\n{}", tail(&said, 8)),
        remedy: "sudo systemctl start docker, or start dockerd by hand, as root".into(),
    })
}

/// Removes what a killed engine left: its number may be another process's by now, and a new engine would refuse to start.
fn forget_ended(pid_file: &Path) {
    let Ok(pid) = fs::read_to_string(pid_file) else { return };
    let runs =
        fs::read_to_string(format!("/proc/{}/comm", pid.trim())).is_ok_and(|name| name.trim() == "dockerd");
    if !runs {
        let _ = fs::remove_file(pid_file);
    }
}

/// Whether an engine answers on the default socket.
pub(crate) fn answers() -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(SOCKET)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains("200 OK"))
}
