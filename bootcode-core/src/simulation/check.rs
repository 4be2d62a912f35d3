//! What must be so, read from raw log entries in the order in which they were committed. Knows nothing of `State` or `decide`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{counts::Counts, worker::Attempt};
use crate::{
    clock::Timestamp,
    document::{Overwrite, WorkflowDocSpec},
    engine::LOG_PREFIX,
    limits::{REPORT_GRACE_SECONDS, START_GRACE_SECONDS},
    store::Batch,
    template::WorkflowSpec,
    workflow::{Armed, Event, Inventory, Outcome, Recorded},
};

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The rule's name.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

/// Entries that no workflow of a run comes near to.
const LONGEST_LOG: u64 = 2000;

pub(super) fn broken<T>(rule: &'static str, detail: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { rule, detail: detail.into() })
}

/// What the log says of one workflow.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) entries: Vec<Value>,
    pub(super) plan: Option<(WorkflowDocSpec, WorkflowSpec, Timestamp)>,
    pub(super) open: Option<Open>,
    pub(super) ended: Option<&'static str>,
    pub(super) stopped: bool,
    pub(super) held: bool,
    pub(super) cancelled: bool,
    pub(super) started: Option<Timestamp>,
    pub(super) begun: bool,
    reported: BTreeMap<(u32, u32), u32>,
    last_attempt: BTreeMap<u32, u32>,
    failures: BTreeMap<u32, u32>,
    succeeded: BTreeSet<u32>,
    pub(super) hooks: BTreeSet<Attempt>,
    hooks_ended: BTreeSet<Attempt>,
    armed: BTreeMap<String, Vec<Armed>>,
    inventories: BTreeMap<String, (String, Inventory)>,
    pub(super) retried: u64,
    pub(super) released: u64,
    pub(super) holds: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) attempt: Attempt,
    pub(super) worker: String,
    pub(super) boot: String,
    deadline: Timestamp,
}

/// All that was committed.
#[derive(Debug, Default)]
pub(super) struct Checker {
    pub(super) workflows: BTreeMap<String, Seen>,
    /// The token and nonce of each machine's last session, and its boot.
    pub(super) sessions: BTreeMap<String, (String, String, String)>,
    nonces: BTreeMap<String, String>,
    /// Every outcome that a machine's own worker came to.
    pub(super) outcomes: BTreeMap<Attempt, Vec<Outcome>>,
    /// When each attempt was handed out, and when it must be over, in virtual time.
    pub(super) handed_out: BTreeMap<Attempt, (u64, u64)>,
    /// The number of each machine's last instance.
    instances: BTreeMap<String, u64>,
    /// Since when the server runs.
    pub(super) up_since: Timestamp,
    pub(super) now_ms: u64,
}

