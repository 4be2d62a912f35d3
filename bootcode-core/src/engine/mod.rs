//! The engine: load, fold, decide, append, answer. The only imperative workflow code.
//!
//! ```text
//! operator, worker --command--> load the log's new entries -> workflow::decide -> append after the last one known --durable--> answer
//!                                        ^------- another writer was first -------'
//! Store::watch --> index of folded states --> waiting claims, work of machines, deadlines
//! ```

mod claim;
mod command;
mod driver;
mod error;
mod index;
mod installation;
mod live;
mod log;
mod operator;
mod record;
mod retention;
mod service;
mod session;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

pub use error::EngineError;
pub use installation::{INSTALLATION, Installation, MachineStatus};
pub use operator::NewWorkflow;
pub use session::BOOT_SESSION;

use crate::{
    clock::{Clock, Timestamp},
    image::ImageIndex,
    journal::Journal,
    secret::SecretSource,
    session::Sealer,
    source::HardwareSource,
    store::Store,
    timeline::BootRecorder,
};
use index::Index;

/// The prefix of a workflow's log in the store.
pub const LOG_PREFIX: &str = "workflow/";

/// What an engine is made of.
pub struct Parts {
    /// Where the logs are.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where boot events go.
    pub recorder: Arc<dyn BootRecorder>,
    /// Where action logs go.
    pub journal: Arc<dyn Journal>,
    /// The images of the built-in registry.
    pub images: Arc<dyn ImageIndex>,
    /// The machines.
    pub hardware: Arc<dyn HardwareSource>,
    /// Where the secrets of actions are read.
    pub secrets: Arc<dyn SecretSource>,
    /// Makes and checks tokens.
    pub sealer: Sealer,
}

/// Runs workflows. Everything that it promises is in the store first (I4); a restart needs no memory of it.
pub struct Engine {
    parts: Parts,
    index: Index,
    live: live::Live,
    up_since: Timestamp,
    log_turns: log::Turns,
    /// The last boot of each machine that was told to end: repeats of that answer are no new event.
    told: Mutex<HashMap<String, String>>,
}

impl Engine {
    /// The time of its clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// An engine that knows every workflow of the store. [`Engine::run`] must run beside it.
    ///
    /// # Errors
    /// [`EngineError::Store`] where the store does not answer. A log that cannot be read is logged and passed over: its machine boots its disk.
    pub async fn open(parts: Parts) -> Result<Self, EngineError> {
        let up_since = parts.clock.now();
        let engine = Self {
            parts,
            index: Index::new(up_since),
            live: live::Live::default(),
            up_since,
            log_turns: log::Turns::default(),
            told: Mutex::default(),
        };
        engine.reload().await?;
        Ok(engine)
    }
}

/// The name of a workflow's log.
#[must_use]
pub fn log_name(workflow: &str) -> String {
    format!("{LOG_PREFIX}{workflow}")
}
