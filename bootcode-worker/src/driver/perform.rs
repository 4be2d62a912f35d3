//! One function for each effect that takes time.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bootcode_core::workflow::{Assignment, DiskReport, Hello, Inventory, Outputs};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    Driver, Parts, answered,
    log::{LogShipper, Shipping},
    mask::Mask,
    outputs,
};
use crate::{
    agent::{AttemptKey, Effect, Input},
    hardware, limits,
    protect::protect_disks,
    runtime::{ContainerName, ContainerSpec, Control, Exit, ImageRef, RuntimeError, Volume},
};

/// Where an action finds its token.
const TOKEN_IN_CONTAINER: &str = "/run/bootcode/token";
/// Where the actions of a workflow share files.
const SHARED_IN_CONTAINER: &str = "/workflow";
/// Where an action finds what earlier actions left, on whatever machine they ran.
const OUTPUTS_IN_CONTAINER: &str = "/workflow/outputs";

impl Driver {
    /// Starts what the effect asks for. Its answer comes out of `tasks`.
    pub(super) fn perform(&mut self, effect: Effect) {
        let parts = Arc::clone(&self.parts);
        let session = self.session.borrow().clone();
        match effect {
            Effect::Hello => {
                let inventory = self.inventory.clone();
                self.tasks.spawn(async move {
                    let identity = &parts.identity;
                    let hello = Hello {
                        token: identity.token.clone(),
                        nonce: identity.nonce.clone(),
                        boot_id: identity.boot_id.clone(),
                        inventory: look_anew(&parts, inventory).await,
                    };
                    Some(Input::Greeted(answered(parts.service.hello(hello)).await))
                });
            }
            Effect::Claim => {
                self.tasks.spawn(async move {
                    Some(Input::Claimed(answered(parts.service.claim(&session)).await))
                });
            }
            Effect::Report(report) => {
                self.tasks.spawn(async move {
                    Some(Input::Reported(answered(parts.service.report(&session, *report)).await))
                });
            }
            Effect::Heartbeat(of) => {
                self.tasks.spawn(async move {
                    let answer = answered(parts.service.heartbeat(&session, &of.workflow, of.attempt)).await;
                    Some(Input::Heartbeat { of, answer })
                });
            }
            Effect::Intend(report) => {
                // A new attempt, or the hook of one: whatever was killed before is over.
                self.kill = CancellationToken::new();
                self.tasks.spawn_blocking(move || {
                    Some(Input::Intended(parts.spool.put(&report).map_err(|error| told(&error))))
                });
            }
            Effect::Protect(assignment) => {
                self.tasks.spawn_blocking(move || Some(Input::Protected(protect(&parts, &assignment))));
            }
            Effect::Pull(assignment) => {
                let kill = self.kill.clone();
                self.tasks.spawn(async move { Some(Input::Pulled(pull(&parts, &assignment, &kill).await)) });
            }
            Effect::Run { assignment, hook, limit } => self.run_container(assignment, hook, limit),
            Effect::TellHook(start) => {
                self.tasks.spawn(async move {
                    if let Err(error) = answered(parts.service.hook(&session, start)).await {
                        tracing::debug!(%error, "the server was not told that a hook starts");
                    }
                    None
                });
            }
            Effect::Kill => self.kill.cancel(),
            Effect::Conclude { mut report, assignment } => {
                self.tasks.spawn_blocking(move || {
                    report.disks = writable_disks(&parts, &assignment);
                    let spooled = parts.spool.put(&report).map_err(|error| told(&error));
                    Some(Input::Concluded { report, spooled })
                });
            }
            Effect::Forget(key) => {
                self.tasks.spawn_blocking(move || {
                    if let Err(error) = parts.spool.remove(&key) {
                        tracing::error!(%error, "a reported outcome stays in the spool");
                    }
                    None
                });
            }
            Effect::Finish { workflow, action } => {
                self.tasks.spawn_blocking(move || {
                    for path in [shared_directory(&parts, &workflow), outputs_directory(&parts, &workflow)] {
                        if let Err(error) = fs::remove_dir_all(&path)
                            && error.kind() != io::ErrorKind::NotFound
                        {
                            tracing::warn!(path = %path.display(), %error, "cannot be removed");
                        }
                    }
                    Some(Input::Finished(parts.power.carry_out(action).map_err(|error| told(&error))))
                });
            }
            Effect::Say(line) => tracing::info!("{line}"),
            // Handled by the loop, which ends with it.
            Effect::Exit(_) => {}
        }
    }

