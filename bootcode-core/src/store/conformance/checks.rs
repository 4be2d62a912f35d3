//! Reading and writing.

use std::sync::Arc;

use super::{Harness, Verdict, append, done, entries, hold, put, refused, value};
use crate::{
    limits::BATCH_OPERATIONS,
    store::{Batch, Commit, Expect, Key, Revision, Store, StoreError},
};

type Checked = Result<(), String>;

pub(super) async fn a_commit_is_read_back(store: Arc<dyn Store>) -> Checked {
    let revision = done(&store, put("a", 1)).await?;
    let found = store.get(&Key::new("Thing", "a")).await.map_err(|error| error.to_string())?;
    let found = found.ok_or("a document that was written is not there")?;
    hold!(found.value == 1 && found.revision == revision, "wrote 1 at {revision:?}, read {found:?}");
    done(&store, append("log/a", 0, &[7, 8])).await?;
    let read = entries(&store, "log/a", 1).await?;
    hold!(read == [(1, 7), (2, 8)], "appended 7 and 8, read {read:?}");
    let read = entries(&store, "log/a", 2).await?;
    hold!(read == [(2, 8)], "reading from 2 gave {read:?}");
    Ok(())
}

pub(super) async fn every_commit_makes_the_next_revision(store: Arc<dyn Store>) -> Checked {
    let (_, start) = store.list("Thing").await.map_err(|error| error.to_string())?;
    hold!(start == Revision(0), "an empty store is at {start:?}");
    for expected in 1..=5 {
        let revision = done(&store, put("a", expected)).await?;
        hold!(revision == Revision(expected), "commit {expected} made {revision:?}");
    }
    Ok(())
}

pub(super) async fn a_read_after_a_commit_sees_it(store: Arc<dyn Store>) -> Checked {
    for round in 1..=20 {
        let revision =
            done(&store, Batch { appends: append("log/a", round - 1, &[round]).appends, ..put("a", round) })
                .await?;
        let read = value(&store, "a").await?;
        hold!(read == Some(round), "{round} was written, {read:?} is read");
        let (listed, at) = store.list("Thing").await.map_err(|error| error.to_string())?;
        hold!(
            at == revision && listed.len() == 1 && listed[0].value == round,
            "{round} was written at {revision:?}, the list of {at:?} has {listed:?}"
        );
        let read = entries(&store, "log/a", round).await?;
        hold!(read == [(round, round)], "{round} was appended, the log reads {read:?} from there");
    }
    Ok(())
}

pub(super) async fn a_document_that_is_made_again_is_another(store: Arc<dyn Store>) -> Checked {
    let key = Key::new("Thing", "a");
    let first = done(&store, put("a", 1)).await?;
    done(&store, Batch { deletes: vec![key.clone()], ..Batch::default() }).await?;
    refused(&store, Batch { expects: vec![Expect::At(key.clone(), first)], ..put("a", 9) }).await?;
    let again = done(&store, Batch { expects: vec![Expect::Absent(key.clone())], ..put("a", 1) }).await?;
    hold!(again > first, "a document of {first:?} that was deleted and written again is of {again:?}");
    refused(&store, Batch { expects: vec![Expect::At(key, first)], ..put("a", 9) }).await
}

pub(super) async fn an_expectation_that_fails_changes_nothing(store: Arc<dyn Store>) -> Checked {
    let first = done(&store, put("a", 1)).await?;
    let second = done(&store, put("a", 2)).await?;
    for expect in [
        Expect::Absent(Key::new("Thing", "a")),
        Expect::At(Key::new("Thing", "a"), first),
        Expect::At(Key::new("Thing", "b"), second),
    ] {
        refused(&store, Batch { expects: vec![expect.clone()], ..put("a", 9) })
            .await
            .map_err(|wrong| format!("{expect:?}: {wrong}"))?;
        let read = value(&store, "a").await?;
        hold!(read == Some(2), "after a conflict on {expect:?} the value is {read:?}");
    }
    done(&store, Batch { expects: vec![Expect::At(Key::new("Thing", "a"), second)], ..put("a", 3) }).await?;
    done(&store, Batch { expects: vec![Expect::Absent(Key::new("Thing", "b"))], ..put("b", 1) }).await?;
    Ok(())
}

