mod large;
mod small;

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;

use super::*;
use crate::{
    clock::{Clock as _, ManualClock},
    engine::Parts,
    image::{ImageError, ImageIndex},
    journal::MemoryJournal,
    secret::NoSecrets,
    session::Sealer,
    snapshot::Snapshot,
    store::{Entry, MemoryStore, Stored, Watch},
    timeline::{BootEvent, BootRecorder},
    workflow::fixtures,
};

/// What happens just before a commit of the applier.
#[derive(Debug, Clone)]
enum Meanwhile {
    /// Somebody else writes this document.
    Writes(Key),
    /// The commit is carried out and its answer lost.
    LosesTheAnswer,
    /// The commit is not carried out and its answer lost.
    LosesBoth,
    /// The commit is refused, and all after it: the server or its store is gone.
    Dies,
    /// The commit is carried out, its answer is lost, and all after it are refused.
    DiesAfter,
}

/// A store in memory where something happens before some commits.
#[derive(Default)]
struct Busy {
    inner: MemoryStore,
    commits: AtomicUsize,
    script: Mutex<HashMap<usize, Meanwhile>>,
    dead: AtomicBool,
}

#[async_trait]
impl Store for Busy {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, kind: &str) -> Result<(Vec<Stored>, Revision), StoreError> {
        self.inner.list(kind).await
    }

    async fn read(&self, log: &str, from: u64) -> Result<Vec<Entry>, StoreError> {
        self.inner.read(log, from).await
    }

    async fn logs(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.inner.logs(prefix).await
    }

    async fn trim(&self, log: &str, before: u64) -> Result<(), StoreError> {
        self.inner.trim(log, before).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        // Others see the store between two commits.
        tokio::task::yield_now().await;
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let meanwhile = self.script.lock().unwrap().get(&number).cloned();
        if matches!(meanwhile, Some(Meanwhile::Dies)) || self.dead.load(Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
            return Err(StoreError::Unavailable { message: "test".into() });
        }
        match meanwhile {
            None => self.inner.commit(batch).await,
            Some(Meanwhile::LosesBoth) => Err(StoreError::Unknown),
            Some(Meanwhile::DiesAfter) => {
                self.dead.store(true, Ordering::SeqCst);
                self.inner.commit(batch).await.unwrap();
                Err(StoreError::Unknown)
            }
            Some(Meanwhile::Dies) => Err(StoreError::Unavailable { message: "test".into() }),
            Some(Meanwhile::LosesTheAnswer) => {
                self.inner.commit(batch).await.unwrap();
                Err(StoreError::Unknown)
            }
            Some(Meanwhile::Writes(key)) => {
                let stored = self.inner.get(&key).await.unwrap().expect("a document that exists");
                let puts = vec![(key, stored.value)];
                self.inner.commit(Batch { puts, ..Batch::default() }).await.unwrap();
                self.inner.commit(batch).await
            }
        }
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        self.inner.watch(from).await
    }
}

struct Nothing;

#[async_trait]
impl ImageIndex for Nothing {
    async fn resolve(&self, _: &str) -> Result<Option<String>, ImageError> {
        Ok(None)
    }
}

impl BootRecorder for Nothing {
    fn record(&self, _: BootEvent) {}
}

