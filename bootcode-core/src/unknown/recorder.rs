//! The queue between packets and the store, and the task that empties it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Deserialize as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Told, UNKNOWN_KIND, Unknown, UnknownRecorder, UnknownTable};
use crate::{
    limits::{UNKNOWN_BATCHES, UNKNOWN_INVENTORY_QUEUE, UNKNOWN_QUEUE, UNKNOWN_WRITE_S},
    source::{HardwareKey, HardwareSource},
    store::{Commit, Store, StoreError},
    timeline::{BootEvent, BootEventKind, BootRecorder, Subject},
    workflow::ServiceError,
};

/// Takes what is seen without waiting; what a flood brings beyond its bounds is lost and counted, and machines ask again.
#[derive(Debug, Clone)]
pub struct UnknownQueue {
    seen: mpsc::Sender<Unknown>,
    told: mpsc::Sender<Told>,
    lost: UnknownLost,
}

/// How much of unknown machines was lost to a bound since the start. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct UnknownLost(Arc<Lost>);

#[derive(Debug, Default)]
struct Lost {
    questions: AtomicU64,
    machines: AtomicU64,
}

impl UnknownLost {
    /// Questions that found [`UNKNOWN_QUEUE`] others waiting: their machines are as they were known before, or not at all.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.0.questions.load(Ordering::Relaxed)
    }

    /// Machines that were known and made room for others, since [`UNKNOWN_MACHINES`](crate::limits::UNKNOWN_MACHINES) are kept.
    #[must_use]
    pub fn machines(&self) -> u64 {
        self.0.machines.load(Ordering::Relaxed)
    }
}

impl UnknownRecorder for UnknownQueue {
    fn saw(&self, machine: Unknown) {
        if self.seen.try_send(machine).is_err() {
            self.lost.0.questions.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Keeps the store's unknown machines.
pub struct UnknownDriver {
    seen: mpsc::Receiver<Unknown>,
    told: mpsc::Receiver<Told>,
    store: Arc<dyn Store>,
    hardware: Arc<dyn HardwareSource>,
    recorder: Arc<dyn BootRecorder>,
    lost: UnknownLost,
}

impl UnknownQueue {
    /// A queue and what empties it into `store`; whom `hardware` names is dropped there, and `recorder` is told of inventories.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        hardware: Arc<dyn HardwareSource>,
        recorder: Arc<dyn BootRecorder>,
    ) -> (Self, UnknownDriver) {
        let (queue, seen) = mpsc::channel(UNKNOWN_QUEUE);
        let (inventories, told) = mpsc::channel(UNKNOWN_INVENTORY_QUEUE);
        let lost = UnknownLost::default();
        let driver = UnknownDriver { seen, told, store, hardware, recorder, lost: lost.clone() };
        (Self { seen: queue, told: inventories, lost }, driver)
    }

    /// Takes an inventory.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] where [`UNKNOWN_INVENTORY_QUEUE`] others wait.
    pub fn told(&self, told: Told) -> Result<(), ServiceError> {
        self.told.try_send(told).map_err(|_| ServiceError::Unavailable {
            message: "too many inventories at once; try again".to_owned(),
        })
    }

    /// What is lost to a bound, for whoever counts.
    #[must_use]
    pub fn lost(&self) -> UnknownLost {
        self.lost.clone()
    }
}

impl UnknownDriver {
    /// Runs until cancelled. A store that is away is asked again; meanwhile the machines are remembered.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut table: Option<UnknownTable> = None;
        let mut tick = tokio::time::interval(Duration::from_secs(UNKNOWN_WRITE_S));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let (seen, told) = tokio::select! {
                () = cancel.cancelled() => break,
                _ = tick.tick() => (None, None),
                // Before the store was read the queues wait.
                seen = self.seen.recv(), if table.is_some() => (seen, None),
                told = self.told.recv(), if table.is_some() => (None, told),
            };
            match ((seen, told), &mut table) {
                ((Some(machine), _), Some(table)) => self.saw(table, machine),
                ((_, Some(told)), Some(table)) => self.took(table, told),
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
                self.saw(&mut table, machine);
            }
            while let Ok(told) = self.told.try_recv() {
                self.took(&mut table, told);
            }
            self.turn(&mut table).await;
        }
    }

    fn saw(&self, table: &mut UnknownTable, machine: Unknown) {
        let gone = table.saw(machine);
        self.lost.0.machines.fetch_add(gone, Ordering::Relaxed);
    }

    fn took(&self, table: &mut UnknownTable, told: Told) {
        let kind = BootEventKind::InventoryTold {
            disks: u32::try_from(told.inventory.disks.len()).unwrap_or(u32::MAX),
            serial: told.inventory.serial.clone(),
        };
        let event = BootEvent { at: told.at, subject: Subject::Mac(told.mac), kind };
        let (is_news, gone) = table.told(told);
        self.lost.0.machines.fetch_add(gone, Ordering::Relaxed);
        if is_news {
            self.recorder.record(event);
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
