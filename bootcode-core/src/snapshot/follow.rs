//! Following a store that may go away and come back.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Snapshot, change_index, read_all};
use crate::{
    apply::announced,
    clock::Clock,
    document::Kind,
    store::{Change, Store, StoreError, Watched},
};

/// The wait after a store was lost: shorter than the 100 ms within which a change is to be seen.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait: a store that is back is noticed within it, and one that is away for a night is asked some thousand times.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Doubling waits between [`FIRST_WAIT`] and [`LONGEST_WAIT`].
#[derive(Debug, Default)]
pub(super) struct Waits(Option<Duration>);

impl Waits {
    /// How long to wait after a watch that `stood` so long. One that stood longer than any wait was a good one: they start anew.
    pub(super) fn after(&mut self, stood: Duration) -> Duration {
        let wait = match self.0 {
            Some(last) if stood <= LONGEST_WAIT => (last * 2).min(LONGEST_WAIT),
            _ => FIRST_WAIT,
        };
        self.0 = Some(wait);
        wait
    }
}

impl Snapshot {
    /// Follows the store until cancelled. While the store is away everything is answered as it last was, and the store is asked
    /// again after a wait that doubles, up to ten seconds.
    pub async fn follow(&self, store: Arc<dyn Store>, clock: Arc<dyn Clock>, cancel: CancellationToken) {
        let mut waits = Waits::default();
        loop {
            let (begun, from) = (clock.now(), self.revision());
            let Some(ended) = cancel.run_until_cancelled(self.follow_once(&*store)).await else { return };
            match ended {
                // What was missed was read: the watch goes on from there at once. Only who got nowhere waits.
                Ok(()) if self.revision() != from => {
                    waits = Waits::default();
                    continue;
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "the store cannot be followed; answers are as of the last revision");
                }
            }
            let now = clock.now();
            let wait = waits.after(stood(begun, now));
            let until = now.saturating_add(wait).unwrap_or(now);
            if cancel.run_until_cancelled(clock.sleep_until(until)).await.is_none() {
                return;
            }
        }
    }

    async fn follow_once(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut commits = store.watch(self.revision()).await?;
        // The changes of an apply that is not written whole yet: shown together, or not at all.
        let (mut held, mut is_open) = (Vec::new(), false);
        while let Some(watched) = commits.next().await {
            match watched {
                Watched::Commit { revision, mut changes } => {
                    let announced = changes.iter().rev().find_map(|change| match change {
                        Change::Put(stored) => announced(&stored.key, &stored.value),
                        _ => None,
                    });
                    is_open = announced.map_or(is_open, |parts| parts > 0);
                    if is_open {
                        changes.retain(concerns_machines);
                    }
                    held.append(&mut changes);
                    if is_open {
                        continue;
                    }
                    // All of them live until what is made of them does: else that would come to lie among a fleet's freed changes, and
                    // keep their memory. And the room for so many is not kept either.
                    let shown = std::mem::take(&mut held);
                    self.write(|index| shown.iter().for_each(|change| change_index(index, change)));
                    self.revision.send_replace(revision);
                }
                Watched::Compacted => {
                    let (index, revision) = read_all(store).await?;
                    self.write(|old| *old = index);
                    self.revision.send_replace(revision);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// How long it was from one moment to another; nothing where the clock was set back.
fn stood(begun: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(begun).try_into().unwrap_or_default()
}

fn concerns_machines(change: &Change) -> bool {
    let kind = match change {
        Change::Put(stored) => &stored.key.kind,
        Change::Deleted(key) => &key.kind,
        Change::Appended { .. } => return false,
    };
    [Kind::Network, Kind::Profile, Kind::Hardware].iter().any(|wanted| wanted.name() == kind)
}
