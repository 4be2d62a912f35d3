//! Blobs that somebody who pushes counts on.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::Digest;
use crate::limits;

/// What was pushed or asked for by operators within [`limits::GRACE`]: the manifest that needs it may be still to come.
///
/// Whoever is to rely on a blob marks it before looking whether it is there. A sweep looks at the mark and removes under one lock
/// ([`Wanted::unless`]), so that it either leaves the blob or has removed it before the look.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    at: BTreeMap<Digest, SystemTime>,
    /// When a mark was lost because there were too many: for so long all are taken as marked.
    lost: Option<SystemTime>,
}

impl Wanted {
    /// Marks it.
    pub(super) fn mark(&self, digest: &Digest, now: SystemTime) {
        let mut marks = self.marks();
        if marks.at.len() >= limits::WANTED_BLOBS {
            marks.at.retain(|_, at| is_young(*at, now));
        }
        if marks.at.len() >= limits::WANTED_BLOBS && !marks.at.contains_key(digest) {
            marks.lost = Some(now);
        } else {
            marks.at.insert(digest.clone(), now);
        }
    }

    /// Does `act` unless the blob is marked; meanwhile nobody can mark it.
    pub(super) fn unless<T>(&self, digest: &Digest, now: SystemTime, act: impl FnOnce() -> T) -> Option<T> {
        let marks = self.marks();
        let marked = marks.at.get(digest).copied();
        let wanted = marked.into_iter().chain(marks.lost).any(|at| is_young(at, now));
        (!wanted).then(act)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something of that time is to be left alone, as is what a clock that went back says is to come.
pub(super) fn is_young(at: SystemTime, now: SystemTime) -> bool {
    now.duration_since(at).map_or(true, |age| age < limits::GRACE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn marks_hold_for_the_grace_and_too_many_hold_everything() {
        let (wanted, now) = (Wanted::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let old = now + limits::GRACE;
        let digest = |n: u32| Digest::of(&n.to_le_bytes());
        let is_held = |n, now| wanted.unless(&digest(n), now, || ()).is_none();
        wanted.mark(&digest(0), now);
        assert!(is_held(0, now) && is_held(0, old - Duration::from_secs(1)) && !is_held(0, old));
        assert!(is_held(0, now - Duration::from_secs(5)), "a clock that went back");
        assert!(!is_held(1, now));
        for n in 0..=limits::WANTED_BLOBS as u32 {
            wanted.mark(&digest(n), now);
        }
        assert!(is_held(u32::MAX, now), "one mark was lost, so all are held");
        assert!(!is_held(u32::MAX, old));
        wanted.mark(&digest(7), old);
        assert!(is_held(7, old) && !is_held(8, old), "marks that ended make room");
    }
}
