//! A watch: what was missed, then what is broadcast, and what was missed again where its reader fell behind.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{Revision, StoreError, Watch, Watched};

/// Commits that a store has kept.
#[async_trait]
pub(super) trait Kept: Send + Sync + 'static {
    /// Some commits after this revision, in order, from the first on; none where there are no more, `None` where they are not all kept.
    async fn after(&self, revision: Revision) -> Result<Option<VecDeque<Watched>>, StoreError>;
}

/// Every commit after `from`: first those of `kept`, some at a time, then live ones. A watcher that falls behind reads what it missed from
/// `kept`; one for which that is no longer all there gets [`Watched::Compacted`] and the end.
///
/// # Errors
/// Those of the first reading; one that fails later ends the watch.
pub(super) async fn follow(
    from: Revision,
    kept: impl Kept,
    commits: &broadcast::Sender<Arc<Watched>>,
) -> Result<Watch, StoreError> {
    // Before the first reading, so that nothing falls between.
    let live = commits.subscribe();
    let Some(some) = kept.after(from).await? else {
        return Ok(Box::pin(futures_util::stream::iter([Watched::Compacted])));
    };
    let is_live = some.is_empty();
    let start = Follower { last: from, kept, some, is_live, live, ended: false };
    Ok(Box::pin(futures_util::stream::unfold(start, |mut follower| async move {
        let next = follower.next().await?;
        Some((next, follower))
    })))
}

struct Follower<K> {
    last: Revision,
    kept: K,
    /// Read, and not yet shown.
    some: VecDeque<Watched>,
    /// Whether all that was kept is shown; what comes is in `live`.
    is_live: bool,
    live: broadcast::Receiver<Arc<Watched>>,
    ended: bool,
}

impl<K: Kept> Follower<K> {
    async fn next(&mut self) -> Option<Watched> {
        while !self.ended {
            if let Some(watched) = self.some.pop_front() {
                self.note(&watched);
                return Some(watched);
            }
            if !self.is_live {
                let Some(some) = self.kept.after(self.last).await.ok()? else {
                    self.ended = true;
                    return Some(Watched::Compacted);
                };
                self.is_live = some.is_empty();
                self.some = some;
                continue;
            }
            match self.live.recv().await {
                Ok(watched) => {
                    if matches!(&*watched, Watched::Commit { revision, .. } if *revision <= self.last) {
                        continue;
                    }
                    self.note(&watched);
                    return Some(Arc::unwrap_or_clone(watched));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.is_live = false,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
        None
    }

    const fn note(&mut self, watched: &Watched) {
        match watched {
            Watched::Commit { revision, .. } => self.last = *revision,
            Watched::Compacted => self.ended = true,
        }
    }
}