    fn run_container(&mut self, assignment: Box<Assignment>, hook: Option<Vec<String>>, limit: Duration) {
        let parts = Arc::clone(&self.parts);
        let cancel = self.kill.clone();
        if hook.is_none() {
            self.log_offset = Arc::default();
        }
        let (hooked, shared) = (hook.is_some(), shared_directory(&self.parts, &assignment.workflow));
        let mask = Mask::of(assignment.secrets.values());
        let shipper = LogShipper {
            service: Arc::clone(&self.parts.service),
            session: self.session.subscribe(),
            workflow: assignment.workflow.clone(),
            action: assignment.action.clone(),
            attempt: assignment.attempt,
            mask: mask.clone(),
            offset: Arc::clone(&self.log_offset),
        };
        let Shipping { log, drained, task } = shipper.start(self.logs_end.clone());
        let shipped = self.logs.spawn(task);
        self.tasks.spawn(async move {
            let control = Control { cancel, limit, log };
            let result = match spec(&parts, &assignment, hook).await {
                Ok(spec) => parts.runtime.run(spec, control).await.map_err(|error| told(&error)),
                Err(error) => {
                    drop(control);
                    Err(told(&error))
                }
            };
            let tail = drained.await.unwrap_or_default();
            // So that the log is there when its action's end is; but it does not hold the end up for long.
            let _ = timeout(limits::LOG_FLUSH, shipped).await;
            let succeeded = !hooked && result.as_ref().is_ok_and(|done| done.exit == Exit::Status(0));
            let outputs = if succeeded { outputs_of(shared).await } else { Ok(None) };
            Some(Input::Ended { result: result.map_err(|error| mask.text(error)), tail, outputs })
        });
    }
}

/// What the machine is now. A server that lost its sessions, as a restored one did, must not take for blank what was written since this
/// worker's start; one that has the session keeps what it was told first.
async fn look_anew(parts: &Arc<Parts>, known: Inventory) -> Inventory {
    let roots = parts.settings.roots.clone();
    match tokio::task::spawn_blocking(move || hardware::inventory(&roots)).await {
        Ok(Ok(inventory)) => inventory,
        failed => {
            tracing::warn!(?failed, "the machine cannot be looked at again");
            known
        }
    }
}

async fn outputs_of(shared: PathBuf) -> Result<Option<Outputs>, String> {
    let read = tokio::task::spawn_blocking(move || outputs::read(&shared)).await;
    read.unwrap_or_else(|error| Err(format!("reading its outputs was cut off: {error}")))
}

/// An error with its causes; one that its effect tells already is not told twice.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

async fn pull(parts: &Parts, assignment: &Assignment, kill: &CancellationToken) -> Result<(), String> {
    let limit = Duration::from_millis(assignment.pull_timeout_ms);
    let image = image(assignment);
    tokio::select! {
        () = kill.cancelled() => Err("stopped while its image was pulled".to_owned()),
        pulled = timeout(limit, parts.runtime.ensure_image(&image)) => match pulled {
            Ok(pulled) => pulled.map_err(|error| told(&error)),
            Err(_) => Err(format!("{image} was not pulled within {} s", limit.as_secs())),
        },
    }
}

fn protect(parts: &Parts, assignment: &Assignment) -> Result<(), String> {
    if parts.settings.protect_disks {
        protect_disks(&parts.settings.roots, &assignment.writable).map_err(|error| told(&error))
    } else {
        Ok(())
    }
}

/// The disks that may have been written, as they are now.
fn writable_disks(parts: &Parts, assignment: &Assignment) -> Vec<DiskReport> {
    let roots = &parts.settings.roots;
    let names = hardware::disk_names(roots).unwrap_or_default();
    let is = |device: &str, name: &str| {
        let path = PathBuf::from(device);
        fs::canonicalize(&path).unwrap_or(path).file_name().is_some_and(|file| file == name)
    };
    let written = |name: &&String| assignment.writable.iter().any(|disk| is(&disk.device, name));
    names.iter().filter(written).map(|name| hardware::inspect_disk(roots, name)).collect()
}