pub(super) async fn an_append_after_another_sequence_number_conflicts(store: Arc<dyn Store>) -> Checked {
    done(&store, append("log/a", 0, &[1, 2])).await?;
    for after in [0, 1, 3] {
        refused(&store, append("log/a", after, &[9]))
            .await
            .map_err(|wrong| format!("after {after}: {wrong}"))?;
    }
    refused(&store, append("log/new", 1, &[9])).await?;
    let read = entries(&store, "log/a", 1).await?;
    hold!(read == [(1, 1), (2, 2)], "after conflicts the log is {read:?}");
    Ok(())
}

pub(super) async fn one_of_many_writers_wins_each_sequence_number(store: Arc<dyn Store>) -> Checked {
    for after in 0..8 {
        let writers = (0..8u64).map(|writer| {
            let store = Arc::clone(&store);
            async move { store.commit(append("log/a", after, &[after * 100 + writer])).await }
        });
        let answers = futures_util::future::join_all(writers).await;
        let won = answers.iter().filter(|answer| matches!(answer, Ok(Commit::Done(_)))).count();
        hold!(won == 1, "{won} of 8 writers were told that they appended entry {}", after + 1);
    }
    let read = entries(&store, "log/a", 1).await?;
    hold!(read.len() == 8, "8 entries were acknowledged, {} are there", read.len());
    Ok(())
}

pub(super) async fn no_two_commits_share_a_revision(store: Arc<dyn Store>) -> Checked {
    let writers = (0..64).map(|writer| {
        let store = Arc::clone(&store);
        async move { done(&store, put(&format!("{writer}"), writer)).await }
    });
    let mut revisions = futures_util::future::try_join_all(writers).await?;
    revisions.sort_unstable();
    let expected: Vec<Revision> = (1..=64).map(Revision).collect();
    hold!(revisions == expected, "64 commits at once made {revisions:?}");
    let (listed, at) = store.list("Thing").await.map_err(|error| error.to_string())?;
    let mut kept: Vec<Revision> = listed.iter().map(|stored| stored.revision).collect();
    kept.sort_unstable();
    hold!(at == Revision(64) && kept == expected, "64 documents are listed at {at:?} with {kept:?}");
    Ok(())
}

pub(super) async fn an_acknowledged_entry_is_never_lost(store: Arc<dyn Store>) -> Checked {
    for after in 0..40 {
        done(&store, append("log/a", after * 2, &[after, after])).await?;
    }
    let read = entries(&store, "log/a", 1).await?;
    let expected: Vec<(u64, u64)> = (1..).zip((0..40).flat_map(|n| [n, n])).collect();
    hold!(read == expected, "80 entries were acknowledged, {} were read", read.len());
    Ok(())
}

pub(super) async fn a_batch_is_carried_out_whole_or_not_at_all(store: Arc<dyn Store>) -> Checked {
    done(&store, append("log/a", 0, &[1])).await?;
    done(&store, put("kept", 1)).await?;
    let torn = Batch {
        deletes: vec![Key::new("Thing", "kept")],
        appends: [append("log/b", 0, &[1]).appends, append("log/a", 0, &[2]).appends].concat(),
        ..put("a", 1)
    };
    refused(&store, torn).await?;
    let (a, kept) = (value(&store, "a").await?, value(&store, "kept").await?);
    hold!(a.is_none() && kept == Some(1), "a refused batch wrote a = {a:?}, kept = {kept:?}");
    let read = entries(&store, "log/b", 1).await?;
    hold!(read.is_empty(), "a refused batch appended {read:?}");
    let whole = Batch {
        deletes: vec![Key::new("Thing", "kept")],
        appends: [append("log/b", 0, &[1]).appends, append("log/a", 1, &[2]).appends].concat(),
        ..put("a", 1)
    };
    done(&store, whole).await?;
    let (a, kept) = (value(&store, "a").await?, value(&store, "kept").await?);
    let (first, second) = (entries(&store, "log/a", 2).await?, entries(&store, "log/b", 1).await?);
    hold!(
        a == Some(1) && kept.is_none() && first == [(2, 2)] && second == [(1, 1)],
        "a batch left a = {a:?}, kept = {kept:?}, logs {first:?} and {second:?}"
    );
    Ok(())
}

