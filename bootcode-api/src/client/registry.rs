//! The server's image registry, by the OCI distribution specification.

use bytes::Bytes;
use hyper::{
    Method, StatusCode,
    header::{self, HeaderName},
};
use serde_json::Value;

use super::{
    OperatorClient,
    http::{Answer, ClientError, ask},
};
use crate::routes::{FREED, FREED_LATER, MACHINES};

/// Where an upload goes on.
#[derive(Debug, Clone)]
pub struct Upload(String);

/// What the end of an image's name freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// Bytes, at once.
    pub bytes: u64,
    /// Bytes that no image reaches and that are freed later, unless a push needs them.
    pub later: u64,
}

impl OperatorClient {
    /// The repositories that have images.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn repositories(&self) -> Result<Vec<String>, ClientError> {
        let catalog = self.registry(Method::GET, "/v2/_catalog", &[], Bytes::new()).await?;
        Ok(strings(&catalog, "repositories"))
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, ClientError> {
        let tags =
            self.registry(Method::GET, &format!("/v2/{repository}/tags/list"), &[], Bytes::new()).await?;
        Ok(strings(&tags, "tags"))
    }

    /// A manifest by tag or digest, and its own digest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn manifest(&self, repository: &str, reference: &str) -> Result<(Bytes, String), ClientError> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.registry(Method::GET, &path, &[], Bytes::new()).await?;
        let digest = answer.header("docker-content-digest").unwrap_or_default().to_owned();
        Ok((answer.bytes, digest))
    }

    /// How many bytes a blob has that the server has; `None` where it has not.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn blob_len(&self, repository: &str, digest: &str) -> Result<Option<u64>, ClientError> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        match self.registry(Method::HEAD, &path, &[], Bytes::new()).await {
            Ok(answer) => Ok(answer.header(header::CONTENT_LENGTH.as_str()).and_then(|len| len.parse().ok())),
            Err(ClientError::Foreign { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first `len` bytes of a blob, or all where it has fewer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn blob_start(&self, repository: &str, digest: &str, len: usize) -> Result<Bytes, ClientError> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let range = format!("bytes=0-{}", len.saturating_sub(1));
        Ok(self.registry(Method::GET, &path, &[(header::RANGE, &range)], Bytes::new()).await?.bytes)
    }

    /// Where machines find the server, as `http://ADDRESS:PORT`; empty where it does not say so.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn machines(&self) -> Result<Vec<String>, ClientError> {
        let answer = self.registry(Method::GET, "/v2/", &[], Bytes::new()).await?;
        let urls = answer.header(MACHINES).unwrap_or_default().split(',').map(str::trim);
        Ok(urls.filter(|url| !url.is_empty()).map(str::to_owned).collect())
    }

    /// Begins to upload a blob.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn begin_blob(&self, repository: &str) -> Result<Upload, ClientError> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let answer = self.registry(Method::POST, &path, &[], Bytes::new()).await?;
        self.upload(&answer)
    }

    /// Appends to it what begins at `offset` of the blob; the server refuses it where it has another number of bytes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn append_blob(
        &self,
        upload: &Upload,
        offset: u64,
        chunk: Bytes,
    ) -> Result<Upload, ClientError> {
        let last = (offset + chunk.len() as u64).saturating_sub(1);
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::CONTENT_RANGE, &*format!("{offset}-{last}")),
        ];
        let answer = self.registry(Method::PATCH, &upload.0, &headers, chunk).await?;
        self.upload(&answer)
    }

    /// How many bytes of it the server has. By the specification none and one look alike; one is then not counted.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn uploaded(&self, upload: &Upload) -> Result<u64, ClientError> {
        let answer = self.registry(Method::GET, &upload.0, &[], Bytes::new()).await?;
        let range = answer.header(header::RANGE.as_str()).and_then(|range| range.split_once('-'));
        let last = range.and_then(|(_, last)| last.parse::<u64>().ok()).unwrap_or_default();
        Ok(if last == 0 { 0 } else { last.saturating_add(1) })
    }

    /// Gives it up; the server forgets what came.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn abandon_blob(&self, upload: &Upload) -> Result<(), ClientError> {
        self.registry(Method::DELETE, &upload.0, &[], Bytes::new()).await.map(drop)
    }

    /// Ends it; the server keeps the blob only if this is its digest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn finish_blob(&self, upload: &Upload, digest: &str) -> Result<(), ClientError> {
        self.registry(Method::PUT, &format!("{}?digest={digest}", upload.0), &[], Bytes::new())
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
        self.registry(Method::PUT, &path, &[(header::CONTENT_TYPE, media_type)], bytes).await.map(drop)
    }

    /// Takes a tag away; what that freed, where the server says so.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_tag(&self, repository: &str, tag: &str) -> Result<Option<Freed>, ClientError> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let answer = self.registry(Method::DELETE, &path, &[], Bytes::new()).await?;
        let number = |name: &str| answer.header(name)?.parse().ok();
        Ok(number(FREED).zip(number(FREED_LATER)).map(|(bytes, later)| Freed { bytes, later }))
    }

    fn upload(&self, answer: &Answer) -> Result<Upload, ClientError> {
        // Ours are paths of this server.
        let location = answer.header(header::LOCATION.as_str()).filter(|path| path.starts_with("/v2/"));
        let foreign = || ClientError::Foreign { endpoint: self.server.endpoint.clone(), status: 202 };
        location.map(|path| Upload(path.to_owned())).ok_or_else(foreign)
    }

    async fn registry(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let (status, answer) = ask(&self.server, method, path, None, headers, body).await?;
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
