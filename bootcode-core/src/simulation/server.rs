//! The server: an engine that can be killed at any moment, and starts again on what the store has.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{
    check::Broken,
    network::Answer,
    world::{Event, World},
};
use crate::{
    clock::Clock as _,
    document::Hardware,
    engine::{Engine, EngineError, Parts},
    image::{ImageError, ImageIndex},
    journal::MemoryJournal,
    secret::NoSecrets,
    source::{HardwareKey, HardwareSource, SourceError},
    timeline::{BootEvent, BootRecorder},
};

/// What a task came to.
pub(super) enum Done {
    Opened(Result<Arc<Engine>, EngineError>),
    Answered { call: u64, answer: Answer },
    Operated { operation: u64, result: Result<bool, EngineError> },
    Ran,
}

/// The one server.
#[derive(Default)]
pub(super) struct Server {
    pub(super) engine: Option<Arc<Engine>>,
    starting: bool,
}

impl Server {
    /// Whether it runs or is about to.
    pub(super) const fn is_wanted(&self) -> bool {
        self.engine.is_some() || self.starting
    }
}

struct Machines(Vec<Arc<Hardware>>);

#[async_trait]
impl HardwareSource for Machines {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        let HardwareKey::Name(name) = key else { return Ok(None) };
        Ok(self.0.iter().find(|hardware| hardware.name == *name).cloned())
    }
}

struct EveryImage;

#[async_trait]
impl ImageIndex for EveryImage {
    async fn resolve(&self, name: &str) -> Result<Option<String>, ImageError> {
        Ok(Some(format!("sha256:{name}")))
    }
}

struct NoTimeline;

impl BootRecorder for NoTimeline {
    fn record(&self, _: BootEvent) {}
}

impl World<'_> {
    pub(super) fn server_up(&mut self) {
        if self.server.is_wanted() {
            return;
        }
        self.note("server", format_args!("starts"));
        self.server.starting = true;
        self.checker.up_since = self.clock.now();
        let parts = Parts {
            store: Arc::<super::faulty::FaultyStore>::clone(&self.store),
            clock: Arc::new(self.clock.clone()),
            recorder: Arc::new(NoTimeline),
            journal: Arc::new(MemoryJournal::new()),
            images: Arc::new(EveryImage),
            hardware: Arc::new(Machines(self.machines.iter().map(|m| Arc::clone(&m.hardware)).collect())),
            secrets: Arc::new(NoSecrets),
            sealer: self.sealer.clone(),
        };
        self.tasks.start(async move { Done::Opened(Engine::open(parts).await.map(Arc::new)) });
    }

    /// The process is killed: nothing of it answers any more.
    pub(super) fn server_down(&mut self) {
        self.note("server", format_args!("is killed"));
        self.counts.add("server restarts");
        self.tasks.drop_all();
        self.server = Server::default();
        self.operations.clear();
        self.connections_break();
    }

    pub(super) fn done(&mut self, _task: u64, done: Done) -> Result<(), Broken> {
        match done {
            Done::Opened(Ok(engine)) => {
                self.note("server", format_args!("runs"));
                self.server.starting = false;
                self.server.engine = Some(Arc::clone(&engine));
                self.tasks.start(async move {
                    engine.run(CancellationToken::new()).await;
                    Done::Ran
                });
            }
            Done::Opened(Err(error)) => {
                self.note("server", format_args!("cannot start: {error}"));
                self.server = Server::default();
                self.at(5000, Event::ServerUp);
            }
            Done::Answered { call, answer } => return self.answered(call, answer),
            Done::Operated { operation, result } => return self.operated(operation, result),
            Done::Ran => self.note("server", format_args!("its engine ended")),
        }
        Ok(())
    }
}
