//! A watch: what was missed, then what is broadcast.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::broadcast;

use super::{Revision, Watch, Watched};

/// Every commit after `from`: first those of `missed`, then live ones. `live` must have been subscribed before `missed` was read, so that
/// nothing falls between. A watcher that falls behind gets [`Watched::Compacted`] and the end.
pub(super) fn follow(
    from: Revision,
    missed: VecDeque<Watched>,
    live: broadcast::Receiver<Arc<Watched>>,
) -> Watch {
    let start = Follower { last: from, missed, live, ended: false };
    Box::pin(futures_util::stream::unfold(start, |mut follower| async move {
        let next = follower.next().await?;
        Some((next, follower))
    }))
}

/// A watch that only says that what was asked for is gone.
pub(super) fn compacted() -> Watch {
    Box::pin(futures_util::stream::iter([Watched::Compacted]))
}

struct Follower {
    last: Revision,
    missed: VecDeque<Watched>,
    live: broadcast::Receiver<Arc<Watched>>,
    ended: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Watched> {
        if self.ended {
            return None;
        }
        if let Some(watched) = self.missed.pop_front() {
            self.note(&watched);
            return Some(watched);
        }
        loop {
            match self.live.recv().await {
                Ok(watched) => {
                    if matches!(&*watched, Watched::Commit { revision, .. } if *revision <= self.last) {
                        continue;
                    }
                    self.note(&watched);
                    return Some(Arc::unwrap_or_clone(watched));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.ended = true;
                    return Some(Watched::Compacted);
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    const fn note(&mut self, watched: &Watched) {
        match watched {
            Watched::Commit { revision, .. } => self.last = *revision,
            Watched::Compacted => self.ended = true,
        }
    }
}
