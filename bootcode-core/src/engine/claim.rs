//! What a worker is told to do next.

use std::collections::BTreeMap;

use super::{Engine, EngineError, session::Caller};
use crate::{
    limits::INSTANCE_TOKEN_SECONDS,
    secret::{Secret, SecretError},
    session::{Claims, Use},
    timeline::BootEventKind,
    workflow::{
        Claim, Command, Credentials, MachineAction, Phase, State,
        guard::{Guard, holds},
        waits_because,
    },
};

/// When to ask again after an answer that was waited for already.
const SOON_MS: u64 = 500;
/// When to ask again where somebody has to mend something first.
const LATER_MS: u64 = 5_000;

/// An answer, and whether another one is worth waiting for.
pub(super) enum Next {
    Now(Claim),
    Later(Claim),
}

impl Engine {
    /// What this machine does next: an action; else the end of what it did in this boot; else why it waits.
    pub(super) async fn next(&self, caller: &Caller) -> Result<Next, EngineError> {
        let (mut writer, mut blocked) = (None, None);
        let machine = &caller.hardware.name;
        for known in self.index.of(&caller.hardware.name).iter().filter(|state| !state.phase.is_terminal()) {
            // Only the oldest that writes may start; two are refused at `create` already.
            if known.writes_on(machine) && *writer.get_or_insert_with(|| known.name.clone()) != known.name {
                continue;
            }
            if !known.has_task_for(&caller.hardware.name) {
                continue;
            }
            match self.advance(caller, &known.name).await? {
                // What one workflow waits for holds up no other.
                Some(Next::Later(wait)) => drop(blocked.get_or_insert(wait)),
                Some(next) => return Ok(next),
                None => {}
            }
        }
        if let Some(wait) = blocked {
            return Ok(Next::Now(wait));
        }
        let states = self.index.of(&caller.hardware.name);
        if let Some((workflow, action)) = ended_here(&states, caller) {
            self.tell_end(caller, action);
            return Ok(Next::Now(Claim::Finish { workflow, action }));
        }
        let waiting = states
            .iter()
            .find(|state| !state.phase.is_terminal() && state.concerns(machine))
            .map_or_else(|| "nothing to do".to_owned(), |state| waits_because(state, &caller.hardware));
        Ok(Next::Later(Claim::Wait { reason: waiting, retry_ms: SOON_MS }))
    }

    /// Hands out the next attempt of a workflow, or the one that is under way in this boot.
    async fn advance(&self, caller: &Caller, workflow: &str) -> Result<Option<Next>, EngineError> {
        let state = self.load(workflow).await?;
        if !state.phase.is_open() && holds(Guard::NothingAfterTheEnd) {
            return Ok(None);
        }
        let next =
            state.next().map(|(index, task, action)| (index, task.worker.clone(), action.image.clone()));
        let Some((index, worker, image)) = next else { return Ok(None) };
        if worker == caller.hardware.name
            && let Some(other) = self.wrote_in_this_boot(caller, &state)
        {
            self.tell_end(caller, MachineAction::Reboot);
            return Ok(Some(Next::Now(Claim::Finish { workflow: other, action: MachineAction::Reboot })));
        }
        let secrets = match self.secrets(caller, &state).await {
            Ok(secrets) => secrets,
            Err(error) => {
                return Ok(Some(self.blocked(workflow, error.to_string())));
            }
        };
        let mut digest = None;
        if state.open.is_none() && worker == caller.hardware.name && !names_registry(&image) {
            digest = self.parts.images.resolve(&image).await?;
            if digest.is_none() {
                let reason =
                    format!("image {image} is not in the server's images; add it to its `images:` directory");
                return Ok(Some(self.blocked(workflow, reason)));
            }
        }
        let claim = Command::Claim {
            machine: caller.machine(),
            next: index,
            digest,
            instances: self.index.instance(&caller.hardware.name).map_or(0, |last| last.number),
        };
        let state = self.command(workflow, claim).await?.state;
        self.live.waits(workflow, None);
        let metadata_token = self.metadata_token(caller, &state);
        let assignment = state.assignment(&caller.machine(), Credentials { metadata_token, secrets });
        Ok(assignment.map(|assignment| Next::Now(Claim::Run(Box::new(assignment)))))
    }

