//! What decides, composed: store, snapshot, engine, timeline.

use std::sync::Arc;

use bootcode_core::{
    apply::{self, Applier},
    clock::{Clock, SystemClock},
    engine::{self, Engine},
    image::ImageIndex,
    journal::{FileJournal, Journal},
    secret::SecretSource,
    session::{BootSessions, Entropy, Sealer},
    snapshot::Snapshot,
    source::HardwareSource,
    store::{MemoryStore, SqliteStore, Store},
    timeline::{TimelineDriver, TimelineRecorder},
    workflow::Hold,
};

use crate::{
    config::{Config, StoreKind},
    data::{DATABASE, DataDir},
    error::ServerError,
    freshness::{self, Freshness},
    secrets::StoredSecrets,
    sources::Watched,
};

/// Everything that decides, and the drivers that keep it going.
pub(crate) struct Control {
    pub(crate) data: DataDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) hardware: Arc<dyn HardwareSource>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) applier: Arc<Applier>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) recorder: Arc<TimelineRecorder>,
    pub(crate) timeline: TimelineDriver,
    pub(crate) sessions: Arc<BootSessions>,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) sealer: Sealer,
    pub(crate) entropy: Entropy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) freshness: Freshness,
}

/// What an embedder brings of its own.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) hardware: Option<Arc<dyn HardwareSource>>,
    pub(crate) secrets: Option<Arc<dyn SecretSource>>,
}

impl Control {
    /// Opens the data directory and the store, and reads what is in it.
    pub(crate) async fn open(
        config: &Config,
        own: Own,
        images: Arc<dyn ImageIndex>,
    ) -> Result<Self, ServerError> {
        let data = DataDir::open(&config.data_dir)?;
        let store = match (own.store, config.store) {
            (Some(store), _) => store,
            (None, StoreKind::Memory) => Arc::new(MemoryStore::new()),
            (None, StoreKind::Sqlite) => Arc::new(SqliteStore::open(&data.join(DATABASE))?) as Arc<dyn Store>,
        };
        let freshness = freshness::begin(&data, &*store).await?;
        // What an apply decided before the last server ended is written before anybody reads it.
        apply::settle(&*store).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let sealer = Sealer::new(data.token_key(random)?);
        let entropy: Entropy = Arc::new(random);
        let journal: Arc<dyn Journal> =
            Arc::new(FileJournal::open(&data.join("journal")).map_err(|error| ServerError::Path {
                key: "data_dir",
                path: data.join("journal"),
                message: error.to_string(),
            })?);
        let snapshot = Snapshot::load(&*store).await?;
        let hardware = own.hardware.unwrap_or_else(|| Arc::clone(&snapshot) as Arc<dyn HardwareSource>);
        let (recorder, timeline) =
            TimelineRecorder::new(Arc::clone(&journal), Arc::clone(&hardware), Arc::clone(&clock));
        let recorder = Arc::new(recorder);
        let secrets: Arc<dyn SecretSource> =
            own.secrets.unwrap_or_else(|| Arc::new(StoredSecrets::new(Arc::clone(&store))));
        let engine = Arc::new(
            Engine::open(engine::Parts {
                store: Arc::clone(&store),
                hardware: Arc::clone(&hardware),
                journal: Arc::clone(&journal),
                recorder: Arc::clone(&recorder) as _,
                images,
                secrets: Arc::clone(&secrets),
                sealer: sealer.clone(),
                clock: Arc::clone(&clock),
            })
            .await?,
        );
        let directory_hold = (freshness != Freshness::Continued).then_some(Hold::FreshStore);
        let applier = Arc::new(Applier::new(Arc::clone(&store), Arc::clone(&engine), directory_hold));
        let sessions = Arc::new(BootSessions::new());
        Ok(Self {
            data,
            store,
            snapshot,
            hardware,
            engine,
            applier,
            journal,
            recorder,
            timeline,
            sessions,
            secrets,
            sealer,
            entropy,
            clock,
            freshness,
        })
    }

    /// Whether there is anything to serve from an earlier start.
    pub(crate) fn has_documents(&self) -> bool {
        self.freshness != Freshness::Fresh
    }

    /// What a lost or restored store asks for is done. Directories that brought nothing may not be mounted yet: the
    /// store of a first start stays fresh until one did.
    pub(crate) async fn settle(&self, directories: &[Watched]) -> Result<(), ServerError> {
        if self.freshness == Freshness::Fresh
            && !directories.iter().any(Watched::brought_any)
            && !directories.is_empty()
        {
            return Ok(());
        }
        Ok(freshness::settle(&*self.store).await?)
    }

    /// After a restored store no open workflow goes on by itself: what it would write may have been written since.
    pub(crate) async fn hold_restored(&self) -> Result<(), ServerError> {
        if self.freshness != Freshness::Restored {
            return Ok(());
        }
        let held = self.engine.hold_all(&Hold::RestoredStore).await?;
        tracing::warn!(
            held,
            "the store is older than the last start of this server: open workflows are held"
        );
        Ok(())
    }
}

/// Random bytes from the kernel. Without them no token can be made, and nothing may run.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "a kernel without randomness cannot be served from")]
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}
