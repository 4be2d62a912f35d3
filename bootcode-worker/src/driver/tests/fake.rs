//! A service and a runtime that do what a test needs.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bootcode_core::{
    secret::Secret,
    timeline::Reason,
    workflow::{
        ActionOutputs, Assignment, Claim, Heartbeat, Hello, HookStart, LogChunk, MachineAction, Outcome,
        Report, ReportAck, ServiceError, Session, WorkflowService,
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::super::{Parts, Settings};
use crate::{
    hardware::Roots,
    identity::Identity,
    power::{MachinePower, PowerError},
    runtime::{ContainerRuntime, ContainerSpec, Control, Exit, Finished, ImageRef, RuntimeError},
    spool::Spool,
};

pub(super) enum Trouble {
    None,
    /// Calls fail before or after they were carried out.
    Lossy {
        seed: u64,
    },
    /// Nothing answers for a while.
    AwayAfter {
        calls: u64,
        seconds: u64,
    },
    Cancels,
    Refuses,
    /// None; each action has a secret.
    Secretive,
}

/// A small honest engine.
pub(super) struct FakeService {
    trouble: Trouble,
    calls: watch::Sender<u64>,
    random: AtomicU64,
    away_since: Mutex<Option<Instant>>,
    state: Mutex<State>,
}

struct State {
    actions: Vec<u32>,
    open: Option<(u32, u32)>,
    attempts: Vec<u32>,
    reports: Vec<Report>,
    nonce: Option<String>,
    logs: Vec<String>,
    hooks: Vec<HookStart>,
}

impl FakeService {
    pub(super) fn new(actions: u32, trouble: Trouble) -> Arc<Self> {
        let seed = if let Trouble::Lossy { seed } = trouble { seed } else { 1 };
        let count = usize::try_from(actions).unwrap();
        Arc::new(Self {
            trouble,
            calls: watch::Sender::new(0),
            random: AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            away_since: Mutex::default(),
            state: Mutex::new(State {
                actions: (0..actions).rev().collect(),
                open: None,
                attempts: vec![0; count],
                reports: vec![],
                nonce: None,
                logs: vec![String::new(); count],
                hooks: vec![],
            }),
        })
    }

    pub(super) fn reports(&self) -> Vec<Report> {
        self.state.lock().unwrap().reports.clone()
    }

    pub(super) fn log_of(&self, index: usize) -> String {
        self.state.lock().unwrap().logs[index].clone()
    }

    /// Returns when so many calls have begun.
    pub(super) async fn after(&self, calls: u64) {
        self.calls.subscribe().wait_for(|count| *count > calls).await.unwrap();
    }

    async fn call<T>(
        &self,
        carry_out: impl FnOnce(&mut State) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        self.calls.send_modify(|count| *count += 1);
        sleep(Duration::from_millis(5)).await;
        let away = || ServiceError::Unavailable { message: "lost".into() };
        match &self.trouble {
            Trouble::Lossy { .. } => match self.next() % 4 {
                0 => Err(away()),
                1 => {
                    carry_out(&mut self.state.lock().unwrap())?;
                    Err(away())
                }
                _ => carry_out(&mut self.state.lock().unwrap()),
            },
            Trouble::AwayAfter { calls, seconds } if *self.calls.borrow() > *calls => {
                let since = *self.away_since.lock().unwrap().get_or_insert_with(Instant::now);
                if since.elapsed().as_secs() < *seconds {
                    return Err(away());
                }
                carry_out(&mut self.state.lock().unwrap())
            }
            Trouble::Refuses => Err(ServiceError::Refused { reason: Reason::TokenUsed }),
            _ => carry_out(&mut self.state.lock().unwrap()),
        }
    }

    fn next(&self) -> u64 {
        let mut x = self.random.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.store(x, Ordering::Relaxed);
        x >> 20
    }
}

#[async_trait]
impl WorkflowService for FakeService {
    async fn hello(&self, hello: Hello) -> Result<Session, ServiceError> {
        self.call(|state| {
            if *state.nonce.get_or_insert_with(|| hello.nonce.clone()) != hello.nonce {
                return Err(ServiceError::Refused { reason: Reason::TokenUsed });
            }
            Ok(Session { token: "session".into(), hardware: "node-1".into(), heartbeat_ms: 5000 })
        })
        .await
    }

    async fn claim(&self, _session: &str) -> Result<Claim, ServiceError> {
        self.call(|state| {
            if state.open.is_none() {
                let Some(index) = state.actions.last().copied() else {
                    let action = MachineAction::Poweroff;
                    return Ok(Claim::Finish { workflow: "install-node-1".into(), action });
                };
                let attempt = &mut state.attempts[index as usize];
                *attempt += 1;
                state.open = Some((index, *attempt));
            }
            let (index, attempt) = state.open.unwrap();
            let action = format!("action-{index}");
            let mut assignment = Assignment { index, attempt, ..crate::agent::tests::assignment(&action) };
            let kept = |report: &Report| {
                let outputs = Arc::clone(report.outputs.as_ref()?);
                Some(ActionOutputs { task: "os".into(), action: report.action.clone(), outputs })
            };
            assignment.outputs = state.reports.iter().filter_map(kept).collect();
            if matches!(self.trouble, Trouble::Secretive) {
                assignment.secrets.insert("S".into(), Secret::new("swordfish".into()));
            }
            Ok(Claim::Run(Box::new(assignment)))
        })
        .await
    }

    async fn report(&self, _session: &str, report: Report) -> Result<ReportAck, ServiceError> {
        self.call(|state| {
            if state.reports.contains(&report) {
                return Ok(ReportAck { repeated: true });
            }
            if state.open != Some((report.index, report.attempt)) {
                let Report { workflow, action, attempt, .. } = report;
                return Err(ServiceError::StaleAttempt { workflow, action, attempt });
            }
            state.open = None;
            if !matches!(
                report.outcome,
                Outcome::Failed { reason: bootcode_core::workflow::FailureReason::WorkerRestarted, .. }
            ) {
                state.actions.pop();
            }
            state.reports.push(report);
            Ok(ReportAck { repeated: false })
        })
        .await
    }

    async fn heartbeat(
        &self,
        _session: &str,
        _workflow: &str,
        _attempt: u32,
    ) -> Result<Heartbeat, ServiceError> {
        let answer =
            if matches!(self.trouble, Trouble::Cancels) { Heartbeat::Cancel } else { Heartbeat::Continue };
        self.call(|_| Ok(answer)).await
    }

    async fn hook(&self, _session: &str, start: HookStart) -> Result<(), ServiceError> {
        self.call(|state| {
            state.hooks.push(start);
            Ok(())
        })
        .await
    }

    async fn log(&self, _session: &str, chunk: LogChunk) -> Result<u64, ServiceError> {
        self.call(|state| {
            let index: usize = chunk.action.rsplit('-').next().unwrap().parse().unwrap();
            let log = &mut state.logs[index];
            let offset = usize::try_from(chunk.offset).unwrap();
            assert!(offset <= log.len(), "a hole in the log");
            log.truncate(offset);
            log.push_str(&chunk.text);
            Ok(log.len() as u64)
        })
        .await
    }
}

/// Containers that write a line and end after a minute, or never.
pub(super) struct FakeRuntime {
    endless: bool,
    pull: Duration,
    specs: Mutex<Vec<ContainerSpec>>,
    /// The files of earlier outputs that each container saw.
    earlier: Mutex<Vec<Vec<String>>>,
}

impl FakeRuntime {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            endless: false,
            pull: Duration::from_secs(1),
            specs: Mutex::default(),
            earlier: Mutex::default(),
        })
    }

    pub(super) fn endless() -> Arc<Self> {
        Arc::new(Self {
            endless: true,
            pull: Duration::ZERO,
            specs: Mutex::default(),
            earlier: Mutex::default(),
        })
    }

    pub(super) fn slow_to_pull() -> Arc<Self> {
        Arc::new(Self {
            endless: false,
            pull: Duration::from_secs(10_000),
            specs: Mutex::default(),
            earlier: Mutex::default(),
        })
    }

    pub(super) fn specs(&self) -> Vec<ContainerSpec> {
        self.specs.lock().unwrap().clone()
    }

    pub(super) fn earlier(&self) -> Vec<Vec<String>> {
        self.earlier.lock().unwrap().clone()
    }

    /// Index and attempt of every container that started.
    pub(super) fn runs(&self) -> Vec<(u32, u32)> {
        let number = |part: Option<&str>| part.unwrap().parse().unwrap();
        let key = |spec: &ContainerSpec| {
            let mut parts = spec.name.as_str().rsplit('-');
            let attempt = number(parts.next());
            (number(parts.next()), attempt)
        };
        self.specs().iter().map(key).collect()
    }
}

