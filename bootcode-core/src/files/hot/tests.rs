use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{
    clock::{ManualClock, Timestamp},
    files::{FileName, ReadAt},
};

/// Files by name, each full of one byte; every read is counted.
#[derive(Default)]
struct Counted {
    files: Mutex<HashMap<String, (u8, u64, &'static str)>>,
    reads: Arc<AtomicU64>,
    opens: AtomicU64,
}

struct Content(u8, Arc<AtomicU64>);

impl ReadAt for Content {
    fn read_at(&self, buffer: &mut [u8], _: u64) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::Relaxed);
        if self.0 == b'!' {
            return Err(io::ErrorKind::InvalidData.into());
        }
        buffer.fill(self.0);
        Ok(buffer.len())
    }
}

#[async_trait]
impl FileSource for Counted {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        self.opens.fetch_add(1, Ordering::Relaxed);
        let file = self.files.lock().unwrap().get(request.name.as_str()).copied();
        Ok(file.map(|(byte, len, etag)| Blob {
            len,
            etag: etag.to_owned(),
            modified: Some(Timestamp::UNIX_EPOCH),
            body: Body::Reader(Arc::new(Content(byte, Arc::clone(&self.reads)))),
            sealed: None,
        }))
    }
}

struct Bed {
    source: Arc<Counted>,
    clock: Arc<ManualClock>,
    hot: Hot,
}

impl Bed {
    fn keeping(bytes: u64) -> Self {
        let (source, clock) =
            (Arc::new(Counted::default()), Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)));
        clock.advance(Duration::from_secs(60));
        let hot = Hot::new(Arc::clone(&source) as _, Arc::clone(&clock) as _, bytes);
        Self { source, clock, hot }
    }

    fn file(&self, name: &str, byte: u8, len: u64, etag: &'static str) {
        self.source.files.lock().unwrap().insert(name.to_owned(), (byte, len, etag));
    }

    async fn open(&self, name: &str) -> Result<Option<Blob>, FileError> {
        let name = FileName::normalise(name.as_bytes()).unwrap();
        self.hot.open(&FileRequest { name, peer: [127, 0, 0, 1].into() }).await
    }

    /// The first byte, and how often the source was read for it.
    async fn first(&self, name: &str) -> (u8, u64) {
        let before = self.source.reads.load(Ordering::Relaxed);
        let blob = self.open(name).await.unwrap().unwrap();
        let mut byte = [0];
        blob.read_full(&mut byte, 0).unwrap();
        (byte[0], self.source.reads.load(Ordering::Relaxed) - before)
    }
}

#[tokio::test]
async fn a_file_is_read_once_until_it_changes() {
    let bed = Bed::keeping(1000);
    bed.file("x", b'a', 100, "1");
    assert_eq!(bed.first("x").await, (b'a', 1));
    assert_eq!(bed.first("x").await, (b'a', 0));
    let old = bed.open("x").await.unwrap().unwrap();
    bed.file("x", b'b', 100, "2");
    assert_eq!(bed.first("x").await, (b'b', 1), "another version");
    let mut whole = [0; 100];
    old.read_full(&mut whole, 0).unwrap();
    assert_eq!(whole, [b'a'; 100], "who had opened the old one keeps it whole");
    bed.source.files.lock().unwrap().clear();
    assert!(bed.open("x").await.unwrap().is_none(), "what is gone is not served from memory");
}

#[tokio::test]
async fn a_thousand_at_once_read_it_once() {
    let bed = Arc::new(Bed::keeping(1000));
    bed.file("x", b'a', 100, "1");
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let bed = Arc::clone(&bed);
        asking.spawn(async move { bed.open("x").await.unwrap().unwrap().len });
    }
    assert!(asking.join_all().await.into_iter().all(|len| len == 100));
    assert_eq!(bed.source.reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_least_recently_asked_goes_when_the_bound_is_reached() {
    let bed = Bed::keeping(250);
    for (name, byte) in [("a", b'a'), ("b", b'b')] {
        bed.file(name, byte, 100, "1");
        assert_eq!(bed.first(name).await, (byte, 1));
    }
    assert_eq!(bed.first("a").await, (b'a', 0));
    bed.file("c", b'c', 100, "1");
    assert_eq!(bed.first("c").await, (b'c', 1));
    assert_eq!(bed.first("a").await, (b'a', 0));
    assert_eq!(bed.first("b").await, (b'b', 1), "it went for c");
    assert!(bed.hot.kept.lock().unwrap().bytes <= 250);
    bed.file("large", b'l', 251, "1");
    for _ in 0..2 {
        assert_eq!(bed.first("large").await, (b'l', 1), "larger than all that is kept");
    }
}

#[tokio::test]
async fn a_file_that_was_written_just_now_is_not_kept() {
    let bed = Bed::keeping(1000);
    bed.file("x", b'a', 100, "1");
    let soon = Hot::new(
        Arc::clone(&bed.source) as _,
        Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH + Duration::from_secs(1))),
        1000,
    );
    let bed = Bed { hot: soon, ..bed };
    assert_eq!((bed.first("x").await, bed.first("x").await), ((b'a', 1), (b'a', 1)));
}

