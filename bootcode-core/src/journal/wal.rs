//! A write-ahead log: what was appended last to many streams, in one file, so that a round of appends is one write however many streams it
//! is for.
//!
//! A record is `checksum u32, previous u32, at u64, data u32, name u16`, little-endian, then the name and the data. `at` is the length that
//! the stream had before; `previous` is where the stream's record before this one begins, or [`NONE`]. A record without data says that the
//! stream's earlier ones are in its own file.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

const HEADER: usize = 22;
/// No record.
const NONE: u32 = u32::MAX;
/// Read at once, so that most records are read with one call.
const GUESS: usize = 2048;

/// Where a stream stands in a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    /// The stream's bytes that the log has.
    start: u64,
    end: u64,
    /// Its last record.
    last: u32,
    /// Whether its own file has them, too.
    pub(super) settled: bool,
}

impl Tail {
    /// The stream's length with what is here.
    pub(super) fn end(&self) -> u64 {
        self.end
    }
}

/// One log. Its index holds some 60 bytes for each stream in it, its name apart.
#[derive(Debug)]
pub(super) struct Wal {
    file: File,
    path: PathBuf,
    bytes: u32,
    tails: HashMap<Box<str>, Tail, foldhash::fast::RandomState>,
}

/// A record's fields before its name.
struct Header {
    checksum: u32,
    previous: u32,
    at: u64,
    data: u32,
    name: u16,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            checksum: u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
            previous: u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?),
            at: u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?),
            data: u32::from_le_bytes(bytes.get(16..20)?.try_into().ok()?),
            name: u16::from_le_bytes(bytes.get(20..HEADER)?.try_into().ok()?),
        })
    }

    /// Bytes after the header.
    fn rest(&self) -> usize {
        usize::from(self.name) + self.data as usize
    }
}

