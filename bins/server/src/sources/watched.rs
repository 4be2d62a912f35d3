//! A watched directory, and what is known of it.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::SystemTime,
};

use bootcode_core::{
    apply::{Applier, ApplyError, Done, Pruned},
    document::{self, Kind, TreeStamp},
    yaml::Faults,
};

use super::SourceDirError;
use crate::{config::SourceDir, error::with_causes};

/// The documents of a directory as they were last read: pairs of the file's path and its text.
pub(crate) type Texts = Vec<(String, String)>;

/// What is kept of texts until the next look: enough to know them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    hash: u64,
    files: usize,
}

impl Print {
    fn of(texts: &Texts) -> Self {
        let mut hasher = DefaultHasher::new();
        texts.hash(&mut hasher);
        Self { hash: hasher.finish(), files: texts.len() }
    }
}

/// What a look at a directory found.
#[derive(Debug)]
pub(super) enum Look {
    /// No file is another than when it was read.
    Same,
    /// It was read.
    Read(Read),
}

/// A directory that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) texts: Texts,
    pub(super) print: Print,
    /// `None` where its files changed too lately to tell one reading from the next.
    stamp: Option<TreeStamp>,
}

/// What a look needs to know of the last one.
#[derive(Debug, Clone)]
pub(super) struct Known {
    source: SourceDir,
    stamp: Option<TreeStamp>,
    /// The files that documents name for their texts, and the documents' own.
    files: Arc<[String]>,
}

impl Known {
    /// Reads the directory unless all its files are what they were.
    pub(super) fn look(&self) -> Result<Look, SourceDirError> {
        let failed = |error| SourceDirError::of(&self.source, error);
        let unread = self.stamp.map(|_| TreeStamp::of(&self.source.dir, &*self.files)).transpose();
        if self.stamp.is_some() && unread.map_err(failed)? == self.stamp {
            return Ok(Look::Same);
        }
        Read::of(&self.source).map(Look::Read)
    }
}

impl Read {
    /// Reads the directory.
    pub(super) fn of(source: &SourceDir) -> Result<Self, SourceDirError> {
        let failed = |error| SourceDirError::of(source, error);
        let begun = SystemTime::now();
        let texts = document::read_tree(&source.dir).map_err(failed)?;
        let stamp = TreeStamp::of(&source.dir, texts.iter().map(|(file, _)| file)).map_err(failed)?;
        let stamp = Some(stamp).filter(|stamp| stamp.is_settled(begun));
        Ok(Self { print: Print::of(&texts), texts, stamp })
    }
}

/// A directory that is looked at again and again.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(super) source: SourceDir,
    /// As they were applied or refused last; `None` where they have to be applied again in any case.
    pub(super) applied: Option<Print>,
    /// As they were at the last look.
    pub(super) seen: Option<Print>,
    stamp: Option<TreeStamp>,
    files: Arc<[String]>,
    /// What the documents of the last look declare, each with its file.
    pub(super) declared: HashMap<(Kind, String), Arc<str>>,
    /// What those that were applied last declare, derived documents included.
    pub(super) stands: HashSet<(Kind, String)>,
    /// Whether what was read last was applied.
    pub(super) is_good: bool,
    /// Whether something that is gone is still there.
    pub(super) has_gone: bool,
    /// Whether what went while the server was away was not looked for yet.
    pub(super) is_new: bool,
    /// What was said last: nothing is said twice.
    told: String,
    told_of_gone: String,
}

impl Watched {
    pub(super) fn new(source: &SourceDir) -> Self {
        Self {
            source: source.clone(),
            applied: None,
            seen: None,
            stamp: None,
            files: Arc::default(),
            declared: HashMap::new(),
            stands: HashSet::new(),
            is_good: false,
            has_gone: source.prune,
            is_new: true,
            told: String::new(),
            told_of_gone: String::new(),
        }
    }

    /// Whether any document was read; a directory that is not mounted yet is empty.
    pub(crate) fn brought_any(&self) -> bool {
        self.applied.is_some_and(|print| print.files > 0)
    }

    /// As the configuration names it.
    fn name(&self) -> String {
        self.source.dir.display().to_string()
    }

    /// What the next look needs. Only what was applied may be passed over unread: a fault may be mended by a file that is none of them.
    pub(super) fn known(&self) -> Known {
        let stamp = self.stamp.filter(|_| self.is_good && self.seen == self.applied);
        Known { source: self.source.clone(), stamp, files: Arc::clone(&self.files) }
    }

    /// Keeps what the next look needs.
    pub(super) fn saw(&mut self, read: &Read) {
        self.seen = Some(read.print);
        self.stamp = read.stamp;
        self.files = read.texts.iter().map(|(file, _)| file.clone()).collect();
    }

