//! Documents of watched directories: whose they are, and what goes with its file.
//!
//! Beside each document that a directory brought stands `Source/<Kind>/<name>`, written in the same batch: a directory deletes what
//! it brought, and nothing else.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Applier, ApplyError, Done, Origin};
use crate::{
    clock::Timestamp,
    document::{Document, Id, Kind},
    store::{Batch, Commit, Expect, Key, Revision, StoreError},
};

/// The internal kind that says which directory brought a document.
const SOURCE: &str = "Source";

/// Which directory brought a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) directory: String,
}

/// What came of documents that are gone from a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// They were deleted.
    pub deleted: Vec<Id>,
    /// They stay, each with the reason; another time it may be gone.
    pub kept: Vec<Kept>,
    /// The revision that holds it all, where anything was deleted.
    pub revision: Option<Revision>,
}

/// A document that is gone from its directory and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: Id,
    /// Why.
    pub why: String,
}

impl Applier {
    /// As [`Applier::apply`] for [`Origin::Directory`]; what is created or changed belongs to `directory` from now on, and what
    /// another directory brought goes over to it.
    ///
    /// # Errors
    /// See [`ApplyError`]; then nothing was applied.
    pub async fn apply_directory(
        &self,
        files: &[(String, String)],
        directory: &str,
    ) -> Result<Done, ApplyError> {
        let now = self.engine.now();
        self.apply_for(files, &Bringer { origin: Origin::Directory, directory: Some(directory), now }).await
    }

    /// Deletes what `directory` brought and no longer declares, those first that refer to others; what is still needed, as a machine
    /// with an open workflow is, stays. A directory that declares nothing at all deletes nothing: it is not mounted, or not there yet.
    ///
    /// # Errors
    /// [`ApplyError::TooMany`] where more than `max_delete` are gone; then nothing was deleted.
    pub async fn prune(
        &self,
        directory: &str,
        declared: &HashSet<(Kind, String)>,
        max_delete: u32,
    ) -> Result<Pruned, ApplyError> {
        let mut pruned = Pruned::default();
        if declared.is_empty() {
            return Ok(pruned);
        }
        let _fleet = self.fleet.lock().await;
        let mut turn = self.turn().await?;
        let (mut existing, _) = self.existing().await?;
        let own = self.sources().await?;
        let is_gone = |document: &&Document| {
            let (kind, name) = super::id(document);
            own.get(&source_key(kind, name).name).is_some_and(|source| source.directory == directory)
                && !declared.contains(&(kind, name.to_owned()))
        };
        let mut gone: Vec<Id> = existing
            .values()
            .map(|(document, _)| document)
            .filter(is_gone)
            .map(|document| Id { kind: document.kind, name: document.metadata.name.clone() })
            .collect();
        if gone.len() > max_delete as usize {
            return Err(ApplyError::TooMany { directory: directory.to_owned(), gone, max: max_delete });
        }
        let order = |kind: Kind| Kind::ALL.iter().position(|other| *other == kind);
        gone.sort_by_key(|id| std::cmp::Reverse(order(id.kind)));
        for id in gone {
            let documents = existing.values().map(|(document, _)| document);
            if let Err(why) = self.may_delete(id.kind, &id.name, documents) {
                pruned.kept.push(Kept { id, why: why.to_string() });
                continue;
            }
            let key = Key::new(id.kind.name(), &id.name);
            let Some((_, revision)) = existing.remove(&key) else { continue };
            let mut batch = Batch {
                expects: vec![Expect::At(key.clone(), revision)],
                deletes: vec![key, source_key(id.kind, &id.name)],
                ..Batch::default()
            };
            turn.take(&mut batch);
            match self.store.commit(batch).await? {
                Commit::Done(revision) => {
                    turn.taken(revision);
                    pruned.revision = Some(revision);
                    pruned.deleted.push(id);
                }
                Commit::Conflict { .. } => {
                    let why = "it was changed meanwhile".to_owned();
                    pruned.kept.push(Kept { id, why });
                    // It may have been another document: whoever wrote it took the turn.
                    turn = self.turn().await?;
                }
            }
        }
        Ok(pruned)
    }

    /// Which directory brought what, by the name of its [`source_key`].
    pub(super) async fn sources(&self) -> Result<HashMap<String, Source>, StoreError> {
        let (stored, _) = self.store.list(SOURCE).await?;
        // What cannot be read is nobody's: then nothing is deleted.
        let read =
            |stored: crate::store::Stored| Some((stored.key.name, Source::deserialize(stored.value).ok()?));
        Ok(stored.into_iter().filter_map(read).collect())
    }
}

impl Applier {
    /// Which directory brought one document, by the name of its [`source_key`]; none where none did.
    pub(super) async fn source(
        &self,
        kind: Kind,
        name: &str,
    ) -> Result<Option<(String, Source)>, StoreError> {
        let stored = self.store.get(&source_key(kind, name)).await?;
        Ok(stored.and_then(|stored| Some((stored.key.name, Source::deserialize(stored.value).ok()?))))
    }
}

/// Who applies, and when.
pub(super) struct Bringer<'a> {
    pub(super) origin: Origin,
    /// The watched directory, where its documents are to be known as its own.
    pub(super) directory: Option<&'a str>,
    /// What templates take for the time, however often the apply is tried.
    pub(super) now: Timestamp,
}

impl Bringer<'_> {
    /// Adds to a document's changes whose it is from now on: what an operator writes over is no directory's any more.
    pub(super) fn sign(&self, document: &Document, sources: &HashMap<String, Source>, part: &mut Batch) {
        let key = source_key(document.kind, &document.metadata.name);
        match self.directory {
            Some(_) => self.claim(key, sources, part),
            None if sources.contains_key(&key.name) => part.deletes.push(key),
            None => {}
        }
    }

    /// The same where the document stays as it is: it goes with its file from one directory to another, but what a directory did not
    /// bring does not become its own.
    pub(super) fn keep(&self, document: &Document, sources: &HashMap<String, Source>, part: &mut Batch) {
        let key = source_key(document.kind, &document.metadata.name);
        if sources.contains_key(&key.name) && self.directory.is_some() {
            self.claim(key, sources, part);
        }
    }

    fn claim(&self, key: Key, sources: &HashMap<String, Source>, part: &mut Batch) {
        let Some(directory) = self.directory else { return };
        if sources.get(&key.name).is_none_or(|source| source.directory != directory) {
            part.puts.push((key, super::to_value(&Source { directory: directory.to_owned() })));
        }
    }
}

/// Where it stands which directory brought a document.
pub(super) fn source_key(kind: Kind, name: &str) -> Key {
    Key::new(SOURCE, format!("{kind}/{name}"))
}