impl Wal {
    /// Reads a log, or begins one. What follows the last whole record was being written in a crash and is cut off. Also the streams that
    /// are told to be settled here, whose records in an earlier log count no more.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Box<str>>)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut wal = Self { file, path: path.to_owned(), bytes: 0, tails: HashMap::default() };
        let mut settled = Vec::new();
        let mut reader = BufReader::with_capacity(1 << 20, wal.file.try_clone()?);
        let length = wal.file.metadata()?.len();
        let (mut head, mut rest) = ([0; HEADER], Vec::new());
        loop {
            let left = length.saturating_sub(u64::from(wal.bytes));
            if left < HEADER as u64 {
                break;
            }
            reader.read_exact(&mut head)?;
            let Some(header) = Header::read(&head) else { break };
            if header.rest() as u64 > left - HEADER as u64 {
                break;
            }
            rest.resize(header.rest(), 0);
            reader.read_exact(&mut rest)?;
            let name = rest.get(..usize::from(header.name)).and_then(|name| str::from_utf8(name).ok());
            let (true, Some(name)) = (checksum(&head, &rest) == header.checksum, name) else { break };
            if header.data == 0 {
                wal.tails.remove(name);
                settled.push(name.into());
            } else {
                wal.note(name, header.at, header.data, wal.bytes);
            }
            wal.bytes += (HEADER + rest.len()) as u32;
        }
        wal.file.set_len(u64::from(wal.bytes))?;
        Ok((wal, settled))
    }

    /// Its length.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.bytes)
    }

    /// Where a stream stands, if it is here.
    pub(super) fn tail(&self, stream: &str) -> Option<Tail> {
        self.tails.get(stream).copied()
    }

    /// The streams that are here.
    pub(super) fn streams(&self) -> impl Iterator<Item = (&str, &Tail)> {
        self.tails.iter().map(|(stream, tail)| (&**stream, tail))
    }

    /// Appends to streams, each of which has the length beside it, by one write.
    pub(super) fn append(&mut self, appends: &[(&str, u64, &[u8])]) -> io::Result<()> {
        let mut bytes =
            Vec::with_capacity(appends.iter().map(|(name, _, data)| HEADER + name.len() + data.len()).sum());
        // Of a stream that comes twice, the second follows the first.
        let mut lasts: HashMap<&str, u32, foldhash::fast::RandomState> = HashMap::default();
        let mut noted = Vec::with_capacity(appends.len());
        for &(stream, at, data) in appends {
            let place = u64::from(self.bytes) + bytes.len() as u64;
            let (Ok(place), Ok(length), Ok(name)) =
                (u32::try_from(place), u32::try_from(data.len()), u16::try_from(stream.len()))
            else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "more at once than a log holds"));
            };
            let last = lasts.get(stream).copied().or_else(|| self.tails.get(stream).map(|tail| tail.last));
            let start = bytes.len();
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&last.unwrap_or(NONE).to_le_bytes());
            bytes.extend_from_slice(&at.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&name.to_le_bytes());
            bytes.extend_from_slice(stream.as_bytes());
            bytes.extend_from_slice(data);
            let sum = checksum(&bytes[start..start + HEADER], &bytes[start + HEADER..]);
            bytes[start..start + 4].copy_from_slice(&sum.to_le_bytes());
            if appends.len() > 1 {
                lasts.insert(stream, place);
            }
            noted.push((place, length));
        }
        let end = u32::try_from(u64::from(self.bytes) + bytes.len() as u64)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "more at once than a log holds"))?;
        // Where it fails half-way, the next is written over it.
        self.file.write_all_at(&bytes, u64::from(self.bytes))?;
        self.bytes = end;
        for (&(stream, at, _), (place, length)) in appends.iter().zip(noted) {
            match length {
                0 => drop(self.tails.remove(stream)),
                _ => self.note(stream, at, length, place),
            }
        }
        Ok(())
    }

    fn note(&mut self, stream: &str, at: u64, length: u32, place: u32) {
        let end = at + u64::from(length);
        match self.tails.get_mut(stream) {
            Some(tail) => (tail.end, tail.last) = (end, place),
            None => {
                self.tails.insert(stream.into(), Tail { start: at, end, last: place, settled: false });
            }
        }
    }

    /// Takes a stream as one whose bytes are in its own file; its records say nothing any more.
    pub(super) fn forget(&mut self, stream: &str) {
        self.tails.remove(stream);
    }

    /// The same, and remembers that it was here: they are read again after a crash.
    pub(super) fn mark_settled(&mut self, stream: &str) {
        if let Some(tail) = self.tails.get_mut(stream) {
            tail.settled = true;
        }
    }

    /// The stream's bytes in this range, as far as they are here.
    pub(super) fn read(&self, tail: &Tail, range: Range<u64>) -> io::Result<Vec<u8>> {
        let (from, to) = (range.start.max(tail.start), range.end.min(tail.end));
        let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        let (mut place, mut record) = (tail.last, vec![0; GUESS]);
        // From the last record back to the first that is asked for.
        while place != NONE && !bytes.is_empty() {
            let got = read_at_most(&self.file, &mut record[..GUESS], u64::from(place))?;
            let Some(header) = Header::read(&record[..got]) else { return Err(damaged(&self.path, place)) };
            let whole = HEADER + header.rest();
            if whole > got {
                record.resize(whole.max(GUESS), 0);
                self.file.read_exact_at(&mut record[..whole], u64::from(place))?;
            }
            if checksum(&record[..HEADER], &record[HEADER..whole]) != header.checksum {
                return Err(damaged(&self.path, place));
            }
            let data = &record[HEADER + usize::from(header.name)..whole];
            let end = header.at + u64::from(header.data);
            let (a, b) = (header.at.max(from), end.min(to));
            if a < b {
                // Both are inside the range, whose length fits.
                bytes[(a - from) as usize..(b - from) as usize]
                    .copy_from_slice(&data[(a - header.at) as usize..(b - header.at) as usize]);
            }
            if header.at <= from {
                break;
            }
            place = header.previous;
        }
        Ok(bytes)
    }

    /// Has everything on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Gives the file another name.
    pub(super) fn rename(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Removes the file.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Of all but itself.
fn checksum(header: &[u8], rest: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(header.get(4..).unwrap_or_default());
    sum.update(rest);
    sum.finalize()
}

fn read_at_most(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], at + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn damaged(path: &Path, place: u32) -> io::Error {
    let message =
        format!("{} is damaged at byte {place}; put it aside while the server is stopped", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}