    /// Takes what was read for what is declared. What cannot be read as documents declares what it did before.
    pub(super) fn declare(&mut self, texts: &Texts) {
        if let Ok(set) = document::read(texts) {
            let named = |entry: &document::Entry| {
                let id = (entry.document.kind, entry.document.metadata.name.clone());
                (id, Arc::clone(&entry.file))
            };
            self.declared = set.entries().iter().map(named).collect();
        }
    }

    /// Applies what was read, unless another directory declares a part of it, too.
    pub(super) async fn apply(
        &mut self,
        applier: &Applier,
        read: &Read,
        others: &HashMap<(Kind, String), Arc<str>>,
    ) -> Result<(), SourceDirError> {
        self.is_good = false;
        let path = self.source.dir.clone();
        if let Some(faults) = twice(&read.texts, others) {
            self.applied = Some(read.print);
            return Err(SourceDirError::Faults { path, faults });
        }
        let result = match applier.apply_directory(&read.texts, &self.name()).await {
            Ok(done) => {
                self.log(&done);
                self.is_good = true;
                self.has_gone = self.source.prune;
                let ids = done.diff.created.iter().chain(&done.diff.unchanged);
                let ids = ids.chain(done.diff.changed.iter().map(|changed| &changed.id));
                self.stands = ids.map(|id| (id.kind, id.name.clone())).collect();
                Ok(())
            }
            Err(ApplyError::Faults(faults)) => Err(SourceDirError::Faults { path, faults }),
            Err(source) => Err(SourceDirError::Apply { path, source }),
        };
        let again = result.as_ref().is_err_and(SourceDirError::may_pass);
        self.applied = (!again).then_some(read.print);
        result
    }

    /// Deletes what is gone from the directory, as far as it may go.
    pub(super) async fn prune(&mut self, applier: &Applier) {
        self.is_new = false;
        let told = match applier.prune(&self.name(), &self.stands, self.source.max_delete).await {
            Ok(Pruned { deleted, kept, .. }) => {
                for id in &deleted {
                    tracing::info!(directory = %self.name(), document = %format!("{}/{}", id.kind, id.name), "deleted: it is gone from the directory");
                }
                self.has_gone = !kept.is_empty();
                let stays =
                    kept.iter().map(|kept| format!("{}/{}: {}", kept.id.kind, kept.id.name, kept.why));
                let stays = stays.collect::<Vec<_>>().join("; ");
                if !stays.is_empty() && stays != self.told_of_gone {
                    tracing::warn!(directory = %self.name(), %stays, "gone from the directory, and kept as long as it is needed");
                }
                stays
            }
            Err(error) => {
                self.has_gone = !matches!(error, ApplyError::TooMany { .. });
                let text = with_causes(&error);
                if text != self.told_of_gone {
                    tracing::error!(error = %text, "nothing was deleted");
                }
                text
            }
        };
        self.told_of_gone = told;
    }

    /// Says what is wrong, once.
    pub(super) fn tell(&mut self, result: Result<(), SourceDirError>) {
        let text = match &result {
            Ok(()) => String::new(),
            Err(error) => with_causes(error),
        };
        if result.is_err() && text != self.told {
            tracing::error!(error = %text, "documents are as they were applied last");
        }
        self.told = text;
    }

    /// Says what an apply changed.
    fn log(&self, done: &Done) {
        let directory = self.name();
        let (created, changed) = (done.diff.created.len(), done.diff.changed.len());
        for warning in &done.warnings {
            tracing::warn!(%warning, "documents");
        }
        if !done.diff.is_empty() {
            tracing::info!(%directory, created, changed, "documents applied");
        } else if done.diff.unchanged.is_empty() {
            tracing::warn!(%directory, "the directory holds no documents: no file in it ends in .yaml or .yml, or all are empty; nothing is deleted");
        }
    }
}

/// A fault for each document that another directory declares, with both places.
pub(super) fn twice(texts: &Texts, others: &HashMap<(Kind, String), Arc<str>>) -> Option<Faults> {
    if others.is_empty() {
        return None;
    }
    let set = document::read(texts).ok()?;
    let mut faults = Faults::default();
    for entry in set.entries() {
        let (kind, name) = (entry.document.kind, &entry.document.metadata.name);
        if let Some(file) = others.get(&(kind, name.clone())) {
            let message = format!("{kind} `{name}` is declared in {file}, too: one directory declares it");
            faults.push(entry.fault("metadata.name", message));
        }
    }
    faults.or_ok(()).err()
}
