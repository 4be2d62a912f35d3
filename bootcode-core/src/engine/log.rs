//! Logs of actions: appended once, whatever is repeated.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::Mutex;

use super::{Engine, EngineError, session::Caller};
use crate::{
    journal::action_log,
    limits::{ACTION_LOG_BYTES, LOG_CHUNK_BYTES},
    timeline::Reason,
    workflow::LogChunk,
};

/// Streams that can be appended to at once; two that share a turn wait for each other.
const TURNS: usize = 64;

/// One writer at a time for each stream: the offset that a chunk is compared with must still hold when it is appended.
pub(super) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    pub(super) fn of(&self, stream: &str) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        stream.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0);
        &self.0[place]
    }
}

impl Engine {
    /// Appends what of a chunk is new; returns where the next one begins.
    pub(super) async fn keep_log(&self, caller: &Caller, chunk: &LogChunk) -> Result<u64, EngineError> {
        let refused = |reason| Err(EngineError::Refused { reason });
        if chunk.text.len() > LOG_CHUNK_BYTES {
            return refused(Reason::TooMany);
        }
        let Some(state) = self.state(&chunk.workflow) else { return refused(Reason::NotFound) };
        let plan = state.plan.iter().flat_map(|plan| plan.spec.actions());
        let known = plan.zip(&state.actions).any(|((task, action), state)| {
            task.worker == caller.hardware.name
                && action.name == chunk.action
                && (1..=state.attempt).contains(&chunk.attempt)
        });
        if !known {
            return refused(Reason::NotFound);
        }
        let stream = action_log(&chunk.workflow, &chunk.action, chunk.attempt);
        let _turn = self.log_turns.of(&stream).lock().await;
        let kept = self.parts.journal.len(&stream).await?;
        let end = chunk.offset.saturating_add(chunk.text.len() as u64);
        if kept >= ACTION_LOG_BYTES {
            // Enough of it: taken and dropped, so that the worker goes on.
            return Ok(end);
        }
        let room = usize::try_from(ACTION_LOG_BYTES - kept).unwrap_or(usize::MAX);
        let mut new = match kept.checked_sub(chunk.offset) {
            // A crash of the host can cost the last second of a journal. Its place is filled, so that offsets stay true.
            None => lost(chunk.offset - kept, room),
            Some(_) => Vec::new(),
        };
        let overlap = usize::try_from(kept.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        new.extend_from_slice(chunk.text.as_bytes().get(overlap..).unwrap_or_default());
        new.truncate(room);
        if new.is_empty() {
            return Ok(kept);
        }
        self.parts.journal.append(&stream, &new).await?;
        Ok(end)
    }
}

fn lost(bytes: u64, room: usize) -> Vec<u8> {
    let gap = usize::try_from(bytes).unwrap_or(usize::MAX).min(room);
    let mut filler = format!("\n[{bytes} bytes of this log were lost by the server]").into_bytes();
    filler.resize(gap, b'\n');
    filler
}
