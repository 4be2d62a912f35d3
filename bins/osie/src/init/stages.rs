//! The order of things, and what happens when one of them fails: the machine stays up and says why.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use super::console::{memory, say, uptime};
use super::drivers::Drivers;
use super::error::InitError;
use super::signals::Signals;
use super::{mounts, network, root, worker};
use crate::cmdline::{ArgFault, BootArgs};
use crate::limits::{CMDLINE_BYTES, COMPLAIN_EVERY};

/// Runs as process 1; never returns, whatever fails. Anywhere else it says what it is and ends with status 64.
pub fn main() {
    if std::process::id() != 1 {
        eprintln!(
            "bootcode-init is process 1 of OSIE and does nothing elsewhere; `cargo xtask osie` puts it there"
        );
        std::process::exit(64);
    }
    // A panic of process 1 would be one of the kernel, and its message lost.
    let outcome = std::panic::catch_unwind(|| {
        let Err(error) = run();
        error
    });
    loop {
        match &outcome {
            Ok(error) => say(format_args!("cannot go on: {error}")),
            Err(_) => say("cannot go on: a fault of bootcode-init itself, its message stands above"),
        }
        std::thread::sleep(COMPLAIN_EVERY);
    }
}

fn run() -> Result<std::convert::Infallible, InitError> {
    if std::env::args().nth(1).as_deref() != Some(root::ON_TMPFS) {
        return root::switch();
    }
    mounts::mount_all()?;
    let signals = Signals::take()?;
    let mut drivers = Drivers::open()?;
    drivers.load()?;
    mounts::mount_efi_variables();
    let firmware = if mounts::booted_by_uefi() { "UEFI" } else { "BIOS" };
    say(format_args!(
        "OSIE {} is up {} s after the kernel's start ({firmware}, {} modules, RAM free {})",
        env!("CARGO_PKG_VERSION"),
        uptime(),
        drivers.count(),
        memory()
    ));
    let args = read_args(&signals)?;
    // A name makes logs readable; nothing depends on it.
    if let Some(worker) = &args.worker {
        let _ = nix::unistd::sethostname(worker);
    }
    if args.vlan.is_some() {
        drivers.load_named("8021q")?;
    }
    let mut wait = Duration::from_secs(1);
    let name = loop {
        match network::bring_up(&args, &signals) {
            Ok(name) => break name,
            Err(error) => say(format_args!("{error}; trying again in {} s", wait.as_secs())),
        }
        signals.sleep(wait);
        wait = (wait * 2).min(COMPLAIN_EVERY);
        // A card that was plugged in or whose bus was slow has its driver by then.
        drivers.rescan()?;
    };
    say(format_args!(
        "{name} ({}) has {} {} s after the kernel's start; starting the worker for {}",
        args.mac,
        args.addr,
        uptime(),
        args.server
    ));
    worker::keep_running(&signals)
}

/// The command line's keys. Stays here, repeating what is wrong, when one is missing or malformed: only the next
/// boot can mend it, and a machine that is up can be restarted from afar.
fn read_args(signals: &Signals) -> Result<BootArgs, InitError> {
    const PATH: &str = "/proc/cmdline";
    let mut line = String::new();
    let file = File::open(PATH).map_err(InitError::file("open", PATH))?;
    file.take(CMDLINE_BYTES).read_to_string(&mut line).map_err(InitError::file("read", PATH))?;
    match BootArgs::parse(&line) {
        Ok(args) => Ok(args),
        Err(faults) => complain(&faults, signals),
    }
}

fn complain(faults: &[ArgFault], signals: &Signals) -> ! {
    loop {
        for fault in faults {
            say(fault);
        }
        say("waiting: mend what serves the boot script, then restart this machine");
        signals.sleep(COMPLAIN_EVERY);
    }
}
