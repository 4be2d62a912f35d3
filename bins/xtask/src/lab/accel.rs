//! Whether /dev/kvm boots a stock kernel. It may exist and not do so, as inside some virtual machines.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::child::Child;
use super::plan::Accelerator;
use crate::error::TaskError;
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;

/// A kernel without a root file system panics within two seconds where virtualisation works.
const PATIENCE: Duration = Duration::from_secs(12);

/// Looks once a boot of the host, and remembers.
///
/// # Errors
/// When the probe cannot be run at all, or on an interrupt.
pub(crate) fn probe(workspace: &Workspace, interrupt: &Interrupt) -> Result<Accelerator, TaskError> {
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Accelerator::Tcg);
    }
    let kernel = workspace.osie().join("vmlinuz-x86_64");
    let dir = workspace.target.join("lab");
    fs::create_dir_all(&dir).map_err(TaskError::file("making", &dir))?;
    let memory = dir.join("accelerator.json");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let known = fs::read_to_string(&memory).ok().and_then(|text| serde_json::from_str(&text).ok());
    if let Some((at, accelerator)) = known as Option<(String, Accelerator)>
        && at == boot
    {
        return Ok(accelerator);
    }
    let accelerator = if boots(&kernel, &dir, interrupt)? { Accelerator::Kvm } else { Accelerator::Tcg };
    if let Ok(text) = serde_json::to_string(&(boot, accelerator)) {
        fs::write(&memory, text).map_err(TaskError::file("writing", &memory))?;
    }
    Ok(accelerator)
}

/// The kernel comes all the way to looking for its root file system.
fn boots(kernel: &Path, dir: &Path, interrupt: &Interrupt) -> Result<bool, TaskError> {
    let log = dir.join(format!("kvm-probe-{}.log", std::process::id()));
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-nodefaults", "-display", "none", "-no-reboot", "-m", "256", "-accel", "kvm", "-cpu", "host"])
        .args(["-serial", "stdio", "-append", "console=ttyS0 panic=-1", "-kernel"])
        .arg(kernel);
    let mut child = Child::start("qemu-system-x86_64", &mut command, &log)?;
    let start = Instant::now();
    let mut booted = false;
    while !booted && start.elapsed() < PATIENCE {
        interrupt.pause(Duration::from_millis(200))?;
        let gone = child.ended().is_some();
        booted = fs::read(&log).is_ok_and(|said| String::from_utf8_lossy(&said).contains("Kernel panic"));
        if gone {
            break;
        }
    }
    drop(child);
    let _ = fs::remove_file(&log);
    Ok(booted)
}