pub(super) struct World {
    store: Arc<Busy>,
    clock: Arc<ManualClock>,
    pub(super) applier: Applier,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::on(Arc::default()).await
    }

    /// A server that is started on a store.
    async fn on(store: Arc<Busy>) -> Self {
        store.dead.store(false, Ordering::SeqCst);
        store.script.lock().unwrap().clear();
        settle(&*store).await.unwrap();
        let clock = Arc::new(ManualClock::new(fixtures::at(0)));
        let engine = Engine::open(Parts {
            store: Arc::<Busy>::clone(&store),
            clock: Arc::<ManualClock>::clone(&clock),
            recorder: Arc::new(Nothing),
            journal: Arc::<MemoryJournal>::default(),
            images: Arc::new(Nothing),
            hardware: Snapshot::load(&*store).await.unwrap(),
            secrets: Arc::new(NoSecrets),
            sealer: Sealer::new([7; 32]),
        });
        let engine = Arc::new(engine.await.unwrap());
        let applier = Applier::new(Arc::<Busy>::clone(&store), engine, Some(Hold::FreshStore));
        Self { store, clock, applier }
    }

    /// With a network, a machine and a template that writes.
    async fn with_a_machine() -> Self {
        let world = Self::new().await;
        world.apply(&[NETWORK, &machine("node-1", 11), TEMPLATE]).await.unwrap();
        world
    }

    pub(super) async fn apply(&self, texts: &[&str]) -> Result<Done, ApplyError> {
        self.apply_from(texts, Origin::Operator).await
    }

    async fn apply_from(&self, texts: &[&str], origin: Origin) -> Result<Done, ApplyError> {
        self.applier.apply(&files(texts), origin).await
    }

    async fn plan(&self, texts: &[&str]) -> Result<Plan, ApplyError> {
        self.applier.plan(&files(texts), Origin::Operator).await
    }

    /// Before the n-th commit from now on, counted from 0.
    fn meanwhile(&self, commit: usize, what: Meanwhile) {
        let commit = self.store.commits.load(Ordering::SeqCst) + commit;
        self.store.script.lock().unwrap().insert(commit, what);
    }

    /// Everything that is stored: documents with their revisions, and logs.
    pub(super) async fn content(&self) -> Vec<String> {
        let mut content = Vec::new();
        for kind in Kind::ALL.map(Kind::name).into_iter().chain(["WritingWorkflow"]) {
            let (stored, _) = self.store.list(kind).await.unwrap();
            content.extend(stored.iter().map(|stored| format!("{stored:?}")));
        }
        content.extend(self.store.logs("").await.unwrap());
        content
    }

    fn state(&self, workflow: &str) -> Option<&'static str> {
        self.applier.engine.state(workflow).map(|state| state.state_name())
    }
}

pub(super) fn files(texts: &[&str]) -> Vec<(String, String)> {
    let named = |(number, text): (usize, &&str)| (format!("{number}.yaml"), (*text).to_owned());
    texts.iter().enumerate().map(named).collect()
}

pub(super) const NETWORK: &str =
    "apiVersion: bootcode/v1\nkind: Network\nmetadata: {name: lab}\nspec: {cidr: 10.0.0.0/16}\n";
pub(super) const TEMPLATE: &str = "apiVersion: bootcode/v1
kind: Template
metadata: {name: debian}
spec:
  data: |
    version: '0.1'
    name: debian
    global_timeout: 60
    tasks:
    - name: install
      worker: '{{.device_1}}'
      actions:
      - {name: wipe, image: disk-wipe:v3, timeout: 9, volumes: ['/dev:/dev']}
";

pub(super) fn machine(name: &str, number: usize) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    format!(
        "apiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: {name}}}\nspec:\n  interfaces: \
         [{{id: nic0, mac: '52:54:00:00:{high:02x}:{low:02x}', network: lab, ip: 10.0.{high}.{low}, netboot: true}}]\n  \
         storage: {{disks: [{{id: a, device: /dev/vda}}]}}\n"
    )
}

pub(super) fn workflow(name: &str, machine: &str) -> String {
    format!(
        "apiVersion: bootcode/v1\nkind: Workflow\nmetadata: {{name: {name}}}\nspec: {{template: debian, hardware: {machine}}}\n"
    )
}

#[tokio::test]
async fn a_plan_is_what_an_apply_does_and_changes_nothing() {
    let world = World::with_a_machine().await;
    let renamed = machine("node-1", 11).replace("/dev/vda", "/dev/vdb");
    let new = workflow("w1", "node-1");
    let before = world.content().await;
    let plan = world.plan(&[NETWORK, &renamed, &new]).await.unwrap();
    assert_eq!(world.content().await, before);
    assert_eq!(plan.diff, world.apply(&[NETWORK, &renamed, &new]).await.unwrap().diff);
    let writes: Vec<String> = plan.writes.iter().map(ToString::to_string).collect();
    assert_eq!(writes, ["WRITES node-1 disk a (/dev/vdb, not seen yet)"]);
    assert_eq!(plan.diff.created.len() + plan.diff.changed.len() + plan.diff.unchanged.len(), 3);
}

