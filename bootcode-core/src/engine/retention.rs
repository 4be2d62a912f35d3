//! How long the logs of actions are kept. Workflows' own logs stay: they say what is on which disk.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError, log_name};
use crate::{clock::Timestamp, journal::action_logs, workflow::Recorded};

/// How often logs are looked at that may be removed: they are kept for days.
const LOOK: Duration = Duration::from_secs(86_400);

/// Of workflows with the time of their last event, those whose action logs were kept long enough at `now`.
fn outlived(ended: &BTreeMap<String, Timestamp>, keep: Duration, now: Timestamp) -> Vec<&str> {
    let long_ago = |at: &Timestamp| at.saturating_add(keep).is_ok_and(|until| until < now);
    ended.iter().filter(|(_, at)| long_ago(at)).map(|(name, _)| name.as_str()).collect()
}

impl Engine {
    /// Removes, once a day until cancelled, what [`Engine::trim_logs`] does. A failure is logged and tried again the next day.
    pub async fn keep_logs(&self, keep: Duration, cancel: CancellationToken) {
        loop {
            match cancel.run_until_cancelled(self.trim_logs(keep)).await {
                None => return,
                Some(Ok(0)) => {}
                Some(Ok(removed)) => {
                    tracing::info!(removed, "logs of actions that ended long ago were removed")
                }
                Some(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "old logs of actions cannot be removed now");
                }
            }
            let now = self.parts.clock.now();
            let next = now.saturating_add(LOOK).unwrap_or(now);
            if cancel.run_until_cancelled(self.parts.clock.sleep_until(next)).await.is_none() {
                return;
            }
        }
    }

    /// Removes the action logs of workflows that ended or stopped, and to which nothing has happened for longer than `keep`. How many
    /// attempts' logs were removed.
    ///
    /// # Errors
    /// See [`EngineError`]; some may be removed then.
    pub async fn trim_logs(&self, keep: Duration) -> Result<usize, EngineError> {
        let (mut ended, mut streams) = (BTreeMap::new(), BTreeMap::new());
        for stream in self.parts.journal.streams("log/").await? {
            let workflow = stream.split_inclusive('/').take(2).collect::<String>();
            streams.entry(workflow).or_insert_with(Vec::new).push(stream);
        }
        for state in self.index.all() {
            let is_over = state.phase.is_terminal() || state.phase.is_stopped();
            if is_over && streams.contains_key(&action_logs(&state.name)) {
                ended.extend(
                    self.last_event(&state.name, state.seq).await?.map(|at| (state.name.clone(), at)),
                );
            }
        }
        let mut removed = 0;
        for workflow in outlived(&ended, keep, self.parts.clock.now()) {
            for stream in streams.remove(&action_logs(workflow)).into_iter().flatten() {
                let _turn = self.log_turns.of(&stream).lock().await;
                self.parts.journal.remove(&stream).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// When the last event of a log was; `None` where there is another one by now.
    async fn last_event(&self, workflow: &str, seq: u64) -> Result<Option<Timestamp>, EngineError> {
        let entries = self.parts.store.read(&log_name(workflow), seq).await?;
        let [entry] = &entries[..] else { return Ok(None) };
        let event: Recorded = serde_json::from_value(entry.value.clone())
            .map_err(|source| EngineError::Entry { workflow: workflow.to_owned(), seq, source })?;
        Ok(Some(event.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::fixtures::at;

    #[test]
    fn logs_outlive_their_workflow_by_as_long_as_they_are_kept() {
        let ended = [("old", at(0)), ("just", at(50)), ("new", at(51))];
        let ended = ended.map(|(name, at)| (name.to_owned(), at)).into();
        for (keep, now, expected) in [
            (100, 100, &[][..]),
            (100, 101, &["old"]),
            (100, 151, &["just", "old"]),
            (100, 152, &["just", "new", "old"]),
            // The clock was set back.
            (100, -5, &[]),
            (u64::MAX, 1_000, &[]),
        ] {
            assert_eq!(outlived(&ended, Duration::from_secs(keep), at(now)), expected, "{keep} s, at {now}");
        }
    }
}
