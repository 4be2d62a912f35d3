//! What SQLite owes besides.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use crate::store::{
    Append, Batch, Change, Key, Revision, SqliteStore, Store, StoreError, Watched,
    conformance::{Harness, check},
};

struct Sqlite {
    directory: tempfile::TempDir,
    count: std::sync::atomic::AtomicU32,
}

impl Sqlite {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), count: 0.into() }
    }

    fn path(&self) -> std::path::PathBuf {
        let count = self.count.load(std::sync::atomic::Ordering::Relaxed);
        self.directory.path().join(format!("{count}.db"))
    }
}

#[async_trait]
impl Harness for Sqlite {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Arc::new(SqliteStore::open(&self.path()).unwrap())
    }

    async fn crash_and_reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        // What a crash leaves: the files as they are while the store is still open.
        let (from, to) = (self.path(), self.directory.path().join("crashed.db"));
        for end in ["", "-wal"] {
            let name = |path: &std::path::Path| format!("{}{end}", path.display());
            if std::path::Path::new(&name(&from)).exists() {
                std::fs::copy(name(&from), name(&to)).unwrap();
            }
        }
        drop(store);
        Some(Arc::new(SqliteStore::open(&to).unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sqlite_store_conforms() {
    let report = check(&Sqlite::new()).await;
    assert!(report.failed.is_empty() && report.skipped.is_empty(), "{report}");
}

#[tokio::test]
async fn a_store_that_is_open_cannot_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let first = SqliteStore::open(&path).unwrap();
    let second = SqliteStore::open(&path).unwrap_err();
    assert!(second.to_string().contains("another server has it open"), "{second}");
    drop(first);
    SqliteStore::open(&path).unwrap();
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = SqliteStore::open(&directory.path().join("none/a.db")).unwrap_err();
    assert!(missing.to_string().contains("the directory must exist"), "{missing}");
}

#[tokio::test]
async fn a_watch_after_reopening_shows_what_came_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let one = || Batch { puts: vec![(Key::new("Thing", "a"), 1.into())], ..Batch::default() };
    let store = SqliteStore::open(&path).unwrap();
    store.commit(one()).await.unwrap();
    store.commit(one()).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    let mut watch = store.watch(Revision(1)).await.unwrap();
    let Some(Watched::Commit { revision: Revision(2), changes }) = watch.next().await else { panic!() };
    assert!(matches!(&changes[..], [Change::Put(stored)] if stored.value == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_a_whole_store_of_one_moment_while_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    // Each commit writes the same number twice: a copy between the two would show.
    let both = |number: u64| {
        let puts = ["a", "b"].map(|name| (Key::new("Thing", name), number.into())).into();
        let entries = vec![number.into()];
        Batch {
            puts,
            appends: vec![Append { log: "log".into(), after: number - 1, entries }],
            ..Batch::default()
        }
    };
    store.commit(both(1)).await.unwrap();
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for number in 2..=200 {
                store.commit(both(number)).await.unwrap();
            }
        }
    });
    let mut last = 0;
    for copy in 0..5 {
        let (_, Revision(before)) = store.list("Thing").await.unwrap();
        let (from, to) = (path.clone(), directory.path().join(format!("copy-{copy}.db")));
        let copied = to.clone();
        tokio::task::spawn_blocking(move || SqliteStore::copy_file(&from, &copied)).await.unwrap().unwrap();
        SqliteStore::check_file(&to).unwrap();
        let copy = SqliteStore::open(&to).unwrap();
        let (things, Revision(at)) = copy.list("Thing").await.unwrap();
        assert!(at >= before && at >= last, "{at}: what was acknowledged before, {before}, is in it");
        assert!(things.iter().all(|thing| thing.value == at), "{things:?} at {at}");
        assert_eq!(copy.read("log", 1).await.unwrap().len() as u64, at);
        last = at;
    }
    writer.await.unwrap();
    let taken = SqliteStore::copy_file(&path, &directory.path().join("copy-0.db")).unwrap_err();
    assert!(taken.to_string().contains("already exists"), "{taken}");
    let missing =
        SqliteStore::copy_file(&directory.path().join("none"), &directory.path().join("x")).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
}

