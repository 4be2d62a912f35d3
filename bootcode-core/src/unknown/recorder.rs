//! The queue between packets and the store, and the task that empties it.

use std::{sync::Arc, time::Duration};

use serde::Deserialize as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{UNKNOWN_KIND, Unknown, UnknownRecorder, UnknownTable};
use crate::{
    limits::{UNKNOWN_BATCHES, UNKNOWN_QUEUE, UNKNOWN_WRITE_S},
    source::{HardwareKey, HardwareSource},
    store::{Commit, Store, StoreError},
};

/// Takes what is seen without waiting; what a flood brings beyond its bounds is lost, and machines ask again.
#[derive(Debug, Clone)]
pub struct UnknownQueue(mpsc::Sender<Unknown>);

impl UnknownRecorder for UnknownQueue {
    fn saw(&self, machine: Unknown) {
        let _ = self.0.try_send(machine);
    }
}

/// Keeps the store's unknown machines.
pub struct UnknownDriver {
    seen: mpsc::Receiver<Unknown>,
    store: Arc<dyn Store>,
    hardware: Arc<dyn HardwareSource>,
}

impl UnknownQueue {
    /// A queue and what empties it into `store`; whom `hardware` names is dropped there.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, hardware: Arc<dyn HardwareSource>) -> (Self, UnknownDriver) {
        let (queue, seen) = mpsc::channel(UNKNOWN_QUEUE);
        (Self(queue), UnknownDriver { seen, store, hardware })
    }
}

impl UnknownDriver {
    /// Runs until cancelled. A store that is away is asked again; meanwhile the machines are remembered.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut table: Option<UnknownTable> = None;
        let mut tick = tokio::time::interval(Duration::from_secs(UNKNOWN_WRITE_S));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let seen = tokio::select! {
                () = cancel.cancelled() => break,
                _ = tick.tick() => None,
                // Before the store was read the queue waits.
                seen = self.seen.recv(), if table.is_some() => seen,
            };
            match (seen, &mut table) {
                (Some(machine), Some(table)) => table.saw(machine),
                (_, Some(table)) => self.turn(table).await,
                (_, none) => match self.read().await {
                    Ok(read) => *none = Some(read),
                    Err(error) => tracing::warn!(%error, "unknown machines cannot be read; trying again"),
                },
            }
        }
        // What came last is kept over a restart.
        if let Some(mut table) = table {
            while let Ok(machine) = self.seen.try_recv() {
                table.saw(machine);
            }
            self.turn(&mut table).await;
        }
    }

    async fn read(&self) -> Result<UnknownTable, StoreError> {
        let (stored, _) = self.store.list(UNKNOWN_KIND).await?;
        Ok(UnknownTable::load(
            stored.into_iter().filter_map(|stored| Unknown::deserialize(stored.value).ok()),
        ))
    }

    /// Drops who is declared, and writes what changed, no more than so much a turn.
    async fn turn(&self, table: &mut UnknownTable) {
        let macs: Vec<_> = table.macs().collect();
        for mac in macs {
            if let Ok(Some(_)) = self.hardware.find(&HardwareKey::Mac(mac)).await {
                table.forget(mac);
            }
        }
        for _ in 0..UNKNOWN_BATCHES {
            let Some(batch) = table.next_batch() else { return };
            match self.store.commit(batch.clone()).await {
                Ok(Commit::Done(_)) => table.written(&batch),
                Ok(Commit::Conflict { what }) => {
                    return tracing::warn!(%what, "unknown machines are not written");
                }
                Err(error) => return tracing::warn!(%error, "unknown machines are not written; trying again"),
            }
        }
    }
}
