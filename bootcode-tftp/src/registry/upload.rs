//! Blobs that are being uploaded.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{Digest, RegistryError};
use crate::limits;

/// The uploads of one layout that are under way. Bounded; who does nothing for [`limits::UPLOAD_IDLE`] makes room for another.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: Mutex<BTreeMap<String, Arc<Upload>>>,
}

/// One blob as far as it came. Its file goes when the last one who holds it is gone.
#[derive(Debug)]
pub(super) struct Upload {
    repository: String,
    busy: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Option<NamedTempFile>,
    hash: Sha256,
    len: u64,
    unsynced: u64,
    used: Instant,
}

/// The right to write to an upload, which one request has at a time.
#[derive(Debug)]
pub(super) struct Writing(pub(super) Arc<Upload>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.state().used = Instant::now();
        self.0.busy.store(false, Ordering::Release);
    }
}

impl Uploads {
    /// Begins one into `file`, whose name is its identity.
    ///
    /// # Errors
    /// [`RegistryError::TooManyUploads`].
    pub(super) fn begin(&self, repository: &str, file: NamedTempFile) -> Result<String, RegistryError> {
        let name = file.path().file_name().unwrap_or_default();
        let id = name.to_string_lossy().into_owned();
        let now = Instant::now();
        let state = State { file: Some(file), hash: Sha256::new(), len: 0, unsynced: 0, used: now };
        let upload = Upload {
            repository: repository.to_owned(),
            busy: AtomicBool::new(false),
            state: Mutex::new(state),
        };
        self.forget_idle();
        let mut open = self.open();
        if open.len() >= limits::UPLOADS {
            return Err(RegistryError::TooManyUploads);
        }
        open.insert(id.clone(), Arc::new(upload));
        Ok(id)
    }

    /// The upload of that identity, for one request to write to.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`], [`RegistryError::UploadInvalid`] where another request writes to it.
    pub(super) fn write(&self, repository: &str, id: &str) -> Result<Writing, RegistryError> {
        let upload = self.find(repository, id)?;
        if upload.busy.swap(true, Ordering::AcqRel) {
            let why = "another request is writing to this upload".to_owned();
            return Err(RegistryError::UploadInvalid { why });
        }
        Ok(Writing(upload))
    }

    /// The upload of that identity.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub(super) fn find(&self, repository: &str, id: &str) -> Result<Arc<Upload>, RegistryError> {
        let open = self.open();
        let upload = open.get(id).filter(|upload| upload.repository == repository);
        upload.cloned().ok_or_else(|| RegistryError::UploadUnknown { id: id.chars().take(64).collect() })
    }

    /// Forgets those that nobody goes on with; what came of them goes, too.
    pub(super) fn forget_idle(&self) {
        let now = Instant::now();
        self.open().retain(|_, upload| !upload.is_forgotten(now));
    }

    /// Whether there is any.
    pub(super) fn are_open(&self) -> bool {
        !self.open().is_empty()
    }

    /// Forgets it; what came of it goes with the last request that holds it.
    pub(super) fn end(&self, id: &str) {
        self.open().remove(id);
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Bytes that came so far.
    pub(super) fn len(&self) -> u64 {
        self.state().len
    }

    /// Appends; blocks.
    ///
    /// # Errors
    /// Writing failed, after which nothing can be appended any more.
    pub(super) fn append(&self, chunks: &[Bytes]) -> io::Result<()> {
        let mut state = self.state();
        let State { file, hash, len, unsynced, used } = &mut *state;
        let mut writing = file.take().ok_or(io::ErrorKind::BrokenPipe)?;
        for chunk in chunks {
            writing.write_all(chunk)?;
            hash.update(chunk);
            *len += chunk.len() as u64;
            *unsynced += chunk.len() as u64;
        }
        if *unsynced >= limits::UPLOAD_SYNC_BYTES {
            writing.as_file().sync_data()?;
            *unsynced = 0;
        }
        *file = Some(writing);
        *used = Instant::now();
        Ok(())
    }

    /// The whole file and its digest; there is nothing to append to any more.
    pub(super) fn finish(&self) -> Option<(NamedTempFile, Digest)> {
        let mut state = self.state();
        let hash = mem::take(&mut state.hash);
        Some((state.file.take()?, Digest::finished(hash)))
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.state().used);
        !self.busy.load(Ordering::Acquire) && idle >= limits::UPLOAD_IDLE
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(uploads: &Uploads, directory: &tempfile::TempDir) -> Result<String, RegistryError> {
        uploads.begin("a/b", NamedTempFile::new_in(directory).unwrap())
    }

    #[test]
    fn uploads_are_bounded_and_the_idle_ones_make_room() {
        let (uploads, directory) = (Uploads::default(), tempfile::tempdir().unwrap());
        let ids: Vec<_> = (0..limits::UPLOADS).map(|_| begin(&uploads, &directory).unwrap()).collect();
        assert_eq!(begin(&uploads, &directory), Err(RegistryError::TooManyUploads));
        let files = || std::fs::read_dir(&directory).unwrap().count();
        assert_eq!(files(), limits::UPLOADS, "a refused one leaves no file");
        let Some(long_ago) = Instant::now().checked_sub(limits::UPLOAD_IDLE) else { return };
        let busy = uploads.write("a/b", &ids[0]).unwrap();
        for id in &ids[..2] {
            uploads.find("a/b", id).unwrap().state().used = long_ago;
        }
        begin(&uploads, &directory).unwrap();
        assert_eq!(files(), limits::UPLOADS, "the idle one went with its file");
        assert!(uploads.find("a/b", &ids[1]).is_err());
        assert_eq!(begin(&uploads, &directory), Err(RegistryError::TooManyUploads), "one that writes stays");
        drop(busy);
    }

    #[test]
    fn one_request_writes_at_a_time_and_only_of_its_repository() {
        let (uploads, directory) = (Uploads::default(), tempfile::tempdir().unwrap());
        let id = begin(&uploads, &directory).unwrap();
        assert!(matches!(uploads.write("a", &id), Err(RegistryError::UploadUnknown { .. })));
        let writing = uploads.write("a/b", &id).unwrap();
        assert!(matches!(uploads.write("a/b", &id), Err(RegistryError::UploadInvalid { .. })));
        writing.0.append(&[Bytes::from_static(b"ab"), Bytes::from_static(b"c")]).unwrap();
        drop(writing);
        let writing = uploads.write("a/b", &id).unwrap();
        assert_eq!(writing.0.len(), 3);
        let (file, digest) = writing.0.finish().unwrap();
        assert_eq!((std::fs::read(file.path()).unwrap(), digest), (b"abc".to_vec(), Digest::of(b"abc")));
        assert!(writing.0.append(&[Bytes::from_static(b"d")]).is_err() && writing.0.finish().is_none());
    }
}
