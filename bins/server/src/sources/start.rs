//! Directories of documents when the server starts.

use std::{collections::HashMap, sync::Arc};

use bootcode_core::{
    apply::{Applier, Origin},
    clock::{Clock as _, SystemClock},
    document::{self, Document, Kind},
};

use super::{
    SourceDirError,
    watched::{Read, Watched, twice},
};
use crate::config::SourceDir;

/// Checks the documents of the directories, each with those of the directories before it; how many there are.
///
/// # Errors
/// See [`SourceDirError`].
pub(crate) fn check(sources: &[SourceDir]) -> Result<usize, SourceDirError> {
    let mut existing: Vec<Document> = Vec::new();
    let mut places: HashMap<(Kind, String), Arc<str>> = HashMap::new();
    for source in sources {
        let path = source.dir.clone();
        let Read { texts, .. } = Read::of(source)?;
        if let Some(faults) = twice(&texts, &places) {
            return Err(SourceDirError::Faults { path, faults });
        }
        let checked = document::validate(&texts, &existing, Origin::Directory, SystemClock.now());
        let set = checked.map_err(|faults| SourceDirError::Faults { path, faults })?;
        let mut watched = Watched::new(source);
        watched.declare(&texts);
        places.extend(watched.declared);
        existing.retain(|document| set.find(document.kind, &document.metadata.name).is_none());
        existing.extend(set.into_documents());
    }
    Ok(existing.len())
}

/// Applies the directories once, in their order. Nothing is deleted yet: that waits for a second look.
pub(crate) async fn apply(
    applier: &Applier,
    sources: &[SourceDir],
) -> Vec<(Watched, Result<(), SourceDirError>)> {
    let mut all: Vec<(Watched, Result<(), SourceDirError>)> = Vec::with_capacity(sources.len());
    for source in sources {
        let mut watched = Watched::new(source);
        let result = match Read::of(source) {
            Ok(read) => {
                watched.saw(&read);
                watched.declare(&read.texts);
                let others = all.iter().flat_map(|(other, _)| other.declared.clone()).collect();
                watched.apply(applier, &read, &others).await
            }
            Err(error) => Err(error),
        };
        all.push((watched, result));
    }
    all
}