impl Checker {
    /// Takes a batch that was carried out.
    pub(super) fn committed(&mut self, batch: &Batch, counts: &mut Counts) -> Result<(), Broken> {
        for (key, value) in &batch.puts {
            if key.kind == "BootSession" {
                let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
                let (token, nonce) = (text("token"), text("nonce"));
                let first = self.nonces.entry(token.clone()).or_insert_with(|| nonce.clone());
                if *first != nonce {
                    return broken(
                        "a-boot-token-opens-one-boot",
                        format!("{}: {nonce} after {first}", key.name),
                    );
                }
                self.sessions.insert(key.name.clone(), (token, nonce, text("bootId")));
            }
        }
        for append in &batch.appends {
            let Some(name) = append.log.strip_prefix(LOG_PREFIX) else { continue };
            for value in &append.entries {
                let recorded: Recorded = match serde_json::from_value(value.clone()) {
                    Ok(recorded) => recorded,
                    Err(error) => return broken("an-entry-can-be-read", format!("{name}: {error}")),
                };
                self.entry(name, &recorded, counts)?;
                if let Some(seen) = self.workflows.get_mut(name) {
                    seen.entries.push(value.clone());
                }
            }
            self.after_batch(name)?;
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, recorded: &Recorded, counts: &mut Counts) -> Result<(), Broken> {
        let (now_ms, up_since) = (self.now_ms, self.up_since);
        let seen = self.workflows.entry(name.to_owned()).or_default();
        let next = seen.entries.len() as u64 + 1;
        let what = format!("{name} #{}", recorded.seq);
        if next > LONGEST_LOG {
            return broken("a-log-comes-to-its-end", what);
        }
        if recorded.seq != next {
            return broken("entries-count", format!("{what} where #{next} is due"));
        }
        if let Some(ended) = seen.ended {
            return broken("nothing-after-the-end", format!("{what} after {ended}: {:?}", recorded.event));
        }
        match &recorded.event {
            Event::Created { declared, spec, expires } => {
                counts.add("workflows");
                let workers: BTreeSet<&String> = spec.tasks.iter().map(|task| &task.worker).collect();
                counts.add_if("multi-machine", workers.len() > 1);
                counts.add_if("without writing", !spec.actions().any(|(_, action)| action.writes_disks()));
                seen.plan = Some(((**declared).clone(), (**spec).clone(), *expires));
            }
            Event::Held { reason } => {
                counts.add("held");
                if seen.held {
                    return broken("what-is-held-is-held-once", format!("{what}: {reason}"));
                }
                seen.held = true;
                seen.holds.push(reason.to_string());
            }
            Event::Released => {
                counts.add("released");
                seen.held = false;
                seen.released += 1;
            }
            Event::WorkerSeen { worker, boot_id, inventory } => {
                seen.inventories.insert(worker.clone(), (boot_id.clone(), (**inventory).clone()));
            }
            Event::DisksArmed { worker, disks } => {
                counts.add("disks armed");
                seen.may_arm(&what, worker, disks)?;
                seen.armed.insert(worker.clone(), disks.clone());
            }
            Event::ActionStarted { index, attempt, worker, boot_id, deadline, instance, .. } => {
                counts.add("attempts");
                let attempt = Attempt { workflow: name.to_owned(), index: *index, number: *attempt };
                seen.may_start(&what, &attempt, worker, recorded.at)?;
                if let Some(number) = instance {
                    counts.add("instances");
                    let last = self.instances.insert(worker.clone(), *number);
                    if last.is_some_and(|last| last >= *number) {
                        return broken(
                            "an-instance-is-new",
                            format!("{what}: {worker} has {number} after {last:?}"),
                        );
                    }
                }
                let left_ms = u64::try_from(deadline.duration_since(recorded.at).as_millis()).unwrap_or(0);
                let over_ms = now_ms + left_ms;
                self.handed_out.insert(attempt.clone(), (now_ms, over_ms));
                seen.last_attempt.insert(*index, attempt.number);
                seen.begun = true;
                seen.started.get_or_insert(recorded.at);
                let (worker, boot) = (worker.clone(), boot_id.clone());
                seen.open = Some(Open { attempt, worker, boot, deadline: *deadline });
            }
            Event::ActionEnded { index, attempt, outcome, .. } => {
                let times = seen.reported.entry((*index, *attempt)).or_default();
                *times += 1;
                if *times > 1 {
                    return broken("a-report-is-counted-once", format!("{what}: {index} attempt {attempt}"));
                }
                let ended = Attempt { workflow: name.to_owned(), index: *index, number: *attempt };
                if seen.open.as_ref().map(|open| &open.attempt) != Some(&ended) {
                    return broken("only-the-open-attempt-ends", format!("{what}: {ended}"));
                }
                let told = self.outcomes.get(&ended).is_some_and(|told| told.contains(outcome));
                let unstarted = seen.cancelled && *outcome == Outcome::Cancelled;
                if !told && !unstarted {
                    return broken("an-outcome-is-its-workers", format!("{what}: {ended}: {outcome:?}"));
                }
                seen.open = None;
                match outcome {
                    Outcome::Succeeded => drop(seen.succeeded.insert(*index)),
                    Outcome::Failed { reason: crate::workflow::FailureReason::WorkerRestarted, .. } => {
                        counts.add("interrupted by the worker's restart");
                    }
                    _ => {
                        counts.add("failed attempts");
                        *seen.failures.entry(*index).or_default() += 1;
                    }
                }
            }
            Event::ActionTimedOut { index, .. } => {
                counts.add("given up");
                let global = seen.global_deadline();
                let due = seen.open.as_ref().map(|open| {
                    let whole = global.map(|at| at + seconds(REPORT_GRACE_SECONDS));
                    whole.map_or(open.deadline, |whole| whole.min(open.deadline))
                });
                let due = due.unwrap_or(recorded.at).max(up_since + seconds(START_GRACE_SECONDS));
                if recorded.at < due {
                    return broken(
                        "an-attempt-has-its-time",
                        format!("{what}: given up at {}, due {due}", recorded.at),
                    );
                }
                seen.open = None;
                *seen.failures.entry(*index).or_default() += 1;
            }
            Event::ActionInterrupted { .. } => {
                counts.add("interrupted by a reboot");
                seen.open = None;
            }
            Event::Retried { from } => {
                counts.add("retried");
                (seen.held, seen.stopped) = (false, false);
                seen.retried += 1;
                seen.started = Some(recorded.at);
                seen.failures.clear();
                seen.succeeded.retain(|index| index < from);
            }
            Event::HookStarted { index, attempt, deadline, .. } => {
                counts.add("hooks");
                let hooked = Attempt { workflow: name.to_owned(), index: *index, number: *attempt };
                let Some(open) = seen.open.as_mut().filter(|open| open.attempt == hooked) else {
                    return broken("a-hook-belongs-to-its-attempt", format!("{what}: {hooked}"));
                };
                // The attempt has its time for the hook too.
                open.deadline = *deadline;
                if !seen.hooks.insert(hooked.clone()) {
                    return broken("a-hook-starts-once", format!("{what}: {hooked}"));
                }
            }
            Event::HookEnded { index, attempt, .. } => {
                counts.add("hooks ended");
                let hooked = Attempt { workflow: name.to_owned(), index: *index, number: *attempt };
                let open = seen.open.as_ref().is_some_and(|open| open.attempt == hooked);
                if !(open && seen.hooks.contains(&hooked) && seen.hooks_ended.insert(hooked.clone())) {
                    return broken("a-hook-ends-once", format!("{what}: {hooked}"));
                }
            }
            Event::CancelRequested => seen.cancelled = true,
            Event::Cancelled => seen.end("Cancelled", counts),
            Event::Succeeded { .. } => seen.end("Succeeded", counts),
            Event::Expired => seen.end("Expired", counts),
            Event::Failed { .. } => {
                counts.add("failed");
                seen.stop();
            }
            Event::TimedOut { .. } => {
                counts.add("timed out");
                seen.stop();
            }
        }
        Ok(())
    }

    /// What must be so between two commits of a workflow.
    fn after_batch(&self, name: &str) -> Result<(), Broken> {
        let Some(seen) = self.workflows.get(name) else { return Ok(()) };
        if let Some(open) = &seen.open
            && let Some((boot, _)) = seen.inventories.get(&open.worker)
            && *boot != open.boot
        {
            return broken(
                "a-reboot-interrupts",
                format!("{} of {} is open in {boot}", open.attempt, open.boot),
            );
        }
        if seen.ended.is_some() {
            return Ok(());
        }
        let other = self
            .workflows
            .iter()
            .find(|(other, state)| *other != name && state.ended.is_none() && state.writes_where(seen));
        match other {
            Some((other, _)) => broken("one-writer-a-machine", format!("{name} and {other}")),
            None => Ok(()),
        }
    }
}

pub(super) const fn seconds(seconds: u64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_secs(seconds.cast_signed())
}

impl Seen {
    fn end(&mut self, how: &'static str, counts: &mut Counts) {
        counts.add(how);
        self.ended = Some(how);
        self.open = None;
    }

