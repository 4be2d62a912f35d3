//! What is asked of an upstream registry.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, StatusCode, Url, header, redirect::Policy};
use serde::Deserialize;

use super::{challenge::Challenge, error::UpstreamError};
use crate::{limits, registry::Digest};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// A registry that is asked for what is not here, anonymously.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    base: Url,
    tokens: Mutex<BTreeMap<String, (String, Instant)>>,
}

/// A manifest as it came.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) bytes: Bytes,
    pub(super) media_type: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Upstream {
    /// The registry at `http://HOST[:PORT]` or `https://HOST[:PORT]`, which is trusted as `tls` says.
    ///
    /// # Errors
    /// What is no such URL, in words.
    pub fn new(base: &str, tls: rustls::ClientConfig) -> Result<Self, String> {
        let base: Url = base.parse().map_err(|error| format!("`{base}` cannot be read as a URL: {error}"))?;
        let is_bare = base.path() == "/" && base.query().is_none() && base.fragment().is_none();
        let is_anonymous = base.username().is_empty() && base.password().is_none();
        if !["http", "https"].contains(&base.scheme()) || !is_bare || !is_anonymous {
            return Err(
                "it is https://HOST or http://HOST, with a port or without, and nothing else".to_owned()
            );
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("bootcode/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits::UPSTREAM_CONNECT)
            .read_timeout(limits::UPSTREAM_SILENCE)
            .redirect(Policy::limited(5))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, base, tokens: Mutex::default() })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// A manifest by tag or digest, as it came.
    pub(super) async fn manifest(&self, repository: &str, reference: &str) -> Result<Came, UpstreamError> {
        let came = async {
            let response = self.get(repository, &format!("manifests/{reference}"), ACCEPT).await?;
            let text = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
            let (media_type, told) = (text("content-type"), text("docker-content-digest"));
            let bytes = whole(response, limits::MANIFEST_BYTES, "a manifest").await?;
            let found = Digest::of(&bytes);
            match told.and_then(|told| told.parse::<Digest>().ok()) {
                Some(told) if told != found => Err(UpstreamError::Wrong {
                    what: format!("manifest {reference}"),
                    why: format!("it says that its digest is {told}, but it is {found}"),
                }),
                _ => Ok(Came { bytes, media_type }),
            }
        };
        tokio::time::timeout(limits::UPSTREAM_MANIFEST, came).await.unwrap_or_else(|_| {
            Err(UpstreamError::Away { why: format!("no manifest within {:?}", limits::UPSTREAM_MANIFEST) })
        })
    }

    /// A blob's answer, whose body is still to come.
    pub(super) async fn blob(&self, repository: &str, digest: &Digest) -> Result<Response, UpstreamError> {
        self.get(repository, &format!("blobs/{digest}"), "*/*").await
    }

    async fn get(&self, repository: &str, path: &str, accept: &str) -> Result<Response, UpstreamError> {
        let away = |error: reqwest::Error| UpstreamError::Away { why: causes(error) };
        let url = self.base.join(&format!("/v2/{repository}/{path}"));
        let url = url.map_err(|error| UpstreamError::Away { why: error.to_string() })?;
        let mut token = self.token(repository);
        let mut asked = false;
        loop {
            let mut request = self.client.get(url.clone()).header(header::ACCEPT, accept);
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(away)?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                StatusCode::NOT_FOUND => return Err(UpstreamError::Missing),
                StatusCode::UNAUTHORIZED if !asked => {
                    asked = true;
                    let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
                    let mut challenges =
                        challenges.iter().filter_map(|text| Challenge::parse(text.to_str().ok()?));
                    let refused = UpstreamError::Refused { status: 401 };
                    token = Some(self.authorise(&challenges.next().ok_or(refused)?, repository).await?);
                }
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    return Err(UpstreamError::Away { why: format!("status {status}") });
                }
                status => return Err(UpstreamError::Refused { status: status.as_u16() }),
            }
        }
    }

    fn token(&self, repository: &str) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(repository).filter(|(_, until)| Instant::now() < *until).map(|(token, _)| token.clone())
    }

    async fn authorise(&self, challenge: &Challenge, repository: &str) -> Result<String, UpstreamError> {
        let url = challenge.url(&self.base, repository)?;
        let away = |error: reqwest::Error| UpstreamError::Away { why: causes(error) };
        let response = self.client.get(url).send().await.map_err(away)?;
        if response.status() != StatusCode::OK {
            return Err(UpstreamError::Refused { status: response.status().as_u16() });
        }
        let bytes = whole(response, limits::UPSTREAM_TOKEN_BYTES, "a token").await?;
        let wrong = |why: String| UpstreamError::Wrong { what: "a token".to_owned(), why };
        let token: Token = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let text =
            token.token.or(token.access_token).ok_or_else(|| wrong("there is none in it".to_owned()))?;
        // Sixty seconds where it says nothing, as the protocol has it; some less, for the way there.
        let lives = Duration::from_secs(token.expires_in.unwrap_or(60).clamp(10, 3600) - 5);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= limits::UPSTREAM_REMEMBERED {
            tokens.clear();
        }
        tokens.insert(repository.to_owned(), (text.clone(), Instant::now() + lives));
        Ok(text)
    }
}

/// All of a small answer.
async fn whole(mut response: Response, bound: u64, what: &str) -> Result<Bytes, UpstreamError> {
    let mut bytes = BytesMut::new();
    let away = |error: reqwest::Error| UpstreamError::Away { why: causes(error) };
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if (bytes.len() + chunk.len()) as u64 > bound {
            let why = format!("it has more than {bound} bytes");
            return Err(UpstreamError::Wrong { what: what.to_owned(), why });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// An error with its causes, without the URL, whose query may be a secret of the upstream's.
pub(super) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
