//! An opened file: its length, its validators and its bytes.

use std::{fs::File, io, sync::Arc};

use bytes::Bytes;

use crate::clock::Timestamp;

/// An opened file. The bytes belong to one version of it: a file that changes meanwhile fails to read, it never mixes.
#[derive(Clone)]
pub struct Blob {
    /// Length in bytes.
    pub len: u64,
    /// A strong entity tag without its quotes (RFC 9110 8.8.3).
    pub etag: String,
    /// When it was last changed, where that is known.
    pub modified: Option<Timestamp>,
    /// The bytes.
    pub body: Body,
    /// The same bytes, from offset 0, as a file that nobody can change: for whoever sends without reading.
    pub sealed: Option<Arc<File>>,
}

/// Where the bytes are.
#[derive(Clone)]
pub enum Body {
    /// In memory.
    Memory(Bytes),
    /// Read at an offset, from a blocking thread.
    Reader(Arc<dyn ReadAt>),
}

/// Positioned, blocking reads from one version of a file.
pub trait ReadAt: Send + Sync {
    /// Reads at most `buffer.len()` bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    /// The cause; also where the file is no longer the one that was opened.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The file, where the bytes are those of one: whoever sends from it without reading asks [`ReadAt::check`] afterwards.
    fn as_file(&self) -> Option<&File> {
        None
    }

    /// Whether the bytes are still those of the version that was opened.
    ///
    /// # Errors
    /// They are not.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Blob {
    /// A file from memory; `etag` names its content.
    #[must_use]
    pub fn memory(bytes: impl Into<Bytes>, etag: impl Into<String>) -> Self {
        let bytes = bytes.into();
        Self {
            len: bytes.len() as u64,
            etag: etag.into(),
            modified: None,
            body: Body::Memory(bytes),
            sealed: None,
        }
    }

    /// Fills as much of `buffer` as the file has from `offset` on; blocks for a [`Body::Reader`].
    ///
    /// # Errors
    /// Those of [`ReadAt::read_at`], and `UnexpectedEof` where the file ends before `len`.
    pub fn read_full(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let wanted = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..wanted];
        match &self.body {
            Body::Memory(bytes) => {
                if wanted > 0 {
                    // offset + wanted <= len, which came from this very slice's usize
                    let start = usize::try_from(offset).unwrap_or(usize::MAX);
                    buffer.copy_from_slice(&bytes[start..start + wanted]);
                }
            }
            Body::Reader(reader) => {
                let mut done = 0;
                while done < wanted {
                    match reader.read_at(&mut buffer[done..], offset + done as u64)? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        n => done += n,
                    }
                }
            }
        }
        Ok(wanted)
    }
}