#[async_trait]
impl ContainerRuntime for FakeRuntime {
    async fn ensure_image(&self, _image: &ImageRef) -> Result<(), RuntimeError> {
        sleep(self.pull).await;
        Ok(())
    }

    async fn run(&self, spec: ContainerSpec, control: Control) -> Result<Finished, RuntimeError> {
        let started = Instant::now();
        let index = spec.environment["BOOTCODE_ACTION"].rsplit('-').next().unwrap().to_owned();
        let secrets: Vec<Secret> = spec.secrets.values().cloned().collect();
        let volume = |target: &str| spec.volumes.iter().find(|v| v.target == Path::new(target)).unwrap();
        let (shared, earlier) = (&volume("/workflow").source, &volume("/workflow/outputs").source);
        assert!(!shared.join("outputs.json").exists(), "an earlier action's outputs are not this one's");
        std::fs::write(shared.join("outputs.json"), format!("{{\"from\": {index}}}")).unwrap();
        let files = std::fs::read_dir(earlier.join("os")).into_iter().flatten();
        let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        self.earlier.lock().unwrap().push(files);
        self.specs.lock().unwrap().push(spec);
        control.log.send(format!("action {index}: grün\n").into()).await.unwrap();
        for secret in secrets {
            let (first, second) = secret.reveal().split_at(3);
            for piece in ["it is ", first, second, "\n"] {
                control.log.send(piece.to_owned().into()).await.unwrap();
            }
        }
        let work = if self.endless { Duration::from_secs(1 << 30) } else { Duration::from_secs(60) };
        let exit = tokio::select! {
            () = sleep(work) => Exit::Status(0),
            () = control.cancel.cancelled() => Exit::Cancelled,
            () = sleep(control.limit) => Exit::TimedOut,
        };
        Ok(Finished { exit, ran: started.elapsed() })
    }

    async fn reap(&self, _workflow: Option<&str>) -> Result<(), RuntimeError> {
        Ok(())
    }
}

/// A switch that ends the worker.
struct Off(CancellationToken);

impl MachinePower for Off {
    fn carry_out(&self, _action: MachineAction) -> Result<(), PowerError> {
        self.0.cancel();
        Ok(())
    }
}

pub(super) fn parts(
    service: &Arc<FakeService>,
    runtime: &Arc<FakeRuntime>,
    dir: &Path,
    stop: &CancellationToken,
) -> Parts {
    let run_dir = dir.join("run");
    let sys = dir.join("sys");
    std::fs::create_dir_all(sys.join("block")).unwrap();
    Parts {
        service: Arc::clone(service) as _,
        runtime: Arc::clone(runtime) as _,
        power: Arc::new(Off(stop.clone())),
        spool: Spool::open(run_dir.join("spool")).unwrap(),
        identity: Identity::of_this_boot("t".into(), &run_dir).unwrap(),
        settings: Settings {
            metadata_url: "http://server/metadata".into(),
            state: dir.join("state"),
            protect_disks: true,
            roots: Roots { sys, dev: dir.join("dev"), proc: dir.join("proc") },
        },
    }
}
