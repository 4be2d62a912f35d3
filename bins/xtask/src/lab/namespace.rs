//! The lab's own namespaces. Its first process inside is this program again; when it ends, however it ends, the
//! system ends everything that it started, and network, mounts and processes are gone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::dir::LabDir;
use super::plan::Scenario;
use crate::error::TaskError;
use crate::interrupt::Interrupt;
use crate::run::{capture, start_error};

/// How long the inside may take to write its report after it was told to end.
const FAREWELL: Duration = Duration::from_secs(20);

const UNSHARE: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Runs a scenario inside.
///
/// # Errors
/// When there can be no namespaces, on an interrupt, and when the scenario failed (it has said why by then).
pub(crate) fn enter(dir: &LabDir, scenario: &Scenario, interrupt: &Interrupt) -> Result<(), TaskError> {
    let user = user_namespace()?;
    let plan = dir.path("plan.json");
    let text = serde_json::to_string_pretty(scenario)
        .map_err(|error| TaskError::Answer { what: "the plan", found: error.to_string() })?;
    fs::write(&plan, text).map_err(TaskError::file("writing", &plan))?;

    // A copy: cargo may replace this program while it runs, as it does when tests are built with other features.
    let (this, copy) = (Path::new("/proc/self/exe"), dir.path("xtask"));
    fs::copy(this, &copy).map_err(TaskError::file("copying", this))?;
    // Not even SIGKILL of this process leaves anything behind: the system then kills `unshare`, and with it the
    // first process of the namespace.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare"]).args(UNSHARE);
    command.args(user).arg("--").arg(copy).arg("inside").arg(&plan);
    // A group of its own: Ctrl-C reaches the inside through its standard input, so that it can write its report.
    command.stdin(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|source| start_error(&command, source))?;
    let mut lifeline = child.stdin.take();
    let mut told: Option<Instant> = None;
    loop {
        let ended = child.try_wait().map_err(TaskError::file("waiting for", &plan))?;
        if let Some(status) = ended {
            return match (told, status.success()) {
                (Some(_), _) => Err(TaskError::Interrupted),
                (None, true) => Ok(()),
                (None, false) => Err(TaskError::Inside { dir: dir.root().to_owned() }),
            };
        }
        match told {
            None if interrupt.is_set() => {
                drop(lifeline.take());
                told = Some(Instant::now());
            }
            Some(since) if since.elapsed() > FAREWELL => {
                let _ = child.kill();
            }
            _ => {}
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The flags that an ordinary user needs besides; none for root.
fn user_namespace() -> Result<&'static [&'static str], TaskError> {
    let root = capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let flags: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
    let mut probe = Command::new("unshare");
    probe.args(UNSHARE).args(flags).args(["--", "ip", "link", "add", "probe0", "type", "bridge"]);
    match capture(&mut probe) {
        Ok(_) => Ok(flags),
        Err(error @ TaskError::Start { .. }) => Err(error),
        Err(error) => Err(TaskError::Namespace { message: error.to_string() }),
    }
}
