//! Streams' newest bytes, gathered in write-ahead logs until they are worth an opening of the stream's own file.
//!
//! ```text
//! append_all -> .wal ---full---> .wal.settling --some streams a round--> a file each; then .wal.settling goes
//! ```

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::wal::{Tail, Wal};
use crate::limits::JOURNAL_WAL_BYTES;

const ACTIVE: &str = ".wal";
const SETTLING: &str = ".wal.settling";
/// Streams that are settled in a round at least; twice those appended to where that is more, so that the one log is empty before the
/// other is full.
const ROUND: usize = 64;

/// The logs of one directory, and the files of its streams.
#[derive(Debug)]
pub(super) struct Gathered {
    root: PathBuf,
    /// Full at so many bytes.
    full: u64,
    active: Option<Wal>,
    settling: Option<Settling>,
    /// Logs that were full so far: tells one from the next.
    turns: u64,
}

/// A log whose streams go to their own files.
#[derive(Debug)]
struct Settling {
    wal: Wal,
    /// Which of the logs it is.
    number: u64,
    /// Those that are still to come.
    queue: Vec<Box<str>>,
    /// Whether their files are being put on the disk now.
    syncing: bool,
}

impl Gathered {
    /// Reads what logs there are.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let mut gathered =
            Self { root: root.to_owned(), full: JOURNAL_WAL_BYTES, active: None, settling: None, turns: 0 };
        let existing = |name| Some(root.join(name)).filter(|path| path.exists());
        let earlier = existing(SETTLING).map(|path| Wal::open(&path)).transpose()?;
        if let Some((mut wal, _)) = earlier {
            if let Some(path) = existing(ACTIVE) {
                let (active, settled) = Wal::open(&path)?;
                settled.iter().for_each(|stream| wal.forget(stream));
                gathered.active = Some(active);
            }
            gathered.settling = Some(Settling::of(wal, 0));
        } else if let Some(path) = existing(ACTIVE) {
            gathered.active = Some(Wal::open(&path)?.0);
        }
        Ok(gathered)
    }

    /// A file of its own for each stream.
    pub(super) fn file(&self, stream: &str) -> PathBuf {
        self.root.join(format!("{stream}{}", super::files::ENDING))
    }

    /// Appends to many streams by one write; their lengths after that.
    pub(super) fn append(&mut self, appends: &[(String, Vec<u8>)]) -> io::Result<Vec<u64>> {
        let more: usize = appends.iter().map(|(_, bytes)| bytes.len()).sum();
        if self.active.as_ref().is_some_and(|active| active.bytes() + more as u64 > self.full) {
            self.turn()?;
        }
        let (mut at, mut ends) = (Vec::with_capacity(appends.len()), HashMap::new());
        for (stream, bytes) in appends {
            // A stream may come twice.
            let length = ends.get(&**stream).copied().map_or_else(|| self.len(stream), Ok)?;
            ends.insert(&**stream, length + bytes.len() as u64);
            at.push(length);
        }
        let records: Vec<(&str, u64, &[u8])> = appends
            .iter()
            .zip(&at)
            .filter(|((_, bytes), _)| !bytes.is_empty())
            .map(|((stream, bytes), at)| (&**stream, *at, &**bytes))
            .collect();
        self.active()?.append(&records)?;
        if let Err(error) = self.settle_some(ROUND.max(appends.len() * 2)) {
            tracing::warn!(%error, journal = %self.root.display(), "streams stay in the journal's log; trying again");
        }
        Ok(appends.iter().zip(at).map(|((_, bytes), at)| at + bytes.len() as u64).collect())
    }

    fn active(&mut self) -> io::Result<&mut Wal> {
        let active = match self.active.take() {
            Some(active) => active,
            None => Wal::open(&self.root.join(ACTIVE))?.0,
        };
        Ok(self.active.insert(active))
    }

    /// A full log makes room. The one before it has to be gone then.
    fn turn(&mut self) -> io::Result<()> {
        self.settle_some(usize::MAX)?;
        if let Some(number) = self.settling.as_ref().map(|settling| settling.number) {
            let synced = sync(&self.root);
            self.synced(number, synced)?;
        }
        if let Some(mut wal) = self.active.take() {
            let turned = wal.sync().and_then(|()| wal.rename(&self.root.join(SETTLING)));
            if turned.is_err() {
                self.active = Some(wal);
                return turned;
            }
            self.turns += 1;
            self.settling = Some(Settling::of(wal, self.turns));
        }
        Ok(())
    }

    /// Brings some streams of the earlier log to their files.
    fn settle_some(&mut self, count: usize) -> io::Result<()> {
        let Some(mut settling) = self.settling.take() else { return Ok(()) };
        let mut result = Ok(());
        for _ in 0..count.min(settling.queue.len()) {
            let Some(stream) = settling.queue.pop() else { break };
            result = self.bring(&mut settling.wal, &stream);
            if result.is_err() {
                settling.queue.push(stream);
                break;
            }
        }
        self.settling = Some(settling);
        result
    }

    /// The earlier log's number where all its streams came to their files. Then [`sync`] is owed, which takes long and needs nothing of
    /// this, and [`Self::synced`] with the number.
    pub(super) fn owes_sync(&mut self) -> Option<u64> {
        let settling =
            self.settling.as_mut().filter(|settling| settling.queue.is_empty() && !settling.syncing)?;
        settling.syncing = true;
        Some(settling.number)
    }

    /// The earlier log goes, once its streams' files are on the disk. Nothing is said of another log: a full one may have gone meanwhile,
    /// and the files of the next were written after this sync began.
    pub(super) fn synced(&mut self, number: u64, result: io::Result<()>) -> io::Result<()> {
        let Some(settling) = self.settling.as_mut().filter(|settling| settling.number == number) else {
            return Ok(());
        };
        settling.syncing = false;
        result?;
        if settling.queue.is_empty() {
            settling.wal.remove()?;
            self.settling = None;
        }
        Ok(())
    }

    /// Brings a stream's bytes from a log to its file. In a crash some of them may have come there before.
    fn bring(&self, wal: &mut Wal, stream: &str) -> io::Result<()> {
        let Some(tail) = wal.tail(stream).filter(|tail| !tail.settled) else { return Ok(()) };
        let path = self.file(stream);
        let mut file = below(&path, || OpenOptions::new().create(true).append(true).open(&path))?;
        let have = file.metadata()?.len();
        let bytes = wal.read(&tail, have..u64::MAX)?;
        if let Err(error) = file.write_all(&bytes) {
            // A part of it would be taken for the whole.
            let _ = file.set_len(have);
            return Err(error);
        }
        wal.mark_settled(stream);
        Ok(())
    }

    /// Has all of a stream in its file, on the disk, and says so: whoever changes that file by itself calls this before.
    pub(super) fn settle(&mut self, stream: &str) -> io::Result<()> {
        let mut settling = self.settling.take();
        let result = self.settle_in(stream, settling.as_mut().map(|settling| &mut settling.wal));
        self.settling = settling;
        result
    }

    fn settle_in(&mut self, stream: &str, mut earlier: Option<&mut Wal>) -> io::Result<()> {
        let here = |wal: &Wal| wal.tail(stream).is_some();
        if !self.active.as_ref().is_some_and(here) && !earlier.as_deref().is_some_and(here) {
            return Ok(());
        }
        if let Some(earlier) = earlier.as_deref_mut() {
            self.bring(earlier, stream)?;
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => Wal::open(&self.root.join(ACTIVE))?.0,
        };
        let done = self.bring(&mut active, stream).and_then(|()| {
            File::open(self.file(stream))?.sync_all()?;
            active.append(&[(stream, 0, &[])])?;
            active.sync()
        });
        self.active = Some(active);
        done?;
        if let Some(earlier) = earlier {
            earlier.forget(stream);
        }
        Ok(())
    }

    fn logs(&self) -> impl Iterator<Item = &Wal> {
        self.settling.iter().map(|settling| &settling.wal).chain(&self.active)
    }

    fn tails(&self, stream: &str) -> impl Iterator<Item = (&Wal, Tail)> {
        self.logs().filter_map(|wal| Some((wal, wal.tail(stream)?))).filter(|(_, tail)| !tail.settled)
    }

    /// A stream's length; 0 where there is none.
    pub(super) fn len(&self, stream: &str) -> io::Result<u64> {
        match self.tails(stream).last() {
            Some((_, tail)) => Ok(tail.end()),
            None => Ok(existing(fs::metadata(self.file(stream)))?.map_or(0, |metadata| metadata.len())),
        }
    }

    /// At most `max` bytes of a stream from `from` on.
    pub(super) fn read(&self, stream: &str, from: u64, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(mut file) = existing(File::open(self.file(stream)))? {
            file.seek(SeekFrom::Start(from))?;
            file.take(max as u64).read_to_end(&mut bytes)?;
        }
        let to = from.saturating_add(max as u64);
        for (wal, tail) in self.tails(stream) {
            bytes.extend(wal.read(&tail, from.saturating_add(bytes.len() as u64)..to)?);
        }
        Ok(bytes)
    }

    /// The streams in the logs whose names begin so.
    pub(super) fn streams(&self, prefix: &str) -> BTreeSet<String> {
        let of = |wal: &Wal| -> Vec<String> {
            let mine = wal.streams().filter(|(stream, tail)| !tail.settled && stream.starts_with(prefix));
            mine.map(|(stream, _)| stream.to_owned()).collect()
        };
        self.logs().flat_map(of).collect()
    }
}

