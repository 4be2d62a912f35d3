//! What runs beside the engine: following the store, and deadlines.

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{Either, select},
};
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError, LOG_PREFIX, command::folded};
use crate::{
    store::{Change, Entry, Watch, Watched},
    workflow::Command,
};

/// How often deadlines are looked at: they are minutes long.
const TICK: Duration = Duration::from_secs(1);

impl Engine {
    /// Follows the store and enforces deadlines until cancelled.
    pub async fn run(&self, cancel: CancellationToken) {
        cancel.run_until_cancelled(self.drive()).await;
    }

    async fn drive(&self) {
        let mut watch: Option<Watch> = None;
        let mut due = self.parts.clock.now();
        let mut from = self.index.revision();
        let mut is_quiet = false;
        loop {
            if watch.is_none() && !is_quiet {
                from = self.index.revision();
                watch = match self.parts.store.watch(from).await {
                    Ok(watch) => Some(watch),
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the store cannot be followed"
                        );
                        None
                    }
                };
            }
            let seen = async {
                match &mut watch {
                    Some(watch) => watch.next().await,
                    None => std::future::pending().await,
                }
            };
            match select(std::pin::pin!(seen), self.parts.clock.sleep_until(due)).await {
                Either::Left((seen, _)) => {
                    if !self.follow(seen).await {
                        watch = None;
                        // A watch that brought nothing is asked for again at the next tick.
                        is_quiet = self.index.revision() == from;
                    }
                }
                Either::Right(_) => {
                    self.tick().await;
                    is_quiet = false;
                    due = self.parts.clock.now().saturating_add(TICK).unwrap_or(due);
                }
            }
        }
    }

    /// Takes one commit; `false` where the watch is no longer good.
    async fn follow(&self, seen: Option<Watched>) -> bool {
        let followed = match seen {
            Some(Watched::Commit { revision, changes }) => {
                let mut result = Ok(());
                for change in changes {
                    if let Change::Appended { log, seq, entries } = change
                        && let Some(workflow) = log.strip_prefix(LOG_PREFIX)
                    {
                        result = result.and(self.appended(workflow, seq, entries).await);
                    }
                }
                self.index.reached(revision);
                result.map(|()| true)
            }
            Some(Watched::Compacted) => self.reload().await.map(|()| false),
            None => Ok(false),
        };
        followed.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a workflow cannot be followed");
            true
        })
    }

    async fn appended(
        &self,
        workflow: &str,
        seq: u64,
        entries: Vec<serde_json::Value>,
    ) -> Result<(), EngineError> {
        let known = self.index.get(workflow);
        let Some(known) = known.filter(|known| known.seq + 1 >= seq) else {
            return self.load(workflow).await.map(drop);
        };
        let entries = (seq..).zip(entries).map(|(seq, value)| Entry { seq, value }).collect();
        self.index.put(Arc::new(folded(&known, entries)?));
        Ok(())
    }

    /// Gives up what is out of time. A failure is logged and tried again with the next tick.
    pub async fn tick(&self) {
        let now = self.parts.clock.now();
        for workflow in self.index.due(now) {
            if let Err(error) = self.command(&workflow, Command::Tick { up_since: self.up_since }).await {
                tracing::warn!(
                    workflow,
                    error = &error as &dyn std::error::Error,
                    "a deadline cannot be enforced now"
                );
            }
        }
    }
}
