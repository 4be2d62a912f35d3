//! Directories of documents: applied at start and on every change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bootcode_core::{
    apply::{Applier, ApplyError, Done, Origin},
    document,
    yaml::{self, Faults},
};
use tokio_util::sync::CancellationToken;

use crate::config::SourceDir;

/// How often a directory is looked at. Looking works on every file system, network ones included, and for Git's way of
/// replacing whole trees.
const LOOK: Duration = Duration::from_secs(2);
/// Files of one directory; a fleet of 10,000 machines with a file each fits.
const FILES: usize = 20_000;

/// A directory of documents was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceDirError {
    /// It cannot be read.
    #[error("sources: {} cannot be read: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It has too many files.
    #[error("sources: {} has more than {FILES} documents: put several machines into a file", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
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

type Texts = Vec<(String, String)>;

/// Checks a directory's documents on their own.
///
/// # Errors
/// See [`SourceDirError`].
pub(crate) fn check(source: &SourceDir) -> Result<(), SourceDirError> {
    let checked = document::validate(&read(&source.dir)?, &[], Origin::Directory);
    checked.map(drop).map_err(|faults| SourceDirError::Faults { path: source.dir.clone(), faults })
}

/// Applies a directory once.
///
/// # Errors
/// See [`SourceDirError`].
pub(crate) async fn apply(applier: &Applier, source: &SourceDir) -> Result<Done, SourceDirError> {
    apply_texts(applier, &source.dir, &read(&source.dir)?).await
}

/// Applies a directory whenever its documents are others than before, until cancelled. What is wrong is logged once, and
/// the server goes on with what was applied before.
pub(crate) async fn follow(applier: Arc<Applier>, source: SourceDir, cancel: CancellationToken) {
    let mut last = read(&source.dir).ok();
    while cancel.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let directory = source.dir.clone();
        let now = match tokio::task::spawn_blocking(move || read(&directory)).await {
            Ok(Ok(texts)) => Some(texts),
            Ok(Err(error)) if last.is_some() => {
                tracing::error!(%error, "documents are as they were applied last");
                None
            }
            _ => None,
        };
        if now == last {
            continue;
        }
        if let Some(texts) = &now {
            match apply_texts(&applier, &source.dir, texts).await {
                Ok(done) => log(&source.dir, &done),
                Err(error) => tracing::error!(%error, "documents are as they were applied last"),
            }
        }
        last = now;
    }
}

/// Says what an apply changed.
pub(crate) fn log(directory: &Path, done: &Done) {
    if !done.diff.is_empty() {
        tracing::info!(
            directory = %directory.display(),
            created = done.diff.created.len(),
            changed = done.diff.changed.len(),
            "documents applied"
        );
    }
}

async fn apply_texts(applier: &Applier, directory: &Path, texts: &Texts) -> Result<Done, SourceDirError> {
    applier.apply(texts, Origin::Directory).await.map_err(|error| match error {
        ApplyError::Faults(faults) => SourceDirError::Faults { path: directory.to_owned(), faults },
        source => SourceDirError::Apply { path: directory.to_owned(), source },
    })
}

/// Every `.yaml` and `.yml` file below a directory, in the order of their paths; hidden ones are left out.
fn read(directory: &Path) -> Result<Texts, SourceDirError> {
    let (mut texts, mut open) = (Texts::new(), vec![directory.to_owned()]);
    while let Some(path) = open.pop() {
        let failed = |source| SourceDirError::Read { path: path.clone(), source };
        if path.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                    open.push(entry.path());
                }
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            if texts.len() == FILES {
                return Err(SourceDirError::TooMany { path: directory.to_owned() });
            }
            let name = path.display().to_string();
            let bytes = fs::read(&path).map_err(failed)?;
            let text = yaml::utf8(&name, &bytes)
                .map_err(|faults| SourceDirError::Faults { path: directory.to_owned(), faults })?;
            texts.push((name, text.to_owned()));
        }
    }
    texts.sort();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_from_all_depths_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("rack/.git")).unwrap();
        for name in ["b.yaml", "rack/a.yml", "rack/notes.txt", "rack/.git/x.yaml", ".hidden.yaml"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let texts: Vec<String> = read(dir.path()).unwrap().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["b.yaml", "rack/a.yml"]);
        fs::write(dir.path().join("b.yaml"), b"\xff").unwrap();
        assert!(matches!(read(dir.path()), Err(SourceDirError::Faults { .. })));
        assert!(matches!(read(&dir.path().join("none")), Err(SourceDirError::Read { .. })));
    }
}
