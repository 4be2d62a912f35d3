//! A lost data directory cannot reinstall a machine: the server starts with an empty store and finds the Workflow in
//! a watched directory; the machine, power-cycled, comes up from its own disk, unchanged.

use std::fs;
use std::time::{Duration, Instant};

use super::disk::Identity;
use super::documents;
use super::plan::{MACHINE, WORKFLOW};
use super::provision::Lab;
use super::stages::Console;
use crate::error::TaskError;

/// From power to `login:` over the network's answer and the disk.
const LOGIN: Duration = Duration::from_secs(600);

/// Does it.
///
/// # Errors
/// [`TaskError::Check`] with what was found instead.
pub(crate) fn check(lab: &mut Lab<'_>) -> Result<[&'static str; 3], TaskError> {
    println!("    losing the server's data directory; the Workflow comes back by its watched directory");
    let before = identity(lab)?;
    lab.server.stop()?;
    let data = lab.dir.path("data");
    fs::remove_dir_all(&data).map_err(TaskError::file("removing", &data))?;
    documents::watch_workflow(&lab.dir)?;
    lab.server.start(MACHINE, &lab.interrupt)?;
    held(lab)?;

    let mark = lab.dir.text("serial.log").len();
    lab.machine.power_cycle(&lab.interrupt)?;
    let start = Instant::now();
    loop {
        let console = Console::read(&lab.dir.text("serial.log"), mark, MACHINE);
        if up(lab, mark) && lab.prompt_stays(&console)? {
            break;
        }
        if start.elapsed() > LOGIN {
            return Err(TaskError::Check {
                check: "after the power cycle the machine reaches its login",
                found: format!("not within {} s", LOGIN.as_secs()),
            });
        }
        lab.interrupt.pause(Duration::from_secs(1))?;
    }
    lab.dir.write("timeline-fresh-store.txt", &lab.server.operator().timeline(MACHINE)?)?;
    let events = lab.server.operator().events(MACHINE)?;
    if !events.iter().any(|event| event.event == "Discover") {
        return Err(TaskError::Check {
            check: "the power-cycled machine asked the new server",
            found: "its timeline has no Discover".into(),
        });
    }
    if let Some(event) = events.iter().find(|event| event.event == "OsieStarted") {
        return Err(TaskError::Check {
            check: "a server with an empty store does not boot an installed machine into OSIE",
            found: format!("OsieStarted at {}", event.at),
        });
    }
    let after = identity(lab)?;
    if before != after {
        return Err(TaskError::Check {
            check: "the installation is the same after the power cycle",
            found: format!("{before:?} before, {after:?} after"),
        });
    }
    held(lab)?;
    Ok([
        "a Workflow that came back by a directory into an empty store is held",
        "the power-cycled machine came up from its disk, without OSIE",
        "GPT GUID and machine id are the same",
    ])
}

/// Whether a prompt was there since then: before it, Enter would go to a boot loader's menu.
fn up(lab: &Lab<'_>, mark: usize) -> bool {
    let serial = lab.dir.text("serial.log");
    serial[serial.ceil_char_boundary(mark)..].contains("login:")
}

fn identity(lab: &Lab<'_>) -> Result<Identity, TaskError> {
    lab.installed(Identity::of)
}

fn held(lab: &Lab<'_>) -> Result<(), TaskError> {
    let workflow = lab.server.operator().workflow(WORKFLOW)?;
    let status = workflow.get("status").map(ToString::to_string).unwrap_or_default();
    if status.contains("Held") && status.contains("FreshStore") {
        return Ok(());
    }
    Err(TaskError::Check { check: "the Workflow stands Held { FreshStore }", found: status })
}