impl Settling {
    fn of(wal: Wal, number: u64) -> Self {
        let queue = wal.streams().map(|(stream, _)| stream.into()).collect();
        Self { wal, number, queue, syncing: false }
    }
}

/// Has all files of the directory's file system on the disk: of thousands, each alone would be as many flushes.
pub(super) fn sync(root: &Path) -> io::Result<()> {
    Ok(nix::unistd::syncfs(File::open(root)?)?)
}

/// Opens a file to write; makes the directories above it where they are missing.
pub(super) fn below(path: &Path, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            open()
        }
        opened => opened,
    }
}

pub(super) fn existing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(streams: std::ops::Range<u32>, text: &str) -> Vec<(String, Vec<u8>)> {
        streams.map(|n| (format!("timeline/m{n}"), format!("{text} of {n}\n").into_bytes())).collect()
    }

    fn text(gathered: &Gathered, n: u32) -> String {
        String::from_utf8(gathered.read(&format!("timeline/m{n}"), 0, 10_000).unwrap()).unwrap()
    }

    /// A log is full after a few rounds, its streams go to their files some at a time, and a start at any moment finds the same.
    #[test]
    fn every_stream_is_whole_at_every_moment_and_after_every_start() {
        let directory = tempfile::tempdir().unwrap();
        let mut gathered = Gathered::open(directory.path()).unwrap();
        gathered.full = 20_000;
        let mut wanted = vec![String::new(); 200];
        let (mut turned, mut files) = (0, 0);
        for round in 0..60 {
            let first = round * 7 % 100;
            let appends = lines(first..first + 100, &format!("round {round}"));
            let lengths = gathered.append(&appends).unwrap();
            for ((n, (_, bytes)), length) in (first..).zip(&appends).zip(lengths) {
                let whole = &mut wanted[n as usize];
                whole.push_str(str::from_utf8(bytes).unwrap());
                assert_eq!(length, whole.len() as u64);
            }
            if let Some(number) = gathered.owes_sync() {
                let result = sync(directory.path());
                gathered.synced(number, result).unwrap();
                turned += 1;
            }
            // As after a crash between any two rounds: what was settled before is read again.
            let started = Gathered::open(directory.path()).unwrap();
            for (n, whole) in (0..).zip(&wanted) {
                assert_eq!(&text(&gathered, n), whole, "round {round}, machine {n}");
                assert_eq!(&text(&started, n), whole, "round {round}, machine {n}, after a start");
                assert_eq!(started.len(&format!("timeline/m{n}")).unwrap(), whole.len() as u64);
            }
            let part = started.read("timeline/m50", 30, 25).unwrap();
            assert_eq!(part, wanted[50].as_bytes().iter().skip(30).take(25).copied().collect::<Vec<_>>());
            if round % 3 == 0 {
                gathered = Gathered { full: 20_000, ..started };
            }
            files = fs::read_dir(directory.path().join("timeline")).map_or(0, Iterator::count);
        }
        assert!(turned >= 3 && files > 100, "{turned} logs went to {files} files");
    }

    #[test]
    fn a_torn_tail_is_cut_off_and_what_follows_is_appended_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join(ACTIVE);
        let mut gathered = Gathered::open(directory.path()).unwrap();
        gathered.append(&lines(0..3, "first")).unwrap();
        let whole = fs::metadata(&log).unwrap().len();
        gathered.append(&lines(1..2, "second")).unwrap();
        let bytes = fs::read(&log).unwrap();
        for end in whole..bytes.len() as u64 {
            fs::write(&log, &bytes[..end as usize]).unwrap();
            let mut started = Gathered::open(directory.path()).unwrap();
            assert_eq!(text(&started, 1), "first of 1\n", "{end} bytes");
            started.append(&lines(1..2, "third")).unwrap();
            assert_eq!(text(&Gathered::open(directory.path()).unwrap(), 1), "first of 1\nthird of 1\n");
        }
        for at in whole as usize..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            fs::write(&log, &wrong).unwrap();
            assert_eq!(
                text(&Gathered::open(directory.path()).unwrap(), 1),
                "first of 1\n",
                "byte {at} is wrong"
            );
        }
    }

    #[test]
    fn what_was_replaced_or_removed_does_not_come_back_with_a_start() {
        let directory = tempfile::tempdir().unwrap();
        for turned in [false, true] {
            let mut gathered = Gathered::open(directory.path()).unwrap();
            gathered.append(&lines(0..200, "old")).unwrap();
            if turned {
                gathered.turn().unwrap();
                gathered.settle_some(100).unwrap();
            }
            gathered.append(&lines(0..200, "older")).unwrap();
            for n in 0..200 {
                let stream = format!("timeline/m{n}");
                gathered.settle(&stream).unwrap();
                match n % 2 {
                    0 => fs::write(gathered.file(&stream), "new\n").unwrap(),
                    _ => fs::remove_file(gathered.file(&stream)).unwrap(),
                }
            }
            gathered.append(&lines(0..2, "last")).unwrap();
            for gathered in [&gathered, &Gathered::open(directory.path()).unwrap()] {
                for n in 0..200 {
                    let wanted = match n {
                        0 => "new\nlast of 0\n",
                        1 => "last of 1\n",
                        _ if n % 2 == 0 => "new\n",
                        _ => "",
                    };
                    assert_eq!(text(gathered, n), wanted, "{n}");
                }
                assert_eq!(gathered.streams("timeline/").len(), 2);
            }
            for n in 0..200 {
                let stream = format!("timeline/m{n}");
                gathered.settle(&stream).unwrap();
                let _ = fs::remove_file(gathered.file(&stream));
            }
        }
    }

    /// A slow sync of one log ends after the log was done away with by another, and its streams' files are not those of the log after it.
    #[test]
    fn a_late_sync_of_one_log_does_not_remove_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let mut gathered = Gathered::open(directory.path()).unwrap();
        let turn = |gathered: &mut Gathered, text: &str| {
            gathered.append(&lines(0..3, text)).unwrap();
            gathered.turn().unwrap();
            gathered.settle_some(usize::MAX).unwrap();
        };
        turn(&mut gathered, "first");
        let late = gathered.owes_sync().unwrap();
        assert_eq!(gathered.owes_sync(), None, "one at a time");
        turn(&mut gathered, "second");
        for result in [Err(io::Error::other("slow and broken")), Ok(())] {
            let _ = gathered.synced(late, result);
            assert!(
                directory.path().join(SETTLING).exists(),
                "the second log's files are not on the disk yet"
            );
        }
        let own = gathered.owes_sync().unwrap();
        gathered.synced(late, Ok(())).unwrap();
        assert_eq!(gathered.owes_sync(), None, "its own sync is still under way");
        gathered.synced(own, Ok(())).unwrap();
        assert!(!directory.path().join(SETTLING).exists());
        assert_eq!(text(&gathered, 1), "first of 1\nsecond of 1\n");
    }

    /// Otherwise a start would read it once more, also what was replaced meanwhile.
    #[test]
    fn a_log_that_cannot_be_removed_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut gathered = Gathered::open(directory.path()).unwrap();
        gathered.append(&lines(0..3, "first")).unwrap();
        gathered.turn().unwrap();
        gathered.settle_some(usize::MAX).unwrap();
        let log = directory.path().join(SETTLING);
        fs::remove_file(&log).unwrap();
        fs::create_dir(&log).unwrap();
        let number = gathered.owes_sync().unwrap();
        gathered.synced(number, Ok(())).unwrap_err();
        fs::remove_dir(&log).unwrap();
        fs::write(&log, "").unwrap();
        let number = gathered.owes_sync().unwrap();
        gathered.synced(number, Ok(())).unwrap();
        assert!(!log.exists());
        assert_eq!(gathered.owes_sync(), None);
    }

    #[test]
    fn a_stream_that_comes_twice_has_both_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut gathered = Gathered::open(directory.path()).unwrap();
        let two = ["one\n", "two\n"].map(|text| ("timeline/m1".to_owned(), text.as_bytes().to_vec()));
        assert_eq!(gathered.append(&two).unwrap(), [4, 8]);
        assert_eq!(text(&gathered, 1), "one\ntwo\n");
        assert_eq!(text(&Gathered::open(directory.path()).unwrap(), 1), "one\ntwo\n");
    }
}