/// A store with 400 documents and as many entries, closed; the bytes of its file.
async fn filled(path: &std::path::Path) -> Vec<u8> {
    let store = SqliteStore::open(path).unwrap();
    for number in 0..20_u64 {
        let puts =
            (0..20).map(|n| (Key::new("Thing", format!("{number}-{n}")), "x".repeat(200).into())).collect();
        let appends = vec![Append { log: "log".into(), after: number, entries: vec![number.into()] }];
        store.commit(Batch { puts, appends, ..Batch::default() }).await.unwrap();
    }
    drop(store);
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn whatever_is_damaged_is_named_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let whole = filled(&path).await;
    let pages = whole.len() / 4096;
    assert!(pages > 20, "{pages} pages");
    let flipped = |at: usize, count: usize| {
        let mut bytes = whole.clone();
        bytes[at..at + count].iter_mut().for_each(|byte| *byte = !*byte);
        bytes
    };
    let mut cases = vec![
        ("no database".to_owned(), b"this is no database, and it is longer than a header".repeat(200)),
        ("the header's magic".to_owned(), flipped(0, 16)),
        ("cut in a page".to_owned(), whole[..whole.len() / 2 + 100].to_vec()),
        ("cut at a page".to_owned(), whole[..pages / 2 * 4096].to_vec()),
        (
            "pages of nothing at its end".to_owned(),
            [&whole[..pages / 2 * 4096], &vec![0; pages / 2 * 4096]].concat(),
        ),
    ];
    cases.extend((1..pages).map(|page| (format!("the head of page {page}"), flipped(page * 4096, 64))));
    for (what, bytes) in &cases {
        std::fs::write(&path, bytes).unwrap();
        for error in
            [SqliteStore::open(&path).expect_err(what), SqliteStore::check_file(&path).expect_err(what)]
        {
            assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error}");
            let text = error.to_string();
            assert!(text.contains("a.db") && text.contains("restore a backup"), "{what}: {text}");
        }
        assert_eq!(&std::fs::read(&path).unwrap(), bytes, "{what}: it is left as it is");
    }
    std::fs::write(&path, &whole).unwrap();
    SqliteStore::open(&path).expect("the whole one is none of them");
}

#[tokio::test]
async fn a_log_of_changes_that_is_damaged_costs_what_follows_and_never_what_came_before() {
    let directory = tempfile::tempdir().unwrap();
    let (path, crashed) = (directory.path().join("a.db"), directory.path().join("crashed.db"));
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..40_u64 {
        let puts = vec![(Key::new("Thing", "a"), number.into())];
        let appends = vec![Append { log: "log".into(), after: number, entries: vec![number.into()] }];
        store.commit(Batch { puts, appends, ..Batch::default() }).await.unwrap();
    }
    let (database, wal) =
        (std::fs::read(&path).unwrap(), std::fs::read(directory.path().join("a.db-wal")).unwrap());
    drop(store);
    let mut least = u64::MAX;
    for cut in [wal.len(), wal.len() - 1, wal.len() * 3 / 4, wal.len() / 2, 40, 32, 7, 0] {
        for garbage in [false, true] {
            let mut bytes = wal[..cut].to_vec();
            if garbage {
                bytes.extend(std::iter::repeat_n(0xa5, wal.len() - cut));
            }
            std::fs::write(&crashed, &database).unwrap();
            std::fs::write(directory.path().join("crashed.db-wal"), &bytes).unwrap();
            // A database file that was never written to is made anew by what its log holds, or by nothing.
            let store = SqliteStore::open(&crashed).unwrap();
            let (things, Revision(at)) = store.list("Thing").await.unwrap();
            let log = store.read("log", 1).await.unwrap();
            assert_eq!(log.len() as u64, at, "cut at {cut}: whole commits only");
            assert!(things.iter().all(|thing| thing.value == at - 1), "cut at {cut}: {things:?}");
            least = least.min(at);
            if cut == wal.len() {
                assert_eq!(at, 40);
            }
        }
    }
    assert_eq!(least, 0, "some cut loses all, or this would test nothing");
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let before = filled(&path).await;
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let newer = std::fs::read(&path).unwrap();
    assert_ne!(newer, before);
    let copy = directory.path().join("copy");
    for error in [
        SqliteStore::open(&path).map(drop).unwrap_err(),
        SqliteStore::check_file(&path).unwrap_err(),
        SqliteStore::copy_file(&path, &copy).unwrap_err(),
    ] {
        for part in ["a.db", "version 99", "newer program"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    assert_eq!(std::fs::read(&path).unwrap(), newer, "it is left as it is");
}

/// A store of the first version, as SQL that its program wrote.
const FIRST_VERSION: &str = include_str!("version-1.sql");

#[tokio::test]
async fn a_store_of_the_first_version_is_read_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(FIRST_VERSION).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let (networks, at) = store.list("Network").await.unwrap();
    assert_eq!((networks.len(), at), (1, Revision(3)));
    assert_eq!(networks[0].value["spec"]["cidr"], "192.168.99.0/24");
    let log = store.read("workflow/install", 1).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
    let appends = vec![Append { log: "workflow/install".into(), after: 2, entries: vec![3.into()] }];
    store.commit(Batch { appends, ..Batch::default() }).await.unwrap();
    let mut watch = store.watch(Revision(2)).await.unwrap();
    for revision in [3, 4] {
        let seen = watch.next().await;
        assert!(
            matches!(seen, Some(Watched::Commit { revision: Revision(at), .. }) if at == revision),
            "{seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_changes_does_not_grow_without_bound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let store = SqliteStore::open(&path).unwrap();
    let text = "x".repeat(64 << 10);
    for number in 0..200_u64 {
        let puts = vec![(Key::new("Thing", (number % 4).to_string()), format!("{number}{text}").into())];
        store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    }
    let wal = std::fs::metadata(directory.path().join("a.db-wal")).unwrap().len();
    assert!(wal < 8 << 20, "25 MiB were written, the log of changes has {wal} bytes");
}
