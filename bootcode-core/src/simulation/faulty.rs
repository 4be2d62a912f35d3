//! A store that takes its time and fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{dice::Dice, tasks::wait, time::SimClock};
use crate::store::{Batch, Commit, Entry, Key, Revision, Store, StoreError, Stored, Watch};

/// How often a store fails, in a thousand calls each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trouble {
    /// Reads and commits that are refused.
    pub(super) refuses: u64,
    /// Commits that are carried out, but not answered.
    pub(super) loses_the_answer: u64,
    /// Commits that are neither.
    pub(super) loses_both: u64,
    /// Commits that are carried out after they were given up.
    pub(super) lands_late: u64,
    /// The longest that a call takes, in milliseconds.
    pub(super) slow_ms: u64,
}

/// What a store did besides answering.
#[derive(Debug)]
pub(super) enum Deed {
    /// It carried this batch out.
    Committed(Batch),
    /// It failed in this way.
    Failed(&'static str),
}

/// Any store, with faults; what it carries out is told in its order.
pub(super) struct FaultyStore {
    pub(super) inner: Arc<dyn Store>,
    clock: SimClock,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    trouble: Trouble,
    deeds: Vec<Deed>,
    late: Vec<(u64, Batch)>,
}

enum Fate {
    Good,
    Refused,
    AnswerLost,
    BothLost,
    Late,
}

impl FaultyStore {
    pub(super) fn new(inner: Arc<dyn Store>, clock: SimClock, dice: Dice) -> Self {
        let state = State { dice, trouble: Trouble::default(), deeds: Vec::new(), late: Vec::new() };
        Self { inner, clock, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, trouble: Trouble) {
        self.lock().trouble = trouble;
    }

    /// What it did since this was asked last.
    pub(super) fn deeds(&self) -> Vec<Deed> {
        std::mem::take(&mut self.lock().deeds)
    }

    async fn pause(&self) {
        let ms = {
            let mut state = self.lock();
            let slow = state.trouble.slow_ms;
            state.dice.roll(slow + 1)
        };
        if ms > 0 {
            self.clock.sleep_ms(ms).await;
        }
        self.land();
    }

    /// Commits that were given up, and are carried out now.
    fn land(&self) {
        let now = self.clock.now_ms();
        let due: Vec<Batch> = {
            let mut state = self.lock();
            let (due, late) = std::mem::take(&mut state.late).into_iter().partition(|(at, _)| *at <= now);
            state.late = late;
            due.into_iter().map(|(_, batch): (u64, Batch)| batch).collect()
        };
        for batch in due {
            // Nobody waits for how it ends.
            let _ = self.carry_out(batch);
        }
    }

    fn carry_out(&self, batch: Batch) -> Result<Commit, StoreError> {
        let done = wait(self.inner.commit(batch.clone()))?;
        if matches!(done, Commit::Done(_)) {
            self.lock().deeds.push(Deed::Committed(batch));
        }
        Ok(done)
    }

    fn refused(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        let refuses = state.trouble.refuses;
        if state.dice.chance(refuses) {
            state.deeds.push(Deed::Failed("store refuses"));
            return Err(StoreError::Unavailable { message: "simulated".to_owned() });
        }
        Ok(())
    }

    fn fate(&self) -> Fate {
        let mut state = self.lock();
        let Trouble { refuses, loses_the_answer, loses_both, lands_late, .. } = state.trouble;
        let fates = [
            (refuses, Fate::Refused, "store refuses"),
            (loses_the_answer, Fate::AnswerLost, "store loses answer"),
            (loses_both, Fate::BothLost, "store loses both"),
            (lands_late, Fate::Late, "store commits late"),
        ];
        for (often, fate, name) in fates {
            if state.dice.chance(often) {
                state.deeds.push(Deed::Failed(name));
                return fate;
            }
        }
        Fate::Good
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.pause().await;
        self.refused()?;
        wait(self.inner.get(key))
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        self.pause().await;
        self.refused()?;
        wait(self.inner.list(kind))
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.pause().await;
        self.refused()?;
        wait(self.inner.read(log, from))
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.pause().await;
        self.refused()?;
        wait(self.inner.logs(prefix))
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        self.pause().await;
        self.refused()?;
        wait(self.inner.trim(log, before))
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        // Never in no time: whoever commits for ever must not stop the clock.
        self.clock.sleep_ms(1).await;
        self.pause().await;
        match self.fate() {
            Fate::Good => {
                let done = self.carry_out(batch);
                self.pause().await;
                done
            }
            Fate::Refused => Err(StoreError::Unavailable { message: "simulated".to_owned() }),
            Fate::AnswerLost => {
                self.carry_out(batch)?;
                Err(StoreError::Unknown)
            }
            Fate::BothLost => Err(StoreError::Unknown),
            Fate::Late => {
                let mut state = self.lock();
                let at = self.clock.now_ms() + state.dice.roll(200);
                state.late.push((at, batch));
                Err(StoreError::Unknown)
            }
        }
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        self.refused()?;
        wait(self.inner.watch(from))
    }
}