#[tokio::test]
async fn nothing_is_applied_where_anything_is_wrong() {
    let two = [workflow("w1", "node-1"), workflow("w2", "node-1")].join("---\n");
    let from_nowhere = workflow("w1", "node-9");
    let twice = machine("node-2", 11);
    let huge = TEMPLATE
        .replace("name: debian\n    g", &format!("name: debian\n    # {}\n    g", "x".repeat(300 << 10)));
    for (what, bad) in [
        ("a reference to nothing", from_nowhere.as_str()),
        ("an address of another machine", &twice),
        (
            "an unknown key",
            "apiVersion: bootcode/v1\nkind: Network\nmetadata: {name: b}\nspec: {cdir: 10.0.0.0/8}\n",
        ),
        ("two workflows that write one machine", &two),
        ("a template that is too large", &huge),
    ] {
        let world = World::with_a_machine().await;
        let before = world.content().await;
        let good = machine("node-3", 13);
        let error = world.apply(&[&good, bad]).await.expect_err(what);
        assert_eq!(world.content().await, before, "{what}: {error}");
        let planned = world.plan(&[&good, bad]).await.expect_err(what);
        assert_eq!(planned.to_string(), error.to_string(), "{what}");
        world.apply(&[&good]).await.unwrap();
        assert_ne!(world.content().await, before, "the good one alone is applied");
    }
}

#[tokio::test]
async fn a_fleet_needs_several_batches_and_arrives_whole() {
    let world = World::new().await;
    let machines: Vec<String> = (0..300).map(|number| machine(&format!("node-{number}"), number)).collect();
    let fleet = machines.join("---\n");
    let workflows: Vec<String> = (0..300).map(|n| workflow(&format!("w{n}"), &format!("node-{n}"))).collect();
    let done = world.apply(&[NETWORK, TEMPLATE, &fleet, &workflows.join("---\n")]).await.unwrap();
    assert_eq!(done.diff.created.len(), 602);
    assert!(world.store.commits.load(Ordering::SeqCst) > 2, "more than one batch can hold");
    for number in 0..300 {
        assert_eq!(world.state(&format!("w{number}")), Some("Pending"));
    }
    let again = world.apply(&[NETWORK, TEMPLATE, &fleet]).await.unwrap();
    assert!(again.diff.is_empty());
    assert_eq!(again.revision, done.revision, "nothing was written");
}

#[tokio::test]
async fn a_lost_answer_is_looked_up() {
    let world = World::with_a_machine().await;
    world.meanwhile(0, Meanwhile::LosesTheAnswer);
    let done = world.apply(&[&workflow("w1", "node-1")]).await.unwrap();
    assert_eq!(done.diff.created.len(), 1, "it is said to be created, as it was");
    assert_eq!(world.state("w1"), Some("Pending"));
    for commit in 0..TRIES {
        world.meanwhile(commit, Meanwhile::LosesBoth);
    }
    let error = world.apply(&[&machine("node-2", 12)]).await.unwrap_err();
    assert!(matches!(error, ApplyError::Store(StoreError::Unknown)), "not for ever: {error}");
}

#[tokio::test]
async fn another_writer_is_waited_for_within_bounds() {
    let world = World::with_a_machine().await;
    let key = Key::new("Network", "lab");
    let changed = NETWORK.replace("10.0.0.0/16", "10.0.0.0/15");
    world.meanwhile(0, Meanwhile::Writes(key.clone()));
    assert_eq!(world.apply(&[&changed]).await.unwrap().diff.changed.len(), 1);
    assert_eq!(world.store.get(&key).await.unwrap().unwrap().value["spec"]["cidr"], "10.0.0.0/15");
    for commit in 0..TRIES {
        world.meanwhile(commit, Meanwhile::Writes(key.clone()));
    }
    let error = world.apply(&[NETWORK]).await.unwrap_err();
    assert!(matches!(error, ApplyError::Contended), "{error}");
    assert_eq!(world.store.get(&key).await.unwrap().unwrap().value["spec"]["cidr"], "10.0.0.0/15");
}

#[tokio::test]
async fn a_machine_has_one_open_workflow_that_writes() {
    let world = World::with_a_machine().await;
    world.apply(&[&workflow("w1", "node-1")]).await.unwrap();
    let before = world.content().await;
    let error = world.apply(&[&workflow("w2", "node-1")]).await.unwrap_err();
    assert!(matches!(error, ApplyError::Engine(EngineError::Rejected(Rejection::Busy { .. }))), "{error}");
    assert_eq!(world.content().await, before);
    world.applier.engine.cancel("w1").await.unwrap();
    world.apply(&[&workflow("w2", "node-1")]).await.unwrap();
    assert_eq!(world.state("w2"), Some("Pending"));
}

