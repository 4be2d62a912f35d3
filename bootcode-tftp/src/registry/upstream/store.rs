//! What comes from an upstream registry is kept only when it is what was asked for.

use std::{fs, io::Write as _, sync::Arc};

use bytes::Bytes;
use reqwest::Response;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::{
    client::{Came, Upstream, causes},
    error::UpstreamError,
};
use crate::{
    limits,
    registry::{Content, Digest, LayoutError, Writer},
};

/// Chunks between network and disk.
const CHUNKS: usize = 16;

/// Fetches a manifest by tag, and names it, unless an operator pushed something of that name meanwhile.
pub(super) async fn tag(
    upstream: &Upstream,
    writer: &Arc<Writer>,
    name: &str,
    tag: &str,
) -> Result<(), UpstreamError> {
    let came = upstream.manifest(name, tag).await?;
    let named = Some((name.to_owned(), tag.to_owned()));
    keep_manifest(writer, came, named, upstream.url()).await.map(drop)
}

/// Fetches a manifest by digest.
pub(super) async fn manifest(
    upstream: &Upstream,
    writer: &Arc<Writer>,
    name: &str,
    digest: &Digest,
) -> Result<(), UpstreamError> {
    let came = upstream.manifest(name, digest.as_str()).await?;
    let found = Digest::of(&came.bytes);
    if found != *digest {
        return Err(wrong(digest, &found));
    }
    keep_manifest(writer, came, None, upstream.url()).await.map(drop)
}

/// Fetches a blob, if all blobs then have no more than `max_bytes`.
pub(super) async fn blob(
    upstream: &Upstream,
    writer: &Arc<Writer>,
    name: &str,
    digest: &Digest,
    max_bytes: u64,
) -> Result<(), UpstreamError> {
    let response = upstream.blob(name, digest).await?;
    let bytes = blocking(writer, |writer| Ok(stored(writer))).await?;
    let room = max_bytes.saturating_sub(bytes).min(limits::BLOB_BYTES);
    if response.content_length().is_some_and(|len| len > room) {
        return Err(UpstreamError::Full { bytes });
    }
    let part = blocking(writer, Writer::part).await?;
    let (send, receive) = mpsc::channel(CHUNKS);
    let writing = tokio::task::spawn_blocking(move || write(part, receive));
    let read = read(response, send, room, bytes).await;
    let written = writing.await.unwrap_or_else(|failed| Err(std::io::Error::other(failed)));
    let (part, found) = written.map_err(|error| writer.layout().io("a blob", error))?;
    // Only now, so that nothing is written behind our back: what came of it goes with its file.
    read?;
    if found != *digest {
        return Err(wrong(digest, &found));
    }
    blocking(writer, move |writer| writer.keep(&found, part)).await
}

async fn read(
    mut response: Response,
    send: mpsc::Sender<Bytes>,
    room: u64,
    bytes: u64,
) -> Result<(), UpstreamError> {
    let mut len = 0;
    while let Some(chunk) =
        response.chunk().await.map_err(|error| UpstreamError::Away { why: causes(error) })?
    {
        len += chunk.len() as u64;
        if len > room {
            return Err(UpstreamError::Full { bytes });
        }
        if send.send(chunk).await.is_err() {
            // The disk has failed, which its own error says.
            break;
        }
    }
    Ok(())
}

/// Writes what comes; blocks.
fn write(
    mut part: NamedTempFile,
    mut receive: mpsc::Receiver<Bytes>,
) -> std::io::Result<(NamedTempFile, Digest)> {
    let (mut hash, mut unsynced) = (Sha256::new(), 0);
    while let Some(chunk) = receive.blocking_recv() {
        part.write_all(&chunk)?;
        hash.update(&chunk);
        unsynced += chunk.len() as u64;
        if unsynced >= limits::UPLOAD_SYNC_BYTES {
            part.as_file().sync_data()?;
            unsynced = 0;
        }
    }
    Ok((part, Digest::finished(hash)))
}

async fn keep_manifest(
    writer: &Arc<Writer>,
    came: Came,
    named: Option<(String, String)>,
    upstream: &str,
) -> Result<Digest, UpstreamError> {
    let digest = Digest::of(&came.bytes);
    let content = Content::parse(&came.bytes, came.media_type.as_deref()).map_err(|error| {
        UpstreamError::Wrong { what: format!("manifest {digest}"), why: error.to_string() }
    })?;
    let (kept, upstream) = (digest.clone(), upstream.to_owned());
    blocking(writer, move |writer| {
        let named = named.as_ref().map(|(name, tag)| (name.as_str(), tag.as_str()));
        writer.put_from(&upstream, &kept, &content.media_type, &came.bytes, named)
    })
    .await?;
    Ok(digest)
}

fn wrong(asked: &Digest, found: &Digest) -> UpstreamError {
    UpstreamError::Wrong { what: asked.to_string(), why: format!("what came has the digest {found}") }
}

/// Bytes of all blobs; blocks.
fn stored(writer: &Writer) -> u64 {
    let files = fs::read_dir(writer.layout().root().join("blobs/sha256")).into_iter().flatten();
    files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
}

async fn blocking<T: Send + 'static>(
    writer: &Arc<Writer>,
    act: impl FnOnce(&Writer) -> Result<T, LayoutError> + Send + 'static,
) -> Result<T, UpstreamError> {
    let used = Arc::clone(writer);
    let joined = tokio::task::spawn_blocking(move || act(&used)).await;
    let done =
        joined.unwrap_or_else(|failed| Err(writer.layout().io("a file", std::io::Error::other(failed))));
    Ok(done?)
}
