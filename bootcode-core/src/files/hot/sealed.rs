//! Content in memory that is a file at the same time, and that nobody can change any more.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::Arc,
};

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};
use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};

use crate::limits;

/// A file's content.
pub(super) struct Content {
    pub(super) bytes: Bytes,
    /// The same, where it is worth it and the system lets us.
    pub(super) file: Option<Arc<File>>,
}

impl Content {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        if bytes.len() as u64 >= limits::HOT_SEALED_BYTES {
            match sealed(&bytes) {
                Ok((bytes, file)) => return Self { bytes, file: Some(Arc::new(file)) },
                // Some sandboxes forbid it; then connections copy.
                Err(error) => tracing::debug!(%error, "no memory that is a file"),
            }
        }
        Self { bytes: bytes.into(), file: None }
    }
}

fn sealed(bytes: &[u8]) -> io::Result<(Bytes, File)> {
    let mut file =
        File::from(memfd_create(c"bootcode-hot", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    file.write_all(bytes)?;
    let seals =
        SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok((Bytes::from_owner(map(&file)?), file))
}

/// Private, because kernels before 6.7 map what is sealed against writing in no other way; the pages are the file's all the same.
#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is sealed against writing, shrinking and growing, and against other seals, so its bytes stay as they are.
    unsafe { MmapOptions::new().map_copy_read_only(file) }
}