#[tokio::test]
async fn a_fresh_store_holds_what_a_directory_brings_and_nothing_else() {
    for (origin, state) in [(Origin::Directory, "Held"), (Origin::Operator, "Pending")] {
        let world = World::with_a_machine().await;
        world.apply_from(&[&workflow("w1", "node-1")], origin).await.unwrap();
        assert_eq!(world.state("w1"), Some(state), "{origin:?}");
    }
    let world = World::with_a_machine().await;
    let any = workflow("w1", "node-1").replace("hardware:", "overwrite: any, hardware:");
    world.apply_from(&[&any], Origin::Directory).await.unwrap_err();
    assert_eq!(world.state("w1"), None, "a directory may never overwrite");
}

#[tokio::test]
async fn what_is_needed_stays_and_the_rest_may_be_deleted() {
    let world = World::with_a_machine().await;
    world.apply(&[&workflow("w1", "node-1")]).await.unwrap();
    let before = world.content().await;
    for (kind, name, expected) in [
        (Kind::Network, "lab", "is needed by Hardware `node-1`"),
        (Kind::Hardware, "node-1", "is needed by Workflow `w1`"),
        (Kind::Workflow, "w1", "is Pending: its log is kept"),
        (Kind::Hardware, "node-9", "there is no Hardware `node-9`"),
    ] {
        let error = world.applier.delete(kind, name).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{kind} {name}: {error}");
    }
    assert_eq!(world.content().await, before);
    world.applier.delete(Kind::Template, "debian").await.expect("a Workflow holds its rendered Template");
    world.applier.engine.cancel("w1").await.unwrap();
    for (kind, name) in [(Kind::Workflow, "w1"), (Kind::Hardware, "node-1"), (Kind::Network, "lab")] {
        world.applier.delete(kind, name).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }
}

#[tokio::test]
async fn the_name_of_a_deleted_workflow_stays_taken() {
    let world = World::with_a_machine().await;
    let text = workflow("w1", "node-1");
    world.apply(&[&text]).await.unwrap();
    world.applier.engine.cancel("w1").await.unwrap();
    assert!(world.apply(&[&text]).await.unwrap().diff.is_empty(), "as long as it is there, it is the same");
    world.applier.delete(Kind::Workflow, "w1").await.unwrap();
    let error = world.apply(&[&text]).await.unwrap_err();
    assert!(matches!(&error, ApplyError::NameTaken { state: "Cancelled", .. }), "{error}");
    world.apply_from(&[&text], Origin::Directory).await.expect("its file is in the directory still");
    assert_eq!(world.state("w1"), Some("Cancelled"), "and does not run again");
}

#[tokio::test]
async fn a_template_sees_the_time_of_its_apply_and_the_same_again_is_no_change() {
    let world = World::with_a_machine().await;
    let template = "apiVersion: bootcode/v1\nkind: Template\nmetadata: {name: debian}\nspec: {globalTimeout: 1m, actions: [{name: \
                    a, image: x, command: ['{{ now | unixEpoch }}']}]}\n";
    let text = workflow("w1", "node-1");
    let command = |world: &World| {
        let plan = world.applier.engine.state("w1").unwrap().plan.clone().unwrap();
        plan.spec.tasks[0].actions[0].command.clone()
    };
    let applied_at = world.clock.now().as_second().to_string();
    assert_eq!(world.plan(&[template, &text]).await.unwrap().diff.created.len(), 1);
    world.apply(&[template, &text]).await.unwrap();
    assert_eq!(command(&world), std::slice::from_ref(&applied_at));
    world.clock.advance(std::time::Duration::from_secs(60));
    for origin in [Origin::Operator, Origin::Directory] {
        assert!(world.apply_from(&[template, &text], origin).await.unwrap().diff.is_empty());
    }
    // Its document is gone and its log is not: the file of a directory is still the same Workflow.
    world.applier.engine.cancel("w1").await.unwrap();
    world.applier.delete(Kind::Workflow, "w1").await.unwrap();
    world
        .apply_from(&[template, &text], Origin::Directory)
        .await
        .expect("its file is in the directory still");
    assert_eq!((world.state("w1"), command(&world)), (Some("Cancelled"), vec![applied_at]));
}
