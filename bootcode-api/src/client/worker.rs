//! `WorkflowService` over HTTP.

use async_trait::async_trait;
use bootcode_core::{
    unknown::{InventoryService, Standby},
    workflow::{
        Claim, Heartbeat, Hello, HookStart, Inventory, LogChunk, Report, ReportAck, ServiceError, Session,
        WorkflowService,
    },
};
use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    access::Access,
    http::{ClientError, json},
};
use crate::{
    endpoint::Endpoint,
    routes::{self, HeartbeatBody},
};

/// A server's workflow service.
#[derive(Debug, Clone)]
pub struct Client {
    server: Access,
}

impl Client {
    /// Of the server at this endpoint. Connects with each call.
    #[must_use]
    pub const fn new(endpoint: Endpoint) -> Self {
        Self { server: Access::new(endpoint) }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        session: Option<&str>,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ServiceError> {
        json(&self.server, Method::POST, path, session, Some(body)).await.map_err(|error| match error {
            ClientError::Problem(problem) => problem.into(),
            other => ServiceError::Unavailable { message: other.to_string() },
        })
    }
}

#[async_trait]
impl InventoryService for Client {
    async fn inventory(&self, token: &str, inventory: Inventory) -> Result<Standby, ServiceError> {
        self.post(routes::INVENTORY, Some(token), &inventory).await
    }
}

#[async_trait]
impl WorkflowService for Client {
    async fn hello(&self, hello: Hello) -> Result<Session, ServiceError> {
        self.post(routes::HELLO, None, &hello).await
    }

    async fn claim(&self, session: &str) -> Result<Claim, ServiceError> {
        self.post(routes::CLAIM, Some(session), &()).await
    }

    async fn report(&self, session: &str, report: Report) -> Result<ReportAck, ServiceError> {
        self.post(routes::REPORT, Some(session), &report).await
    }

    async fn heartbeat(
        &self,
        session: &str,
        workflow: &str,
        attempt: u32,
    ) -> Result<Heartbeat, ServiceError> {
        let body = HeartbeatBody { workflow: workflow.to_owned(), attempt };
        self.post(routes::HEARTBEAT, Some(session), &body).await
    }

    async fn hook(&self, session: &str, start: HookStart) -> Result<(), ServiceError> {
        self.post(routes::HOOK, Some(session), &start).await
    }

    async fn log(&self, session: &str, chunk: LogChunk) -> Result<u64, ServiceError> {
        self.post(routes::LOG, Some(session), &chunk).await
    }
}
