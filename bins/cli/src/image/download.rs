//! An image that is fetched by URL: one stream of bytes, however often the connection breaks.

use std::time::Duration;

use bootcode_api::client::Trust;
use bytes::Bytes;
use reqwest::{Client, Response, Url, header, redirect::Policy};
use tokio::time::sleep;

use super::resume::{Head, IMAGE_BYTES, Known, Verdict, judge};
use crate::error::say;

/// For a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// For the next bytes on an open connection.
const SILENCE: Duration = Duration::from_secs(30);
/// Hops from the URL to the file: mirror networks take two or three.
const REDIRECTS: usize = 5;
/// Tries without a new byte: with the pauses between them a minute, in which a mirror starts again.
const TRIES: u32 = 8;
/// The first pause; each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// An image could not be fetched. What is shown of a URL has neither user nor query, which may hold secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{url} cannot be fetched: {why}")]
    Unreached { url: String, why: String },
    #[error("{url} cannot be fetched: this host trusts nobody for https: {why}")]
    Untrusted { url: String, why: String },
    #[error("{url} answered with status {status}; nothing was stored")]
    Refused { url: String, status: u16 },
    #[error("{url} was another file after {received} bytes than before; nothing was stored")]
    Changed { url: String, received: u64 },
    #[error("{url} has more than {IMAGE_BYTES} bytes, which is more than a server keeps; nothing was stored")]
    TooLarge { url: String },
    #[error("{url} was given up after {received} bytes: {why}; nothing was stored")]
    GaveUp { url: String, received: u64, why: String },
}

/// A download.
pub(super) struct Download {
    client: Client,
    url: Url,
    shown: String,
    known: Known,
    skip: u64,
    body: Option<Response>,
    tries: u32,
}

impl Download {
    /// Asks for it.
    pub(super) async fn open(url: Url) -> Result<Self, FetchError> {
        let shown = shown(&url);
        let untrusted = |why: String| FetchError::Untrusted { url: shown.clone(), why };
        let trust = match Trust::of_system() {
            Err(error) if url.scheme() == "https" => return Err(untrusted(error.to_string())),
            trust => trust.or_else(|_| Trust::of_nobody()).map_err(|error| untrusted(error.to_string()))?,
        };
        let client = Client::builder()
            .tls_backend_preconfigured(trust.config())
            .user_agent(concat!("bootcode/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(Policy::limited(REDIRECTS))
            .build()
            .map_err(|error| FetchError::Unreached { url: shown.clone(), why: causes(error) })?;
        let (known, skip, body, tries) = (Known::default(), 0, None, 0);
        let mut download = Self { client, url, shown: shown.clone(), known, skip, body, tries };
        // Who never answered is not waited for.
        download.ask().await?.map_err(|why| FetchError::Unreached { url: shown, why })?;
        Ok(download)
    }

    /// Bytes of the whole, where the server says so.
    pub(super) const fn total(&self) -> Option<u64> {
        self.known.total
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let why = match &mut self.body {
                Some(body) => match body.chunk().await {
                    Ok(Some(bytes)) => match self.take(bytes)? {
                        bytes if bytes.is_empty() => continue,
                        bytes => return Ok(Some(bytes)),
                    },
                    Ok(None) if self.known.total.is_none_or(|total| total == self.known.received) => {
                        return Ok(None);
                    }
                    Ok(None) => "it ended too early".to_owned(),
                    Err(error) => causes(error),
                },
                None => match self.ask().await? {
                    Ok(()) => continue,
                    Err(why) => why,
                },
            };
            self.body = None;
            let received = self.known.received;
            if self.tries == TRIES {
                return Err(FetchError::GaveUp { url: self.shown.clone(), received, why });
            }
            say(&format!("{} broke off after {received} bytes ({why}); going on there", self.shown));
            sleep(PAUSE * (1 << self.tries)).await;
            self.tries += 1;
        }
    }

    /// From the first byte again.
    pub(super) fn rewind(&mut self) {
        (self.known, self.skip, self.body) = (Known::default(), 0, None);
    }

    /// Asks for what did not come yet; the inner error passes.
    async fn ask(&mut self) -> Result<Result<(), String>, FetchError> {
        // A body that the server made smaller on the way would be another file.
        let mut request = self.client.get(self.url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if self.known.received > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.known.received));
            if let Some(validator) = &self.known.validator {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Err(causes(error))),
        };
        let status = response.status().as_u16();
        let text = |name: header::HeaderName| response.headers().get(name)?.to_str().ok();
        let head = Head {
            status,
            length: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            range: text(header::CONTENT_RANGE),
            etag: text(header::ETAG),
            modified: text(header::LAST_MODIFIED),
        };
        let url = self.shown.clone();
        match judge(&self.known, head) {
            Verdict::Take { skip, known } => {
                (self.skip, self.known, self.body) = (skip, known, Some(response));
                Ok(Ok(()))
            }
            Verdict::Again => Ok(Err(format!("status {status}"))),
            Verdict::Refused => Err(FetchError::Refused { url, status }),
            Verdict::Changed => Err(FetchError::Changed { url, received: self.known.received }),
            Verdict::TooLarge => Err(FetchError::TooLarge { url }),
        }
    }

    fn take(&mut self, mut bytes: Bytes) -> Result<Bytes, FetchError> {
        let old = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= old as u64;
        let new = bytes.split_off(old);
        if !new.is_empty() {
            self.tries = 0;
        }
        self.known.received += new.len() as u64;
        if self.known.received > IMAGE_BYTES {
            return Err(FetchError::TooLarge { url: self.shown.clone() });
        }
        Ok(new)
    }
}

/// A URL without what may be secret.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // A scheme without users has none to take away.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// An error with its causes, without the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_of_a_url_is_not_shown() {
        let url = "https://ada:secret@mirror.example:8443/a/b.tar.zst?token=secret#x".parse().unwrap();
        assert_eq!(shown(&url), "https://mirror.example:8443/a/b.tar.zst");
    }
}
