//! A service that hands out a list of actions.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bootcode_core::workflow::{
    Assignment, Claim, Heartbeat, Hello, HookCause, HookStart, LogChunk, Outcome, Report, ReportAck,
    ServiceError, Session, WorkflowService,
};
use tokio_util::sync::CancellationToken;

pub(crate) struct Script {
    actions: Vec<Assignment>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reports: Vec<Report>,
    logs: Vec<String>,
    hooks: Vec<(u32, HookCause)>,
    stop: Option<CancellationToken>,
}

impl Script {
    pub(crate) fn new(actions: Vec<Assignment>) -> Arc<Self> {
        let logs = vec![String::new(); actions.len()];
        Arc::new(Self { actions, state: Mutex::new(State { logs, ..State::default() }) })
    }

    pub(crate) fn stop_at_end(&self, stop: CancellationToken) {
        self.state.lock().unwrap().stop = Some(stop);
    }

    pub(crate) fn log(&self, index: usize) -> String {
        self.state.lock().unwrap().logs[index].clone()
    }

    pub(crate) fn outcome(&self, index: usize) -> Outcome {
        self.state.lock().unwrap().reports[index].outcome.clone()
    }

    pub(crate) fn report(&self, index: usize) -> Report {
        self.state.lock().unwrap().reports[index].clone()
    }

    pub(crate) fn hooks(&self) -> Vec<(u32, HookCause)> {
        self.state.lock().unwrap().hooks.clone()
    }

    pub(crate) fn ran_ms(&self, index: usize) -> u64 {
        self.state.lock().unwrap().reports[index].ran_ms
    }
}

#[async_trait]
impl WorkflowService for Script {
    async fn hello(&self, _hello: Hello) -> Result<Session, ServiceError> {
        Ok(Session { token: "s".into(), hardware: "host".into(), heartbeat_ms: 1000 })
    }

    async fn claim(&self, _session: &str) -> Result<Claim, ServiceError> {
        let state = self.state.lock().unwrap();
        Ok(match self.actions.get(state.reports.len()) {
            Some(action) => Claim::Run(Box::new(action.clone())),
            None => {
                state.stop.as_ref().unwrap().cancel();
                Claim::Wait { reason: "all done".into(), retry_ms: 60_000 }
            }
        })
    }

    async fn report(&self, _session: &str, report: Report) -> Result<ReportAck, ServiceError> {
        self.state.lock().unwrap().reports.push(report);
        Ok(ReportAck { repeated: false })
    }

    async fn heartbeat(
        &self,
        _session: &str,
        _workflow: &str,
        _attempt: u32,
    ) -> Result<Heartbeat, ServiceError> {
        Ok(Heartbeat::Continue)
    }

    async fn hook(&self, _session: &str, start: HookStart) -> Result<(), ServiceError> {
        let HookStart { index, cause, .. } = start;
        self.state.lock().unwrap().hooks.push((index, cause));
        Ok(())
    }

    async fn log(&self, _session: &str, chunk: LogChunk) -> Result<u64, ServiceError> {
        let index = self.actions.iter().position(|action| action.action == chunk.action).unwrap();
        let log = &mut self.state.lock().unwrap().logs[index];
        assert_eq!(chunk.offset, log.len() as u64);
        log.push_str(&chunk.text);
        Ok(log.len() as u64)
    }
}