#[tokio::test]
async fn what_the_source_said_is_believed_as_long_as_it_was_told_and_no_longer() {
    let bed = Bed::keeping(1000);
    let bed = Bed { hot: bed.hot.clone().trusting(Duration::from_millis(20)), ..bed };
    let opens = || bed.source.opens.load(Ordering::Relaxed);
    bed.file("x", b'a', 100, "1");
    assert_eq!((bed.first("x").await, opens()), ((b'a', 1), 1));
    bed.clock.advance(Duration::from_millis(19));
    bed.file("x", b'b', 100, "2");
    assert_eq!((bed.first("x").await, opens()), ((b'a', 0), 1), "another version came just now");
    bed.clock.advance(Duration::from_millis(1));
    assert_eq!((bed.first("x").await, opens()), ((b'b', 1), 2));
    let of_disk = bed.open("x").await.unwrap().unwrap();
    assert_eq!((of_disk.etag.as_str(), of_disk.modified, opens()), ("2", Some(Timestamp::UNIX_EPOCH), 2));
    bed.source.files.lock().unwrap().clear();
    bed.clock.advance(Duration::from_millis(20));
    for asked in [3, 4] {
        assert!(bed.open("x").await.unwrap().is_none(), "what is gone is not served from memory");
        assert_eq!(opens(), asked);
    }
    bed.file("x", b'b', 100, "2");
    assert_eq!((bed.first("x").await, opens()), ((b'b', 0), 5), "it is there again as it was");
    bed.clock.set(Timestamp::UNIX_EPOCH + Duration::from_secs(30));
    assert_eq!((bed.first("x").await, opens()), ((b'b', 0), 6), "a clock that was set back tells nothing");
}

#[tokio::test]
async fn what_could_not_be_read_is_said_and_tried_again() {
    let bed = Bed::keeping(1000);
    bed.file("x", b'!', 100, "1");
    assert!(matches!(bed.open("x").await, Err(FileError::Io { .. })));
    bed.file("x", b'a', 100, "1");
    assert_eq!(bed.first("x").await, (b'a', 1));
    assert_eq!(bed.hot.kept.lock().unwrap().bytes, 100);
}

#[tokio::test]
async fn names_are_bounded_too() {
    let bed = Bed::keeping(1000);
    for n in 0..limits::HOT_FILES + 10 {
        let name = n.to_string();
        bed.file(&name, b'a', 0, "1");
        assert!(bed.open(&name).await.unwrap().is_some());
    }
    assert_eq!(bed.hot.kept.lock().unwrap().files.len(), limits::HOT_FILES);
}

#[tokio::test]
async fn sources_side_by_side_share_the_bound_and_no_name() {
    let (one, other) = (Bed::keeping(150), Bed::keeping(150));
    one.file("x", b'a', 100, "1");
    other.file("x", b'b', 100, "1");
    let other = Bed { hot: one.hot.beside(Arc::clone(&other.source) as _), ..other };
    assert_eq!((one.first("x").await, other.first("x").await), ((b'a', 1), (b'b', 1)));
    assert_eq!(other.first("x").await, (b'b', 0));
    assert_eq!(one.hot.kept.lock().unwrap().bytes, 100, "there is room for one of them");
}

#[tokio::test]
async fn a_larger_file_in_memory_is_one_of_the_kernel_s_that_nobody_can_change() {
    use std::os::unix::fs::FileExt as _;

    let bed = Bed::keeping(1 << 20);
    let len = limits::HOT_SEALED_BYTES;
    bed.file("large", b'l', len, "1");
    bed.file("small", b's', len - 1, "1");
    assert!(bed.open("small").await.unwrap().unwrap().sealed.is_none());
    let blob = bed.open("large").await.unwrap().unwrap();
    let Body::Memory(bytes) = &blob.body else { panic!("it is in memory") };
    assert!(bytes.len() as u64 == len && bytes.iter().all(|byte| *byte == b'l'));
    let file = blob.sealed.unwrap();
    let mut content = vec![0; bytes.len()];
    file.read_exact_at(&mut content, 0).unwrap();
    assert_eq!(content, bytes[..]);
    assert_eq!(file.metadata().unwrap().len(), len);
    assert!(
        file.write_all_at(b"x", 0).is_err() && file.set_len(0).is_err() && file.set_len(len + 1).is_err()
    );
    let again = bed.open("large").await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&again.sealed.unwrap(), &file), "one for all who ask");
}