    const fn stop(&mut self) {
        self.stopped = true;
        self.held = false;
    }

    /// Whether nothing goes on without an operator.
    pub(super) const fn rests(&self) -> bool {
        self.ended.is_some() || self.stopped
    }

    pub(super) fn ended_attempt(&self, attempt: &Attempt) -> bool {
        self.reported.contains_key(&(attempt.index, attempt.number))
    }

    pub(super) fn global_deadline(&self) -> Option<Timestamp> {
        let (_, spec, _) = self.plan.as_ref()?;
        Some(self.started? + seconds(spec.global_timeout_s))
    }

    /// The machines whose disks it writes.
    fn written(&self) -> BTreeSet<&str> {
        let actions = self.plan.iter().flat_map(|(_, spec, _)| spec.actions());
        actions.filter(|(_, action)| action.writes_disks()).map(|(task, _)| &*task.worker).collect()
    }

    fn writes_where(&self, other: &Self) -> bool {
        !self.written().is_disjoint(&other.written())
    }

    fn may_start(&self, what: &str, attempt: &Attempt, worker: &str, at: Timestamp) -> Result<(), Broken> {
        let Some((_, spec, expires)) = &self.plan else { return broken("created-first", what) };
        let Some((task, action)) = spec.actions().nth(attempt.index as usize) else {
            return broken("actions-in-order", format!("{what}: no such action"));
        };
        if let Some(open) = &self.open {
            return broken("one-open-attempt", format!("{what}: {attempt} while {} is open", open.attempt));
        }
        if self.stopped {
            return broken("nothing-after-the-end", format!("{what}: {attempt} of a stopped workflow"));
        }
        if self.held {
            return broken("nothing-while-held", format!("{what}: {attempt}"));
        }
        if self.cancelled {
            return broken("nothing-after-a-cancel", format!("{what}: {attempt}"));
        }
        if task.worker != worker {
            return broken("an-action-is-its-machines", format!("{what}: {attempt} on {worker}"));
        }
        if (0..attempt.index).any(|index| !self.succeeded.contains(&index))
            || self.succeeded.contains(&attempt.index)
        {
            return broken("actions-in-order", format!("{what}: {attempt}"));
        }
        if attempt.number != self.last_attempt.get(&attempt.index).map_or(0, |last| *last) + 1 {
            return broken("attempts-count", format!("{what}: {attempt}"));
        }
        if self.failures.get(&attempt.index).is_some_and(|failures| *failures > action.retries) {
            return broken("retries-are-bounded", format!("{what}: {attempt}, retries: {}", action.retries));
        }
        if (!self.begun && at >= *expires) || self.global_deadline().is_some_and(|deadline| at >= deadline) {
            return broken("nothing-starts-late", format!("{what}: {attempt} at {at}"));
        }
        if action.writes_disks() && !self.armed.contains_key(worker) {
            return broken("disks-are-armed-first", format!("{what}: {attempt}"));
        }
        Ok(())
    }

    fn may_arm(&self, what: &str, worker: &str, disks: &[Armed]) -> Result<(), Broken> {
        let (Some((declared, ..)), Some((_, inventory))) = (&self.plan, self.inventories.get(worker)) else {
            return broken("disks-are-seen-first", what);
        };
        for armed in disks {
            let found = inventory.disks.iter().find(|disk| disk.device == armed.device);
            let named = declared.replaces.iter().flat_map(|ids| ids.split(','));
            let may = found.is_some_and(|disk| {
                let table = disk.table_id.as_deref();
                let id = disk
                    .serial
                    .as_deref()
                    .zip(table)
                    .map(|(serial, table)| format!("serial:{serial}@{table}"));
                disk.blank && table.is_none()
                    || declared.overwrite == Overwrite::Any
                    || named.clone().any(|named| id.as_deref() == Some(named))
            });
            if !may {
                return broken("only-blank-or-named-disks", format!("{what}: {}: {found:?}", armed.device));
            }
        }
        Ok(())
    }
}
