//! A store that fails on command, one machine, and an engine on them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;

use crate::{
    clock::{ManualClock, Timestamp},
    document::Hardware,
    engine::{Engine, EngineError, NewWorkflow, Parts},
    image::{ImageError, ImageIndex},
    journal::MemoryJournal,
    secret::{Secret, SecretError, SecretRef, SecretSource},
    session::{BootSessions, Entropy, Holder, Sealer},
    source::{HardwareKey, HardwareSource, SourceError},
    store::{Batch, Commit, Entry, Key, MemoryStore, Revision, Store, StoreError, Stored, Watch},
    template::WorkflowSpec,
    timeline::{BootEvent, BootRecorder},
    workflow::{
        Hello, Report, Session,
        fixtures::{self, NODE},
    },
};

/// What a store does to one of its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Does not carry it out and says so.
    Refuses,
    /// Carries it out and loses the answer.
    LosesTheAnswer,
    /// Does not carry it out and loses the answer.
    LosesBoth,
}

/// A store in memory whose n-th commit can fail.
#[derive(Default)]
pub(super) struct FaultyStore {
    inner: MemoryStore,
    commits: AtomicUsize,
    calls: AtomicUsize,
    refused: Mutex<Option<usize>>,
    faults: Mutex<HashMap<usize, Fault>>,
    /// So many of the next watches end at once.
    pub(super) ended_watches: AtomicUsize,
}

impl FaultyStore {
    pub(super) fn fail(&self, commit: usize, fault: Fault) {
        self.faults.lock().unwrap().insert(commit, fault);
    }

    /// Refuses the n-th call, whatever it is.
    pub(super) fn refuse_call(&self, call: usize) {
        *self.refused.lock().unwrap() = Some(call);
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn called(&self) -> Result<(), StoreError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if *self.refused.lock().unwrap() == Some(call) {
            return Err(StoreError::Unavailable { message: "test".to_owned() });
        }
        Ok(())
    }

    pub(super) fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.called()?;
        self.inner.get(key).await
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        self.called()?;
        self.inner.list(kind).await
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.called()?;
        self.inner.read(log, from).await
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.called()?;
        self.inner.logs(prefix).await
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        self.inner.trim(log, before).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.called()?;
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let fault = self.faults.lock().unwrap().get(&number).copied();
        match fault {
            None => self.inner.commit(batch).await,
            Some(Fault::Refuses) => Err(StoreError::Unavailable { message: "test".to_owned() }),
            Some(Fault::LosesBoth) => Err(StoreError::Unknown),
            Some(Fault::LosesTheAnswer) => {
                self.inner.commit(batch).await?;
                Err(StoreError::Unknown)
            }
        }
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        let left =
            self.ended_watches.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        self.inner.watch(from).await
    }
}

struct OneMachine(Hardware);

#[async_trait]
impl HardwareSource for OneMachine {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        Ok((*key == HardwareKey::Name(self.0.name.clone())).then(|| Arc::new(self.0.clone())))
    }
}

/// Has every image but `missing:v3`.
struct Images;

#[async_trait]
impl ImageIndex for Images {
    async fn resolve(&self, name: &str) -> Result<Option<String>, ImageError> {
        Ok((name != "missing:v3").then(|| format!("sha256:{name}")))
    }
}

/// The secrets that are there, by their names; readable at will.
#[derive(Default)]
pub(super) struct Secrets(Mutex<HashMap<String, String>>);

impl Secrets {
    pub(super) fn set(&self, reference: &str, value: &str) {
        self.0.lock().unwrap().insert(reference.to_owned(), value.to_owned());
    }
}

#[async_trait]
impl SecretSource for Secrets {
    async fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let found = self.0.lock().unwrap().get(&reference.to_string()).cloned();
        let problem = "the file is not there".to_owned();
        found.map(Secret::new).ok_or_else(|| SecretError { reference: reference.clone(), problem })
    }
}

#[derive(Default)]
pub(super) struct Events(Mutex<Vec<BootEvent>>);

