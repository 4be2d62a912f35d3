//! Directories of documents while the server runs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bootcode_core::{apply::Applier, document::Kind};
use tokio_util::sync::CancellationToken;

use super::{SourceDirError, Watched, watched::Texts};

/// How often the directories are looked at. Looking works on every file system, network ones included, and for Git's way of
/// replacing whole trees.
const LOOK: Duration = Duration::from_secs(2);
/// How long documents must stay as they are before they are applied: an editor or `git checkout` may be in the middle of writing.
const SETTLE: Duration = Duration::from_millis(500);
/// Looks between two tries to delete what was still needed.
const RETRY_LOOKS: u32 = 15;

/// Applies directories whenever their documents are others than before, until cancelled. What is wrong with them is logged once, and
/// the server goes on with what was applied before; where the store failed they are applied again.
pub(crate) async fn follow(applier: Arc<Applier>, mut all: Vec<Watched>, cancel: CancellationToken) {
    let (mut pause, mut looks) = (LOOK, 0_u32);
    while cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let sources: Vec<_> = all.iter().map(|watched| watched.source.clone()).collect();
        let read = move || sources.iter().map(Watched::read).collect::<Vec<_>>();
        // Only a panic of the reading itself fails here; it was told, and the next look is another try.
        let Ok(now) = tokio::task::spawn_blocking(read).await else { continue };
        looks = looks.wrapping_add(1);
        let settled = look(&applier, &mut all, now, looks.is_multiple_of(RETRY_LOOKS)).await;
        pause = if settled { LOOK } else { SETTLE };
    }
}

/// One look at all directories; whether they have settled.
async fn look(
    applier: &Applier,
    all: &mut [Watched],
    now: Vec<Result<Texts, SourceDirError>>,
    retries: bool,
) -> bool {
    let (mut readable, mut settled) = (true, true);
    for (watched, texts) in all.iter_mut().zip(now) {
        match texts {
            Ok(texts) => {
                settled &=
                    [&watched.applied, &watched.seen].into_iter().any(|old| old.as_ref() == Some(&texts));
                watched.seen = Some(texts);
            }
            Err(error) => {
                // As they were before it could not be read, they need not be applied again.
                watched.tell(Err(error));
                watched.seen = None;
                readable = false;
            }
        }
    }
    if !settled {
        return false;
    }
    let changed = all.iter().any(|watched| watched.seen.is_some() && watched.seen != watched.applied);
    if changed {
        // All are declared before the first is applied: a file may have moved from one directory to another.
        let stood: Vec<_> = all.iter().map(|watched| watched.stands.clone()).collect();
        for watched in all.iter_mut() {
            if let Some(texts) = watched.seen.clone() {
                watched.declare(&texts);
            }
        }
        for index in 0..all.len() {
            let Some(texts) = all[index].seen.clone() else { continue };
            if all[index].is_good && all[index].applied.as_ref() == Some(&texts) {
                all[index].tell(Ok(()));
                continue;
            }
            // Of two that declare the same it stays with the one that brought it, else with the first.
            let mut others: HashMap<(Kind, String), String> = HashMap::new();
            for (at, other) in all.iter().enumerate().filter(|(at, _)| *at != index) {
                let is_theirs = |id: &(Kind, String)| {
                    stood[at].contains(id) || (at < index && !stood[index].contains(id))
                };
                let theirs = other.declared.iter().filter(|(id, _)| is_theirs(id));
                others.extend(theirs.map(|(id, file)| (id.clone(), file.clone())));
            }
            let result = all[index].apply(applier, texts, &others).await;
            all[index].tell(result);
        }
    } else {
        for watched in all.iter_mut().filter(|watched| watched.is_good && watched.seen.is_some()) {
            watched.tell(Ok(()));
        }
    }
    // What one directory lost another may have, so that all have to be known.
    if readable && all.iter().all(|watched| watched.is_good) {
        for watched in
            all.iter_mut().filter(|watched| watched.has_gone && (changed || retries || watched.is_new))
        {
            watched.prune(applier).await;
        }
    }
    true
}