pub(super) async fn deleting_an_absent_document_is_no_error(store: Arc<dyn Store>) -> Checked {
    done(&store, Batch { deletes: vec![Key::new("Thing", "none")], ..Batch::default() }).await?;
    done(&store, put("a", 1)).await?;
    done(&store, Batch { deletes: vec![Key::new("Thing", "a")], ..Batch::default() }).await?;
    let read = value(&store, "a").await?;
    hold!(read.is_none(), "a deleted document reads {read:?}");
    Ok(())
}

pub(super) async fn logs_are_listed_by_prefix_in_order(store: Arc<dyn Store>) -> Checked {
    for log in ["w/b", "w/a", "w_/x", "v/z", "w/%", "x"] {
        done(&store, append(log, 0, &[1])).await?;
    }
    for (prefix, expected) in [("w/", vec!["w/%", "w/a", "w/b"]), ("w_", vec!["w_/x"]), ("w/%", vec!["w/%"])]
    {
        let found = store.logs(prefix).await.map_err(|error| error.to_string())?;
        hold!(found == expected, "the logs of {prefix} are {found:?}");
    }
    for name in ["b", "a", "c"] {
        done(&store, put(name, 1)).await?;
    }
    done(&store, Batch { puts: vec![(Key::new("Thin", "g"), 1.into())], ..Batch::default() }).await?;
    let (found, _) = store.list("Thing").await.map_err(|error| error.to_string())?;
    let names: Vec<_> = found.iter().map(|stored| stored.key.name.as_str()).collect();
    hold!(names == ["a", "b", "c"], "the documents are listed as {names:?}");
    Ok(())
}

pub(super) async fn a_trimmed_log_keeps_its_sequence_numbers(store: Arc<dyn Store>) -> Checked {
    done(&store, append("log/a", 0, &[1, 2, 3])).await?;
    store.trim("log/a", 3).await.map_err(|error| error.to_string())?;
    store.trim("log/none", 3).await.map_err(|error| error.to_string())?;
    let read = entries(&store, "log/a", 1).await?;
    hold!(read == [(3, 3)], "a log trimmed before 3 reads {read:?}");
    store.trim("log/a", 4).await.map_err(|error| error.to_string())?;
    refused(&store, append("log/a", 0, &[4])).await?;
    done(&store, append("log/a", 3, &[4])).await?;
    let read = entries(&store, "log/a", 1).await?;
    hold!(read == [(4, 4)], "a log that was trimmed empty and appended to reads {read:?}");
    Ok(())
}

pub(super) async fn a_batch_over_the_bounds_is_refused(store: Arc<dyn Store>) -> Checked {
    let many: Vec<u64> = (0..=BATCH_OPERATIONS as u64).collect();
    let large = "x".repeat(crate::limits::BATCH_BYTES);
    let heavy = Batch { puts: vec![(Key::new("Thing", "a"), large.into())], ..Batch::default() };
    for batch in [append("log/a", 0, &many), heavy] {
        let answer = store.commit(batch).await;
        hold!(
            matches!(answer, Err(StoreError::TooLarge { .. })),
            "a batch over the bounds was answered {answer:?}"
        );
    }
    Ok(())
}

pub(super) async fn reopened(harness: &dyn Harness) -> Result<Verdict, String> {
    let store = harness.fresh().await;
    for after in 0..20 {
        done(&store, Batch { puts: put("a", after).puts, ..append("log/a", after, &[after]) }).await?;
    }
    store.trim("log/a", 3).await.map_err(|error| error.to_string())?;
    let Some(store) = harness.crash_and_reopen(store).await else { return Ok(Verdict::Skipped) };
    let (documents, revision) = store.list("Thing").await.map_err(|error| error.to_string())?;
    hold!(revision == Revision(20), "20 commits were acknowledged, the store came back at {revision:?}");
    let written = documents.first().map(|stored| (stored.value.as_u64(), stored.revision));
    hold!(written == Some((Some(19), Revision(20))), "the document came back as {written:?}");
    let read = entries(&store, "log/a", 1).await?;
    let expected: Vec<(u64, u64)> = (3..=20).map(|seq| (seq, seq - 1)).collect();
    hold!(read == expected, "the log came back as {read:?}");
    let next = done(&store, append("log/a", 20, &[20])).await?;
    hold!(next == Revision(21), "the first commit after that made {next:?}");
    Ok(Verdict::Holds)
}