impl BootRecorder for Events {
    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// All that outlives a crash of the server, and what its engines are made of.
pub(super) struct World {
    pub(super) store: Arc<FaultyStore>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) secrets: Arc<Secrets>,
    events: Arc<Events>,
    pub(super) sealer: Sealer,
    entropy: Entropy,
    boots: BootSessions,
}

impl World {
    pub(super) fn new() -> Self {
        let drawn = AtomicU8::new(0);
        Self {
            store: Arc::default(),
            clock: Arc::new(ManualClock::new(fixtures::at(0))),
            journal: Arc::default(),
            secrets: Arc::default(),
            events: Arc::default(),
            sealer: Sealer::new([7; 32]),
            entropy: Arc::new(move || [drawn.fetch_add(1, Ordering::SeqCst); 16]),
            boots: BootSessions::new(),
        }
    }

    /// A server that was just started on this store.
    pub(super) async fn engine(&self) -> Engine {
        let parts = || Parts {
            store: Arc::<FaultyStore>::clone(&self.store),
            clock: Arc::<ManualClock>::clone(&self.clock),
            recorder: Arc::<Events>::clone(&self.events),
            journal: Arc::<MemoryJournal>::clone(&self.journal),
            images: Arc::new(Images),
            hardware: Arc::new(OneMachine(fixtures::hardware())),
            secrets: Arc::clone(&self.secrets) as _,
            sealer: self.sealer.clone(),
        };
        loop {
            match Engine::open(parts()).await {
                Ok(engine) => return engine,
                // It is started again.
                Err(EngineError::Store(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A boot token, as the script of a new boot carries it.
    pub(super) fn token(&self) -> String {
        let (mac, ip) = (crate::mac::MacAddr([2, 0, 0, 0, 0, 1]), [10, 0, 0, 1].into());
        let now = crate::clock::Clock::now(&*self.clock);
        self.boots.saw_ack(mac, ip, now);
        self.boots
            .boot_token(&Holder::Machine { name: NODE.to_owned() }, mac, ip, &self.sealer, &self.entropy, now)
            .unwrap()
    }

    /// The names of the boot events so far, with their state or action.
    pub(super) fn timeline(&self) -> Vec<String> {
        let text = |event: &BootEvent| {
            let json = serde_json::to_value(&event.kind).unwrap();
            let detail = ["action", "state", "reason"].iter().find_map(|key| json[key].as_str());
            [Some(event.kind.name()), detail].into_iter().flatten().collect::<Vec<_>>().join(" ")
        };
        self.events.0.lock().unwrap().iter().map(text).collect()
    }
}

pub(super) fn new_workflow(name: &str, spec: WorkflowSpec) -> NewWorkflow {
    NewWorkflow {
        name: name.to_owned(),
        declared: fixtures::declared(),
        spec,
        from_directory: false,
        hold: None,
    }
}

pub(super) fn hello(token: &str, boot: &str) -> Hello {
    Hello {
        token: token.to_owned(),
        nonce: format!("nonce of {boot}"),
        boot_id: boot.to_owned(),
        inventory: fixtures::inventory(),
    }
}

pub(super) fn report(assignment: &crate::workflow::Assignment, outcome: crate::workflow::Outcome) -> Report {
    Report {
        workflow: assignment.workflow.clone(),
        index: assignment.index,
        action: assignment.action.clone(),
        attempt: assignment.attempt,
        outcome,
        ran_ms: 1000,
        disks: vec![fixtures::disk("/dev/vda", "A", "gpt")],
        hook: None,
        outputs: None,
    }
}

/// Whether a session's answer is of this machine.
pub(super) fn is_ours(session: &Session) -> bool {
    session.hardware == NODE && session.heartbeat_ms > 0
}

pub(super) fn later(clock: &ManualClock, seconds: u64) -> Timestamp {
    clock.advance(std::time::Duration::from_secs(seconds));
    crate::clock::Clock::now(clock)
}
