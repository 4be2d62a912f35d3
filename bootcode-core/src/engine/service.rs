//! The engine as workers see it.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};

use super::{Engine, EngineError, claim::Next};
use crate::{
    limits::{CLAIM_SECONDS, INVENTORY_DISKS},
    timeline::Reason,
    workflow::{
        Claim, Command, Heartbeat, Hello, HookStart, LogChunk, Report, ReportAck, ServiceError, Session,
        WorkflowService,
    },
};

#[async_trait]
impl WorkflowService for Engine {
    async fn hello(&self, hello: Hello) -> Result<Session, ServiceError> {
        Ok(self.redeem(hello).await?)
    }

    async fn claim(&self, session: &str) -> Result<Claim, ServiceError> {
        let deadline = self.parts.clock.now().saturating_add(Duration::from_secs(CLAIM_SECONDS));
        let deadline = deadline.unwrap_or(crate::clock::Timestamp::MAX);
        loop {
            let caller = self.caller(session).await?;
            // From before the look: what changes after it is not missed.
            let mut changes = self.index.changes(&caller.hardware.name);
            let answer = match self.next(&caller).await? {
                Next::Now(claim) => return Ok(claim),
                Next::Later(claim) => claim,
            };
            match select(std::pin::pin!(changes.changed()), self.parts.clock.sleep_until(deadline)).await {
                Either::Left(_) if self.parts.clock.now() < deadline => {}
                _ => return Ok(answer),
            }
        }
    }

    async fn report(&self, session: &str, report: Report) -> Result<ReportAck, ServiceError> {
        let caller = self.caller(session).await?;
        if report.disks.len() > INVENTORY_DISKS {
            return Err(EngineError::Refused { reason: Reason::TooMany }.into());
        }
        let command = Command::Report { worker: &caller.hardware.name, report: &report };
        let done = self.command(&report.workflow, command).await?;
        Ok(ReportAck { repeated: !done.changed })
    }

    async fn heartbeat(
        &self,
        session: &str,
        workflow: &str,
        attempt: u32,
    ) -> Result<Heartbeat, ServiceError> {
        let caller = self.caller(session).await?;
        let now = self.parts.clock.now();
        let goes_on = self.state(workflow).is_some_and(|state| {
            let open = state.open.as_ref().is_some_and(|open| {
                open.attempt == attempt
                    && open.worker == caller.hardware.name
                    && open.boot_id == caller.session.boot_id
            });
            open && !state.cancel_requested && state.global_deadline().is_none_or(|deadline| now < deadline)
        });
        Ok(if goes_on { Heartbeat::Continue } else { Heartbeat::Cancel })
    }

    async fn hook(&self, session: &str, start: HookStart) -> Result<(), ServiceError> {
        let caller = self.caller(session).await?;
        let command = Command::Hook { worker: &caller.hardware.name, start: &start };
        self.command(&start.workflow, command).await?;
        Ok(())
    }

    async fn log(&self, session: &str, chunk: LogChunk) -> Result<u64, ServiceError> {
        let caller = self.caller(session).await?;
        Ok(self.keep_log(&caller, &chunk).await?)
    }
}
