//! Does what the agent says: the one place where service, runtime, spool, disks and clock meet.

mod log;
mod mask;
mod outputs;
mod perform;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bootcode_core::workflow::{Inventory, WorkflowService};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agent::{Agent, Effect, Ending, Input},
    hardware::Roots,
    identity::Identity,
    limits,
    power::MachinePower,
    runtime::{ContainerRuntime, RuntimeError},
    spool::{Spool, SpoolError},
};

/// What the driver is made of.
#[derive(Clone)]
pub struct Parts {
    /// The engine, in process or behind HTTP.
    pub service: Arc<dyn WorkflowService>,
    /// What runs containers.
    pub runtime: Arc<dyn ContainerRuntime>,
    /// What restarts the machine.
    pub power: Arc<dyn MachinePower>,
    /// Where outcomes wait.
    pub spool: Spool,
    /// Who this worker is.
    pub identity: Identity,
    /// The rest.
    pub settings: Settings,
}

/// What a driver is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What actions get as `BOOTCODE_METADATA_URL`.
    pub metadata_url: String,
    /// Where token files and the directories that a workflow's actions share are kept: memory, not a disk.
    pub state: PathBuf,
    /// Whether every disk that the workflow did not select is made read-only (I12). Off only on a host that does more
    /// than be provisioned: its other disks are not ours.
    pub protect_disks: bool,
    /// Where the kernel shows the machine.
    pub roots: Roots,
}

/// Why a worker ended that should not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The machine cannot be looked at.
    #[error("cannot take the inventory: {source}")]
    Inventory {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// What a worker before this one left cannot be removed.
    #[error("cannot remove what an earlier worker left: {source}")]
    Reap {
        /// The cause.
        #[source]
        source: RuntimeError,
    },
    /// One of our own tasks failed.
    #[error("a task of the worker was cut off: {source}")]
    Task {
        /// The cause.
        #[source]
        source: tokio::task::JoinError,
    },
}

/// A running worker.
pub struct Driver {
    parts: Arc<Parts>,
    agent: Agent,
    inventory: Inventory,
    started: Instant,
    /// Each answers one effect; `None` where nobody waits for the answer.
    tasks: JoinSet<Option<Input>>,
    /// Logs that still go to the server.
    logs: TaskTracker,
    logs_end: CancellationToken,
    session: watch::Sender<String>,
    /// How much of the open attempt's log the server has.
    log_offset: Arc<Mutex<u64>>,
    /// Kills what runs of the open attempt.
    kill: CancellationToken,
}

impl Driver {
    /// Works until it is stopped or refused.
    ///
    /// # Errors
    /// See [`DriverError`]: the machine or our own code, never the server, which is awaited for as long as it takes.
    pub async fn run(parts: Parts, stop: CancellationToken) -> Result<Ending, DriverError> {
        let spooled = parts.spool.replay()?;
        parts.runtime.reap(None).await.map_err(|source| DriverError::Reap { source })?;
        let roots = parts.settings.roots.clone();
        let inventory = tokio::task::spawn_blocking(move || crate::hardware::inventory(&roots))
            .await
            .map_err(|source| DriverError::Task { source })?
            .map_err(|source| DriverError::Inventory { source })?;
        let driver = Self {
            parts: Arc::new(parts),
            agent: Agent::new(),
            inventory,
            started: Instant::now(),
            tasks: JoinSet::new(),
            logs: TaskTracker::new(),
            logs_end: CancellationToken::new(),
            session: watch::Sender::new(String::new()),
            log_offset: Arc::default(),
            kill: CancellationToken::new(),
        };
        driver.work(spooled, stop).await
    }

    async fn work(
        mut self,
        spooled: Vec<bootcode_core::workflow::Report>,
        stop: CancellationToken,
    ) -> Result<Ending, DriverError> {
        // A driver that is dropped must not leave logs behind that go on.
        let _logs_end = self.logs_end.clone().drop_guard();
        let mut input = Input::Started { spooled };
        let mut stopping = false;
        loop {
            let effects = self.agent.handle(input, self.started.elapsed());
            if let Some(session) = self.agent.session() {
                let token = &session.token;
                self.session.send_if_modified(|known| {
                    known != token && {
                        known.clone_from(token);
                        true
                    }
                });
            }
            for effect in effects {
                match effect {
                    Effect::Exit(ending) => {
                        self.end().await;
                        return Ok(ending);
                    }
                    effect => self.perform(effect),
                }
            }
            input = loop {
                let wake = self.agent.next_wake().map(|at| self.started + at);
                tokio::select! {
                    () = stop.cancelled(), if !stopping => {
                        stopping = true;
                        break Input::Stop;
                    }
                    Some(done) = self.tasks.join_next() => {
                        if let Some(input) = done.map_err(|source| DriverError::Task { source })? {
                            break input;
                        }
                    }
                    () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => break Input::Woke,
                }
            };
        }
    }

    /// Gives logs a last moment, then ends every task.
    async fn end(mut self) {
        self.logs.close();
        let _ = timeout(limits::LOG_FLUSH, self.logs.wait()).await;
        self.logs_end.cancel();
        self.logs.wait().await;
        self.tasks.shutdown().await;
    }
}

/// A call that does not answer in time is one that was not answered.
async fn answered<T>(
    call: impl Future<Output = Result<T, bootcode_core::workflow::ServiceError>>,
) -> Result<T, bootcode_core::workflow::ServiceError> {
    const BOUND: Duration = limits::CALL;
    timeout(BOUND, call).await.unwrap_or_else(|_| {
        Err(bootcode_core::workflow::ServiceError::Unavailable {
            message: format!("no answer for {} s", BOUND.as_secs()),
        })
    })
}