/// The container, its token file and shared directory made.
async fn spec(
    parts: &Arc<Parts>,
    assignment: &Assignment,
    hook: Option<Vec<String>>,
) -> Result<ContainerSpec, RuntimeError> {
    let key = AttemptKey::of(assignment);
    let name = ContainerName::of(&key, hook.is_some());
    let mut volumes = Vec::new();
    for text in assignment.volumes.iter().take(limits::VOLUMES) {
        volumes.push(Volume::parse(text)?);
    }
    let shared = shared_directory(parts, &assignment.workflow);
    let token = parts.settings.state.join("token");
    write_token(&token, assignment.metadata_token.reveal()).map_err(RuntimeError::file("write", &token))?;
    fs::create_dir_all(&shared).map_err(RuntimeError::file("make", &shared))?;
    let earlier = outputs_directory(parts, &assignment.workflow);
    outputs::provide(&earlier, &assignment.outputs).map_err(RuntimeError::file("write", &earlier))?;
    mount_point(&shared.join("outputs")).map_err(RuntimeError::file("make", &shared))?;
    if hook.is_none() {
        outputs::forget(&shared).map_err(RuntimeError::file("clear", &shared))?;
    }
    volumes.push(Volume { source: shared, target: SHARED_IN_CONTAINER.into(), read_only: false });
    volumes.push(Volume { source: earlier, target: OUTPUTS_IN_CONTAINER.into(), read_only: true });
    volumes.push(Volume { source: token, target: TOKEN_IN_CONTAINER.into(), read_only: true });
    let mut environment = assignment.environment.clone();
    environment.extend([
        ("BOOTCODE_METADATA_URL".to_owned(), parts.settings.metadata_url.clone()),
        ("BOOTCODE_TOKEN_FILE".to_owned(), TOKEN_IN_CONTAINER.to_owned()),
        ("BOOTCODE_DISKS".to_owned(), disks_by_id(assignment)),
        ("BOOTCODE_WORKFLOW".to_owned(), assignment.workflow.clone()),
        ("BOOTCODE_ACTION".to_owned(), assignment.action.clone()),
        ("BOOTCODE_ATTEMPT".to_owned(), assignment.attempt.to_string()),
    ]);
    Ok(ContainerSpec {
        name,
        workflow: assignment.workflow.clone(),
        image: image(assignment),
        command: hook.unwrap_or_else(|| assignment.command.clone()),
        environment,
        secrets: assignment.secrets.clone(),
        volumes,
        namespaces: assignment.namespaces.clone(),
    })
}

/// What `BOOTCODE_DISKS` says: the writable disks as a JSON object, the node in this boot by the disk's id.
fn disks_by_id(assignment: &Assignment) -> String {
    let nodes = assignment.writable.iter().map(|disk| (disk.id.clone(), disk.device.clone().into()));
    serde_json::Value::Object(nodes.collect()).to_string()
}

fn image(assignment: &Assignment) -> ImageRef {
    ImageRef { name: assignment.image.clone(), digest: assignment.digest.clone() }
}

fn shared_directory(parts: &Parts, workflow: &str) -> PathBuf {
    parts.settings.state.join("workflows").join(directory_name(workflow))
}

/// Not in the shared directory, where actions write: what they are given is the server's word.
fn outputs_directory(parts: &Parts, workflow: &str) -> PathBuf {
    parts.settings.state.join("outputs").join(directory_name(workflow))
}

/// A directory for a mount, whatever an action made of its name.
fn mount_point(path: &std::path::Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir(path)
}

fn directory_name(workflow: &str) -> String {
    let key = AttemptKey { workflow: workflow.to_owned(), index: 0, attempt: 0 };
    let name = ContainerName::of(&key, false);
    name.as_str().trim_end_matches("-0-0").to_owned()
}

/// Readable by root alone; one action runs at a time.
fn write_token(path: &std::path::Path, token: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = fs::File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o400).open(path)?;
    file.write_all(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use bootcode_core::workflow::WritableDisk;

    use super::*;

    #[test]
    fn an_action_is_told_its_disks_by_their_ids() {
        let disk = |id: &str, device: &str| WritableDisk { id: id.into(), device: device.into() };
        let writable = vec![disk("a", "/dev/vdb"), disk("with \"quotes\"", "/dev/nvme0n1")];
        let assignment = Assignment { writable, ..crate::agent::tests::assignment("wipe") };
        let told: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&disks_by_id(&assignment)).unwrap();
        let expected = [("a", "/dev/vdb"), ("with \"quotes\"", "/dev/nvme0n1")];
        assert_eq!(told, expected.map(|(id, node)| (id.to_owned(), node.to_owned())).into());
    }
}
