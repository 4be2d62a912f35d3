//! What no name reaches any more is removed.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Digest, LayoutError, Reference, Writer, wanted::is_young};
use crate::limits;

/// What a sweep removed, and left for a later one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Bytes of blobs that were removed.
    pub bytes: u64,
    /// Bytes of blobs that no name reaches, but that a push may still need.
    pub later: u64,
}

impl Writer {
    /// Removes the blobs that no manifest of the index reaches, but none that is younger than an hour, that was pushed or asked for by
    /// an operator within one, or while something is being uploaded. Blocks.
    ///
    /// Whoever reads a blob that goes keeps it until done. A crash in the middle leaves what the next sweep removes.
    ///
    /// # Errors
    /// An index or a manifest in it that cannot be read: then nothing is removed, for what it reaches is not known.
    pub fn sweep(&self, now: SystemTime) -> Result<Swept, LayoutError> {
        let busy = self.uploads.are_open();
        let reached = self.reached()?;
        let mut swept = Swept::default();
        let place = self.layout().root().join("blobs/sha256");
        let failed = |source| self.layout().io("blobs/sha256", source);
        for file in fs::read_dir(&place).map_err(failed)? {
            let file = file.map_err(failed)?;
            let digest = file.file_name().to_str().and_then(|hex| format!("sha256:{hex}").parse().ok());
            let Some(digest) = digest.filter(|digest| !reached.contains(digest)) else { continue };
            let metadata = match file.metadata() {
                Ok(metadata) if metadata.is_file() => metadata,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            if busy || is_young(arrived(&metadata), now) {
                swept.later += metadata.len();
                continue;
            }
            match self.wanted.unless(&digest, now, || fs::remove_file(file.path())) {
                Some(removed) => {
                    removed.map_err(failed)?;
                    swept.bytes += metadata.len();
                }
                None => swept.later += metadata.len(),
            }
        }
        Ok(swept)
    }

    /// Sweeps now and every [`limits::SWEEP`], and forgets uploads that nobody goes on with, until cancelled.
    pub async fn tend(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            let writer = Arc::clone(&self);
            let swept = tokio::task::spawn_blocking(move || {
                writer.uploads.forget_idle();
                writer.sweep(SystemTime::now())
            });
            match swept.await {
                Ok(Ok(Swept { bytes: 0, .. })) => {}
                Ok(Ok(Swept { bytes, later })) => {
                    tracing::info!(bytes, later, "content that no image reaches was removed");
                }
                Ok(Err(error)) => {
                    let cause =
                        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(%error, cause, "nothing of the image layout is removed before that is mended");
                }
                Err(error) => tracing::error!(%error, "the image layout was not swept"),
            }
            if cancel.run_until_cancelled(tokio::time::sleep(limits::SWEEP)).await.is_none() {
                return;
            }
        }
    }

    /// What the index names, and all that it refers to.
    fn reached(&self) -> Result<BTreeSet<Digest>, LayoutError> {
        let index = self.layout().index_blocking()?;
        let mut reached = BTreeSet::new();
        let named = index.manifests.iter().filter_map(|listed| listed.digest.parse::<Digest>().ok());
        let mut waiting: Vec<_> = named.map(|digest| (digest, true)).collect();
        while let Some((digest, named)) = waiting.pop() {
            if !reached.insert(digest.clone()) {
                continue;
            }
            let reference = Reference::Digest(digest.clone());
            let Some(manifest) = self.layout().manifest_blocking("", &reference)? else {
                if named {
                    let why =
                        format!("it lists {digest}, which is not there; push it again or remove its name");
                    return Err(self.layout().invalid("index.json", why));
                }
                // An index may list platforms that nobody copied.
                continue;
            };
            let manifest: Value = serde_json::from_slice(&manifest.bytes)
                .map_err(|error| self.layout().invalid(digest.as_str(), error.to_string()))?;
            let digest_of = |part: &Value| part["digest"].as_str().and_then(|digest| digest.parse().ok());
            let list = |key: &str| manifest[key].as_array().map(Vec::as_slice).unwrap_or_default();
            let blobs = list("layers").iter().chain(list("blobs")).chain(manifest.get("config"));
            reached.extend(blobs.filter_map(digest_of));
            let manifests = list("manifests").iter().chain(manifest.get("subject"));
            waiting.extend(manifests.filter_map(digest_of).map(|digest| (digest, false)));
        }
        Ok(reached)
    }
}

/// When the file came here. Not its modification, which tools that copy layouts keep.
fn arrived(metadata: &fs::Metadata) -> SystemTime {
    let seconds = Duration::from_secs(metadata.ctime().try_into().unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds
}
