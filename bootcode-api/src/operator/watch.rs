//! What changes of workflows and machines, as it happens.

use axum::{
    Json,
    extract::{Query, State},
};
use bootcode_core::{
    clock::Timestamp,
    document::Kind,
    engine::{BOOT_SESSION, INSTALLATION, Installation, LOG_PREFIX},
    store::{self, Revision, Watched},
    workflow::{Event, Outcome, Recorded},
};
use futures_util::{FutureExt as _, StreamExt as _};
use serde::Deserialize;

use super::{OperatorParts, documents::away};
use crate::{
    limits::{WAIT, WATCH_CHANGES},
    routes::{Change, News, Problem},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Since {
    from: Option<u64>,
}

pub(super) async fn watch(
    State(parts): State<OperatorParts>,
    Query(since): Query<Since>,
) -> Result<Json<News>, Problem> {
    let (_, now) = parts.store.list(Kind::Network.name()).await.map_err(away)?;
    let Some(from) = since.from else { return Ok(Json(News { revision: now.0, ..News::default() })) };
    let missed = News { revision: now.0, missed: true, changes: Vec::new() };
    // A store that was restored is behind who watched it before.
    if from > now.0 {
        return Ok(Json(missed));
    }
    let mut commits = parts.store.watch(Revision(from)).await.map_err(away)?;
    let mut news = News { revision: from, ..News::default() };
    let deadline = parts.clock.sleep_until(parts.clock.now() + WAIT);
    tokio::pin!(deadline);
    while news.changes.len() < WATCH_CHANGES {
        // The first is waited for, and what came with it is taken with it.
        let next = if news.changes.is_empty() {
            tokio::select! {
                next = commits.next() => next,
                () = &mut deadline => break,
            }
        } else {
            let Some(next) = commits.next().now_or_never() else { break };
            next
        };
        match next {
            Some(Watched::Commit { revision, changes }) => {
                let at = parts.clock.now();
                let action = |workflow: &str, index: u32| action(&parts, workflow, index);
                news.changes.extend(changes.iter().flat_map(|change| told(change, at, &action)));
                news.revision = revision.0;
            }
            Some(Watched::Compacted) if news.changes.is_empty() => return Ok(Json(missed)),
            // What there is goes out first; the next question is told.
            Some(Watched::Compacted) | None => break,
        }
    }
    Ok(Json(news))
}

/// An action's name: a workflow's plan never changes.
fn action(parts: &OperatorParts, workflow: &str, index: u32) -> String {
    let state = parts.engine.state(workflow);
    let plan = state.as_ref().and_then(|state| state.plan.as_ref());
    let action = plan.and_then(|plan| plan.spec.actions().nth(index as usize));
    action.map_or_else(|| format!("action {}", index + 1), |(_, action)| action.name.clone())
}

/// What a change of the store means to people; nothing for what is the server's own.
fn told(change: &store::Change, at: Timestamp, action: &impl Fn(&str, u32) -> String) -> Vec<Change> {
    let machine = |name: &str, change: &str, detail: &str| {
        let (change, detail) = (change.to_owned(), detail.to_owned());
        vec![Change { at, kind: Kind::Hardware, name: name.to_owned(), change, detail }]
    };
    match change {
        store::Change::Put(stored) if stored.key.kind == Kind::Hardware.name() => {
            let profile = stored.value["spec"]["profile"].as_str();
            let detail = profile.map(|profile| format!("with Profile {profile}")).unwrap_or_default();
            machine(&stored.key.name, "Applied", &detail)
        }
        store::Change::Put(stored) if stored.key.kind == BOOT_SESSION => {
            machine(&stored.key.name, "Booted", "its worker opened a session")
        }
        store::Change::Put(stored) if stored.key.kind == INSTALLATION => {
            let called = Installation::deserialize(&stored.value);
            let detail = called.map(|called| format!("{} called home", called.instance)).unwrap_or_default();
            machine(&stored.key.name, "Installed", &detail)
        }
        store::Change::Deleted(key) if key.kind == Kind::Hardware.name() => machine(&key.name, "Deleted", ""),
        store::Change::Deleted(key) if key.kind == Kind::Workflow.name() => vec![Change {
            at,
            kind: Kind::Workflow,
            name: key.name.clone(),
            change: "Deleted".to_owned(),
            detail: String::new(),
        }],
        store::Change::Appended { log, entries, .. } => {
            let Some(workflow) = log.strip_prefix(LOG_PREFIX) else { return Vec::new() };
            let recorded =
                entries.iter().filter_map(|entry| Some((entry, Recorded::deserialize(entry).ok()?)));
            let change = recorded.map(|(entry, recorded)| Change {
                at: recorded.at,
                kind: Kind::Workflow,
                name: workflow.to_owned(),
                change: entry["event"].as_str().unwrap_or_default().to_owned(),
                detail: detail(&recorded.event, |index| action(workflow, index)),
            });
            change.collect()
        }
        _ => Vec::new(),
    }
}

/// An event in some words.
fn detail(event: &Event, action: impl Fn(u32) -> String) -> String {
    let attempt = |index: u32, attempt: u32| format!("{} #{attempt}", action(index));
    match event {
        Event::Created { declared, .. } => format!("{} for {}", declared.template, declared.hardware),
        Event::Held { reason } => reason.to_string(),
        Event::WorkerSeen { worker, .. } => worker.clone(),
        Event::DisksArmed { worker, disks } => {
            let disks =
                disks.iter().map(|disk| format!("{} ({}, held {})", disk.id, disk.device, disk.found));
            format!("{worker} may write {}", disks.collect::<Vec<_>>().join(", "))
        }
        Event::ActionStarted { index, attempt: number, worker, .. } => {
            format!("{} on {worker}", attempt(*index, *number))
        }
        Event::ActionEnded { index, attempt: number, outcome, ran_ms, .. } => {
            let how = match outcome {
                Outcome::Succeeded => "succeeded".to_owned(),
                Outcome::Failed { message, .. } => format!("failed: {message}"),
                Outcome::TimedOut { .. } => "ran out of time".to_owned(),
                Outcome::Cancelled => "was stopped".to_owned(),
            };
            let (seconds, tenths) = (ran_ms / 1000, ran_ms % 1000 / 100);
            format!("{} {how} after {seconds}.{tenths} s", attempt(*index, *number))
        }
        Event::HookStarted { index, attempt: number, .. }
        | Event::ActionTimedOut { index, attempt: number } => attempt(*index, *number),
        Event::HookEnded { index, attempt: number, message, .. } => {
            format!("{} {message}", attempt(*index, *number)).trim_end().to_owned()
        }
        Event::ActionInterrupted { index, attempt: number, .. } => {
            format!("{}: the machine restarted", attempt(*index, *number))
        }
        Event::Retried { from } => format!("from {} on", action(*from)),
        Event::Succeeded { installation } => installation.clone().unwrap_or_default(),
        Event::Failed { index, message } => format!("{}: {message}", action(*index)),
        Event::TimedOut { index } => index.map(&action).unwrap_or_default(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use bootcode_core::store::{Key, Stored};

    fn lines(change: &store::Change) -> Vec<String> {
        let told = told(change, Timestamp::UNIX_EPOCH, &|_, index| format!("action-{index}"));
        told.iter().map(|c| format!("{}/{} {} {}", c.kind, c.name, c.change, c.detail)).collect()
    }

    #[test]
    fn a_commit_is_told_in_the_words_of_people() {
        let at = "2026-11-22T16:49:03Z";
        let entries = vec![
            json!({"seq": 3, "at": at, "event": "Held", "reason": {"reason": "FreshStore"}}),
            json!({"seq": 4, "at": at, "event": "ActionEnded", "index": 1, "attempt": 2, "ranMs": 61_234,
                   "outcome": {"result": "failed", "reason": "exitStatus", "exit": 3, "message": "status 3", "tail": ""}}),
            json!({"seq": 5, "at": at, "event": "Cancelled"}),
            json!({"seq": 6, "at": at, "event": "SomethingNewer"}),
        ];
        let appended =
            |log: &str| store::Change::Appended { log: log.into(), seq: 3, entries: entries.clone() };
        let told = lines(&appended("workflow/w1"));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("Workflow/w1 Held FreshStore: "), "{told:?}");
        assert_eq!(told[1], "Workflow/w1 ActionEnded action-1 #2 failed: status 3 after 61.2 s");
        assert_eq!(told[2], "Workflow/w1 Cancelled ");
        assert_eq!(lines(&appended("machine/n")), Vec::<String>::new());

        let put = |kind: &str| {
            let (key, value) =
                (Key::new(kind, "n"), json!({"spec": {"profile": "small"}, "nonce": "secret"}));
            store::Change::Put(Stored { key, revision: Revision(1), value })
        };
        assert_eq!(lines(&put("Hardware")), ["Hardware/n Applied with Profile small"]);
        assert_eq!(lines(&put("BootSession")), ["Hardware/n Booted its worker opened a session"]);
        let value = json!({"instance": "i-n-2-6b49d200", "phonedHome": at, "hostKeys": ["ssh-ed25519 AAAA"]});
        let home = Stored { key: Key::new("Installation", "n"), revision: Revision(1), value };
        assert_eq!(
            lines(&store::Change::Put(home)),
            ["Hardware/n Installed i-n-2-6b49d200 called home"],
            "and its keys are for `describe`"
        );
        assert_eq!(lines(&put("Lease")), Vec::<String>::new());
        assert_eq!(lines(&store::Change::Deleted(Key::new("Workflow", "w"))), ["Workflow/w Deleted "]);
    }
}
