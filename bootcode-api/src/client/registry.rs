//! The server's image registry, by the OCI distribution specification.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::{
    OperatorClient,
    http::{Answer, ClientError, ask},
};

/// Where an upload goes on.
#[derive(Debug, Clone)]
pub struct Upload(String);

impl OperatorClient {
    /// The repositories that have images.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn repositories(&self) -> Result<Vec<String>, ClientError> {
        let catalog = self.registry(Method::GET, "/v2/_catalog", None, Bytes::new()).await?;
        Ok(strings(&catalog, "repositories"))
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, ClientError> {
        let tags =
            self.registry(Method::GET, &format!("/v2/{repository}/tags/list"), None, Bytes::new()).await?;
        Ok(strings(&tags, "tags"))
    }

    /// A manifest by tag or digest, and its own digest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<(Bytes, String), ClientError> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.registry(Method::GET, &path, None, Bytes::new()).await?;
        Ok((answer.bytes, answer.digest.unwrap_or_default()))
    }

    /// Whether the server has a blob.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn has_blob(&self, repository: &str, digest: &str) -> Result<bool, ClientError> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        match self.registry(Method::HEAD, &path, None, Bytes::new()).await {
            Ok(_) => Ok(true),
            Err(ClientError::Foreign { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins to upload a blob.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn begin_blob(&self, repository: &str) -> Result<Upload, ClientError> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        self.upload(Method::POST, &path, Bytes::new()).await
    }

    /// Appends to it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn append_blob(&self, upload: Upload, chunk: Bytes) -> Result<Upload, ClientError> {
        self.upload(Method::PATCH, &upload.0, chunk).await
    }

    /// Ends it; the server keeps the blob only if this is its digest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn finish_blob(&self, upload: Upload, digest: &str) -> Result<(), ClientError> {
        self.registry(Method::PUT, &format!("{}?digest={digest}", upload.0), None, Bytes::new())
            .await
            .map(drop)
    }

    /// Puts a manifest below a tag or its digest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), ClientError> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.registry(Method::PUT, &path, Some(media_type), bytes).await.map(drop)
    }

    /// Takes a tag away.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_tag(&self, repository: &str, tag: &str) -> Result<(), ClientError> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        self.registry(Method::DELETE, &path, None, Bytes::new()).await.map(drop)
    }

    async fn upload(&self, method: Method, path: &str, chunk: Bytes) -> Result<Upload, ClientError> {
        let answer = self.registry(method, path, Some("application/octet-stream"), chunk).await?;
        let foreign = || ClientError::Foreign { endpoint: self.server.endpoint.clone(), status: 202 };
        // Ours are paths of this server.
        answer.location.filter(|location| location.starts_with("/v2/")).map(Upload).ok_or_else(foreign)
    }

    async fn registry(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let (status, answer) = ask(&self.server, method, path, None, content_type, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let error = serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default();
        let said = |key: &str| error["errors"][0][key].as_str().map(str::to_owned);
        match (said("code"), said("message")) {
            (Some(code), Some(message)) => Err(ClientError::Registry { code, message }),
            _ if status == StatusCode::NOT_FOUND && answer.bytes.starts_with(b"{") => {
                Err(ClientError::NoRegistry)
            }
            _ => {
                Err(ClientError::Foreign { endpoint: self.server.endpoint.clone(), status: status.as_u16() })
            }
        }
    }
}

fn strings(answer: &Answer, key: &str) -> Vec<String> {
    let value = serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default();
    let list = value[key].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
