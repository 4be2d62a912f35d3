//! The one thread that writes: as many waiting batches as there are share one transaction and one fsync.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::tables;
use crate::{
    limits::STORE_GROUP,
    store::{Batch, Commit, Revision, StoreError, Watched},
};

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Commit { batch: Batch, answer: Answer<Commit> },
    Trim { log: String, before: u64, answer: Answer<()> },
}

/// An answer that may leave once its transaction is durable.
enum Owed {
    Commit(Answer<Commit>, Commit),
    Trim(Answer<()>),
}

/// Runs until the queue is closed and empty.
pub(super) fn run(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Job>,
    announce: &broadcast::Sender<Arc<Watched>>,
) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < STORE_GROUP
            && let Ok(job) = queue.try_recv()
        {
            group.push(job);
        }
        write(&mut connection, group, announce);
    }
}

fn write(connection: &mut Connection, group: Vec<Job>, announce: &broadcast::Sender<Arc<Watched>>) {
    let mut owed = Vec::with_capacity(group.len());
    let mut commits = Vec::new();
    let mut waiting = group.into_iter();
    let written = carry_out(connection, &mut waiting, &mut owed, &mut commits);
    if let Err(failure) = written {
        tracing::error!(%failure, "the store could not be written");
        for owed in owed {
            owed.fail(&failure);
        }
        for job in waiting {
            job.fail(&failure);
        }
        return;
    }
    for watched in commits {
        // Nobody listening is no failure.
        let _ = announce.send(Arc::new(watched));
    }
    for owed in owed {
        owed.keep();
    }
}

fn carry_out(
    connection: &mut Connection,
    jobs: &mut impl Iterator<Item = Job>,
    owed: &mut Vec<Owed>,
    commits: &mut Vec<Watched>,
) -> Result<(), StoreError> {
    let away = |error: rusqlite::Error| StoreError::Unavailable { message: error.to_string() };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(away)?;
    let Revision(mut revision) = tables::revision(&transaction).map_err(away)?;
    for job in jobs {
        match job {
            Job::Trim { log, before, answer } => {
                owed.push(Owed::Trim(answer));
                tables::trim(&transaction, &log, before).map_err(away)?;
            }
            Job::Commit { batch, answer } => {
                let what = match tables::conflict(&transaction, &batch) {
                    Ok(what) => what,
                    Err(error) => {
                        owed.push(Owed::Commit(answer, Commit::Done(Revision(revision))));
                        return Err(away(error));
                    }
                };
                let Some(what) = what else {
                    revision += 1;
                    owed.push(Owed::Commit(answer, Commit::Done(Revision(revision))));
                    commits.push(tables::apply(&transaction, batch, Revision(revision)).map_err(away)?);
                    continue;
                };
                owed.push(Owed::Commit(answer, Commit::Conflict { what }));
            }
        }
    }
    // A commit that failed may be found done after a restart: its frames can be on disk although the fsync failed.
    transaction.commit().map_err(|error| {
        // The frame that makes a transaction count is the last one: where there was no room for all, it is not there.
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            return StoreError::Unavailable {
                message: "its disk is full; make room and try again".to_owned(),
            };
        }
        tracing::error!(%error, "a commit failed");
        StoreError::Unknown
    })
}

impl Owed {
    fn keep(self) {
        // Whoever no longer waits for an answer does not need one.
        match self {
            Self::Commit(answer, commit) => drop(answer.send(Ok(commit))),
            Self::Trim(answer) => drop(answer.send(Ok(()))),
        }
    }

    fn fail(self, failure: &StoreError) {
        match self {
            Self::Commit(answer, _) => drop(answer.send(Err(copy(failure)))),
            Self::Trim(answer) => drop(answer.send(Err(copy(failure)))),
        }
    }
}

impl Job {
    fn fail(self, failure: &StoreError) {
        match self {
            Self::Commit { answer, .. } => drop(answer.send(Err(copy(failure)))),
            Self::Trim { answer, .. } => drop(answer.send(Err(copy(failure)))),
        }
    }
}

fn copy(failure: &StoreError) -> StoreError {
    match failure {
        StoreError::Unknown => StoreError::Unknown,
        StoreError::Unavailable { message } => StoreError::Unavailable { message: message.clone() },
        other => StoreError::Unavailable { message: other.to_string() },
    }
}
