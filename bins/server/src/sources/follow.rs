//! Directories of documents while the server runs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bootcode_core::{apply::Applier, document::Kind};
use tokio_util::sync::CancellationToken;

use super::{
    SourceDirError, Watched,
    watched::{self, Look},
};

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
        let known: Vec<_> = all.iter().map(Watched::known).collect();
        let read = move || known.iter().map(watched::Known::look).collect::<Vec<_>>();
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
    now: Vec<Result<Look, SourceDirError>>,
    retries: bool,
) -> bool {
    let (mut readable, mut settled) = (true, true);
    let mut reads = Vec::with_capacity(all.len());
    for (watched, look) in all.iter_mut().zip(now) {
        let mut read_now = None;
        match look {
            // What was applied stands there still.
            Ok(Look::Same) => {}
            Ok(Look::Read(read)) => {
                settled &= [watched.applied, watched.seen].contains(&Some(read.print));
                watched.saw(&read);
                read_now = Some(read);
            }
            Err(error) => {
                // As they were before it could not be read, they need not be applied again.
                watched.tell(Err(error));
                watched.seen = None;
                readable = false;
            }
        }
        reads.push(read_now);
    }
    if !settled {
        return false;
    }
    let changed = all.iter().any(|watched| watched.seen.is_some() && watched.seen != watched.applied);
    if changed {
        // All are declared before the first is applied: a file may have moved from one directory to another.
        let stood: Vec<_> = all.iter().map(|watched| watched.stands.clone()).collect();
        for (watched, read) in all.iter_mut().zip(&reads) {
            if let Some(read) = read {
                watched.declare(&read.texts);
            }
        }
        for index in 0..all.len() {
            if all[index].seen.is_none() {
                continue;
            }
            let read = match &reads[index] {
                Some(read) if !all[index].is_good || all[index].applied != all[index].seen => read,
                _ => {
                    all[index].tell(Ok(()));
                    continue;
                }
            };
            // Of two that declare the same it stays with the one that brought it, else with the first.
            let mut others: HashMap<(Kind, String), Arc<str>> = HashMap::new();
            for (at, other) in all.iter().enumerate().filter(|(at, _)| *at != index) {
                let is_theirs = |id: &(Kind, String)| {
                    stood[at].contains(id) || (at < index && !stood[index].contains(id))
                };
                let theirs = other.declared.iter().filter(|(id, _)| is_theirs(id));
                others.extend(theirs.map(|(id, file)| (id.clone(), file.clone())));
            }
            let result = all[index].apply(applier, read, &others).await;
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
