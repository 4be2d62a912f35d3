//! Directories of documents: applied at start and on every change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bootcode_core::{
    apply::{Applier, ApplyError, Done, Origin},
    document::{self, Document, TreeError},
    yaml::Faults,
};
use tokio_util::sync::CancellationToken;

use crate::{config::SourceDir, error::with_causes};

/// How often a directory is looked at. Looking works on every file system, network ones included, and for Git's way of
/// replacing whole trees.
const LOOK: Duration = Duration::from_secs(2);

/// A directory of documents was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceDirError {
    /// It cannot be read.
    #[error("sources: {0}")]
    Read(#[source] TreeError),
    /// Its documents have faults.
    #[error("sources: nothing of {} was applied:\n{faults}", path.display())]
    Faults {
        /// The directory.
        path: PathBuf,
        /// All of them.
        faults: Faults,
    },
    /// They were refused.
    #[error("sources: nothing of {} was applied: {source}", path.display())]
    Apply {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: ApplyError,
    },
}

impl SourceDirError {
    /// Whether the same documents may be taken another time: the store failed, not they.
    const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Apply { source: ApplyError::Store(_) | ApplyError::Engine(_) | ApplyError::Contended, .. }
        )
    }
}

/// The documents of a directory as they were last read.
pub(crate) type Texts = Vec<(String, String)>;

/// Checks the documents of the directories, each with those of the directories before it; how many there are.
///
/// # Errors
/// See [`SourceDirError`].
pub(crate) fn check(sources: &[SourceDir]) -> Result<usize, SourceDirError> {
    let mut existing: Vec<Document> = Vec::new();
    for SourceDir { dir, .. } in sources {
        let checked = document::validate(&read(dir)?, &existing, Origin::Directory);
        let set = checked.map_err(|faults| SourceDirError::Faults { path: dir.clone(), faults })?;
        existing.retain(|document| set.find(document.kind, &document.metadata.name).is_none());
        existing.extend(set.into_documents());
    }
    Ok(existing.len())
}

/// Applies a directory once; its documents, for [`follow`] to tell a change.
///
/// # Errors
/// See [`SourceDirError`]; what was read, where it was not the store that failed.
pub(crate) async fn apply(
    applier: &Applier,
    source: &SourceDir,
) -> (Option<Texts>, Result<(), SourceDirError>) {
    match read(&source.dir) {
        Ok(texts) => apply_texts(applier, &source.dir, texts).await,
        Err(error) => (None, Err(error)),
    }
}

/// Applies a directory whenever its documents are others than `last`, until cancelled. What is wrong with them is logged
/// once, and the server goes on with what was applied before; where the store failed they are applied again.
pub(crate) async fn follow(
    applier: Arc<Applier>,
    source: SourceDir,
    mut last: Option<Texts>,
    cancel: CancellationToken,
) {
    let mut told = String::new();
    while cancel.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let directory = source.dir.clone();
        let now = match tokio::task::spawn_blocking(move || read(&directory)).await {
            Ok(now) => now,
            // Only a panic of the reading itself gets here; it was told, and the next look is another try.
            Err(_) => continue,
        };
        let result = match now {
            Ok(texts) if last.as_ref() == Some(&texts) => Ok(()),
            Ok(texts) => {
                let (applied, result) = apply_texts(&applier, &source.dir, texts).await;
                last = applied;
                result
            }
            Err(error) => {
                // As they were before it could not be read, they need not be applied again.
                Err(error)
            }
        };
        match result {
            Ok(()) => told.clear(),
            Err(error) => {
                let text = with_causes(&error);
                if text != told {
                    tracing::error!(error = %text, "documents are as they were applied last");
                }
                told = text;
            }
        }
    }
}

/// Applies documents. Those that need not be applied again come back, also where they are at fault.
async fn apply_texts(
    applier: &Applier,
    directory: &Path,
    texts: Texts,
) -> (Option<Texts>, Result<(), SourceDirError>) {
    let path = directory.to_owned();
    match applier.apply(&texts, Origin::Directory).await {
        Ok(done) => {
            log(directory, &done);
            (Some(texts), Ok(()))
        }
        Err(ApplyError::Faults(faults)) => (Some(texts), Err(SourceDirError::Faults { path, faults })),
        Err(source) => {
            let error = SourceDirError::Apply { path, source };
            ((!error.may_pass()).then_some(texts), Err(error))
        }
    }
}

/// Says what an apply changed.
fn log(directory: &Path, done: &Done) {
    let directory = directory.display();
    let (created, changed) = (done.diff.created.len(), done.diff.changed.len());
    if !done.diff.is_empty() {
        tracing::info!(%directory, created, changed, "documents applied");
    } else if done.diff.unchanged.is_empty() {
        tracing::warn!(%directory, "the directory holds no documents: no file in it ends in .yaml or .yml, or all are empty");
    }
}

fn read(directory: &Path) -> Result<Texts, SourceDirError> {
    document::read_tree(directory).map_err(|error| match error {
        TreeError::Faults(faults) => SourceDirError::Faults { path: directory.to_owned(), faults },
        error => SourceDirError::Read(error),
    })
}