    /// The next action cannot be handed out before somebody mends something.
    fn blocked(&self, workflow: &str, reason: String) -> Next {
        self.live.waits(workflow, Some(&reason));
        Next::Later(Claim::Wait { reason: format!("workflow {workflow}: {reason}"), retry_ms: LATER_MS })
    }

    /// The values of the next action's secrets, where this machine runs it. They are read each time that it is handed out, and kept
    /// nowhere: one that cannot be read has the worker wait, before an attempt begins.
    async fn secrets(&self, caller: &Caller, state: &State) -> Result<BTreeMap<String, Secret>, SecretError> {
        let mut secrets = BTreeMap::new();
        let Some((_, task, action)) = state.next() else { return Ok(secrets) };
        if task.worker == caller.hardware.name && !state.is_held() && !state.cancel_requested {
            for (variable, reference) in action.secrets() {
                secrets.insert(variable.to_owned(), self.parts.secrets.resolve(reference).await?);
            }
        }
        Ok(secrets)
    }

    /// Another workflow that was handed disks of this machine in this very boot, where `state` is yet to choose its own. What the worker
    /// found is older than what that one wrote: a disk that was blank then may hold a system now. The next boot looks anew.
    fn wrote_in_this_boot(&self, caller: &Caller, state: &State) -> Option<String> {
        let machine = &caller.hardware.name;
        if !holds(Guard::LookedAtAnew) {
            return None;
        }
        if !state.writes_on(machine)
            || state.is_held()
            || state.open.is_some()
            || !state.armed_on(machine).is_empty()
        {
            return None;
        }
        let wrote = |other: &&std::sync::Arc<State>| {
            other.name != state.name
                && !other.armed_on(machine).is_empty()
                && other.ran_in.get(machine).is_some_and(|boot| *boot == caller.session.boot_id)
        };
        self.index.of(machine).iter().find(wrote).map(|other| other.name.clone())
    }

    /// The same token each time that one attempt is handed out.
    fn metadata_token(&self, caller: &Caller, state: &State) -> Secret {
        let Some(open) = &state.open else { return Secret::default() };
        let token = self.parts.sealer.seal(&Claims {
            used_for: Use::Instance,
            hardware: caller.hardware.name.clone(),
            id: format!("{}-{}-{}", caller.session.token, open.index, open.attempt),
            bound: state.name.clone(),
            expires: open.started.as_second().saturating_add(INSTANCE_TOKEN_SECONDS.cast_signed()),
        });
        Secret::new(token)
    }

    fn tell_end(&self, caller: &Caller, action: MachineAction) {
        let (machine, boot_id) = (caller.hardware.name.clone(), caller.session.boot_id.clone());
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.insert(machine, boot_id.clone()).is_none_or(|last| last != boot_id) {
            let action = match action {
                MachineAction::Reboot => "reboot",
                MachineAction::Kexec => "kexec",
                MachineAction::Poweroff => "poweroff",
                MachineAction::Stay => "stay",
            };
            let kind = BootEventKind::Rebooted { action: action.to_owned() };
            self.record(&caller.hardware.name, self.parts.clock.now(), kind);
        }
    }
}

/// The newest workflow that came to rest and ran in this very boot, with what its template wants of the machine then. A later boot is
/// never told to end: that would be a machine that restarts for ever.
fn ended_here(states: &[std::sync::Arc<State>], caller: &Caller) -> Option<(String, MachineAction)> {
    let ran_here = |state: &State| {
        state.ran_in.get(&caller.hardware.name).is_some_and(|boot| *boot == caller.session.boot_id)
    };
    let state = states.iter().rev().find(|state| ran_here(state) && !state.phase.is_open())?;
    let spec = &state.plan.as_ref()?.spec;
    let action = if state.phase == Phase::Succeeded { spec.on_success } else { spec.on_failure };
    (action != MachineAction::Stay).then(|| (state.name.clone(), action))
}

/// Whether an image's name says its registry: the first part has a dot or a port, or is `localhost`.
fn names_registry(image: &str) -> bool {
    image.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}
