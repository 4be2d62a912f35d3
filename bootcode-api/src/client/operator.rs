//! The operators' API, typed.

use bootcode_core::{
    document::Plan,
    mac::MacAddr,
    preview::{Preview, PreviewAsk},
    secret::Secret,
    unknown::Unknown,
};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use super::{
    access::Access,
    http::{ClientError, json, send},
};
use crate::{
    endpoint::Endpoint,
    routes::{self, Applied, Files, Items, News},
};

/// A server's operators' API.
#[derive(Debug, Clone)]
pub struct OperatorClient {
    pub(super) server: Access,
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its bytes; empty where nothing came in time.
    pub bytes: Bytes,
    /// Where the next one begins.
    pub next: u64,
}

impl OperatorClient {
    /// Of the server at this endpoint. Connects with each call.
    #[must_use]
    pub const fn new(endpoint: Endpoint) -> Self {
        Self { server: Access::new(endpoint) }
    }

    /// Shows this token with each request; never where others could read it on the way.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.server.token = Some(token);
        self
    }

    /// Trusts these authorities and no others. Without it an `https://` endpoint cannot be asked.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn trust(mut self, trust: super::Trust) -> Self {
        self.server.trust = Some(trust);
        self
    }

    /// Applies documents: all of them or none.
    ///
    /// # Errors
    /// [`routes::Problem::Faults`] lists every fault; else see [`ClientError`].
    pub async fn apply(&self, files: &Files) -> Result<Applied, ClientError> {
        json(&self.server, Method::POST, routes::APPLY, None, Some(files)).await
    }

    /// What an apply would do; nothing is changed.
    ///
    /// # Errors
    /// As [`OperatorClient::apply`].
    pub async fn diff(&self, files: &Files) -> Result<Plan, ClientError> {
        json(&self.server, Method::POST, routes::DIFF, None, Some(files)).await
    }

    /// What a client would be told, and why; nothing is done.
    ///
    /// # Errors
    /// [`routes::Problem::Rejected`] where no client can ask so; else see [`ClientError`].
    pub async fn preview_boot(&self, ask: &PreviewAsk) -> Result<Preview, ClientError> {
        json(&self.server, Method::POST, routes::PREVIEW_BOOT, None, Some(ask)).await
    }

    /// What changed after revision `from`, waited for; from now on without it, which answers at once with the revision.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn watch(&self, from: Option<u64>) -> Result<News, ClientError> {
        let from = from.map(|from| format!("?from={from}")).unwrap_or_default();
        self.get(&format!("{}{from}", routes::WATCH)).await
    }

    /// All documents of a kind.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list(&self, kind: &str) -> Result<Items, ClientError> {
        self.get(&routes::LIST.replace("{kind}", &encode(kind))).await
    }

    /// One document.
    ///
    /// # Errors
    /// [`routes::Problem::NotFound`]; else see [`ClientError`].
    pub async fn one(&self, kind: &str, name: &str, resolved: bool) -> Result<Value, ClientError> {
        let path = routes::ONE.replace("{kind}", &encode(kind)).replace("{name}", &encode(name));
        self.get(&format!("{path}{}", if resolved { "?resolved=true" } else { "" })).await
    }

    /// The machines that asked and that no Hardware names.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn unknown(&self) -> Result<Items, ClientError> {
        self.get(routes::UNKNOWN).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`routes::Problem::NotFound`], and [`routes::Problem::Rejected`] where a Hardware names it; else see [`ClientError`].
    pub async fn unknown_one(&self, mac: MacAddr) -> Result<Unknown, ClientError> {
        self.get(&routes::UNKNOWN_ONE.replace("{mac}", &mac.to_string())).await
    }

    /// Deletes a document.
    ///
    /// # Errors
    /// [`routes::Problem::Rejected`] where something refers to it; else see [`ClientError`].
    pub async fn delete(&self, kind: &str, name: &str) -> Result<(), ClientError> {
        let path = routes::ONE.replace("{kind}", &encode(kind)).replace("{name}", &encode(name));
        json::<Value>(&self.server, Method::DELETE, &path, None, None::<&()>).await.map(|_| ())
    }

    /// `release`, `cancel` or `retry` of a workflow; answers with its status.
    ///
    /// # Errors
    /// [`routes::Problem::Rejected`] where the rules forbid it; else see [`ClientError`].
    pub async fn command(&self, workflow: &str, command: &str) -> Result<Value, ClientError> {
        let path = routes::COMMAND.replace("{name}", &encode(workflow)).replace("{command}", command);
        json(&self.server, Method::POST, &path, None, None::<&()>).await
    }

    /// A page of a machine's timeline from byte `from` on; with `wait` it is held until there is news.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn timeline(&self, hardware: &str, from: u64, wait: bool) -> Result<Page, ClientError> {
        self.page(&routes::TIMELINE.replace("{name}", &encode(hardware)), from, wait).await
    }

    /// A page of an attempt's log from byte `from` on; with `wait` it is held until there is news.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn action_log(
        &self,
        workflow: &str,
        action: &str,
        attempt: u32,
        from: u64,
        wait: bool,
    ) -> Result<Page, ClientError> {
        let path = routes::ACTION_LOG
            .replace("{name}", &encode(workflow))
            .replace("{action}", &encode(action))
            .replace("{attempt}", &attempt.to_string());
        self.page(&path, from, wait).await
    }

    async fn page(&self, path: &str, from: u64, wait: bool) -> Result<Page, ClientError> {
        let path = format!("{path}?from={from}&wait={wait}");
        let answer = send(&self.server, Method::GET, &path, None, Bytes::new()).await?;
        let next = answer.next.unwrap_or(from + answer.bytes.len() as u64);
        Ok(Page { bytes: answer.bytes, next })
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        json(&self.server, Method::GET, path, None, None::<&()>).await
    }
}

/// Percent-encodes a path segment (RFC 3986 2.1).
fn encode(segment: &str) -> String {
    use std::fmt::Write as _;
    segment.bytes().fold(String::with_capacity(segment.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
