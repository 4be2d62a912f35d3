//! One disk, opened for this action alone.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::{
        fs::{FileTypeExt as _, OpenOptionsExt as _},
        io::AsFd as _,
    },
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use super::sys;
use crate::limits;

/// A block device, opened exclusively: the kernel refuses while anything of it is mounted.
#[derive(Debug)]
pub struct Device {
    node: PathBuf,
    file: File,
    bytes: u64,
    sector_bytes: u64,
}

/// What went wrong with a disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// It is no block device.
    #[error("{} is not a block device: does the container see the machine's /dev (`volumes: /dev:/dev`)?", node.display())]
    NotBlock {
        /// Its node.
        node: PathBuf,
    },
    /// Something holds it.
    #[error("{} is still in use after {waited:?} ({holders}): something on this machine has it mounted or assembled", node.display())]
    Busy {
        /// Its node.
        node: PathBuf,
        /// How long was waited.
        waited: Duration,
        /// What the kernel says holds it.
        holders: String,
    },
    /// A call failed.
    #[error("{}: {doing} failed: {source}", node.display())]
    Io {
        /// Its node.
        node: PathBuf,
        /// What was done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What was read back is not what was written.
    #[error("{}: byte {at} is not what was written there: the disk is faulty", node.display())]
    ReadBack {
        /// Its node.
        node: PathBuf,
        /// Where.
        at: u64,
    },
}

impl Device {
    /// Opens a disk or partition for reading and writing, waiting a while for whoever is just letting go of it.
    ///
    /// # Errors
    /// No such device, no right, or still in use.
    pub fn open(node: &Path) -> Result<Self, BlockError> {
        let fault = |doing| move |source| BlockError::Io { node: node.to_owned(), doing, source };
        let kind = std::fs::metadata(node).map_err(fault("looking at it"))?.file_type();
        if !kind.is_block_device() {
            return Err(BlockError::NotBlock { node: node.to_owned() });
        }
        let begin = Instant::now();
        let exclusive = nix::fcntl::OFlag::O_EXCL.bits();
        let mut file = loop {
            match OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(node) {
                Ok(file) => break file,
                Err(source) if source.kind() == io::ErrorKind::ResourceBusy => {
                    let waited = begin.elapsed();
                    if waited > limits::BUSY {
                        return Err(BlockError::Busy {
                            node: node.to_owned(),
                            waited,
                            holders: holders(node),
                        });
                    }
                    sleep(Duration::from_millis(200));
                }
                Err(source) => return Err(fault("opening it")(source)),
            }
        };
        let bytes = file.seek(SeekFrom::End(0)).map_err(fault("asking its size"))?;
        let sector_bytes = gptman::linux::get_sector_size(&mut file)
            .map_err(|source| fault("asking its sector size")(io::Error::other(source)))?;
        Ok(Self { node: node.to_owned(), file, bytes, sector_bytes })
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Its size.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its logical sector, 512 or 4096 as a rule.
    #[must_use]
    pub const fn sector_bytes(&self) -> u64 {
        self.sector_bytes
    }

    /// The open file, for readers and writers of tables.
    pub const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Writes zeros; the range is cut at the end of the device.
    ///
    /// # Errors
    /// The device refuses.
    pub fn zero(&mut self, start: u64, bytes: u64) -> Result<(), BlockError> {
        let zeros = vec![0; 64 << 10];
        let mut left = bytes.min(self.bytes.saturating_sub(start));
        self.seek(start)?;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            let written = self.file.write_all(zeros.get(..part).unwrap_or_default());
            written.map_err(|source| self.fault("writing zeros", source))?;
            left -= part as u64;
        }
        Ok(())
    }

    /// Tells the device to forget everything. `false`: it has no such ability.
    pub fn discard_all(&mut self) -> bool {
        sys::discard(&self.file, 0, self.bytes).is_ok()
    }

    /// Everything written is on the device, and what is read next comes from there.
    ///
    /// # Errors
    /// The device refuses.
    pub fn flush(&mut self) -> Result<(), BlockError> {
        self.file.sync_all().map_err(|source| self.fault("flushing", source))?;
        sys::flush_buffers(&self.file).map_err(|errno| self.fault("dropping its cache", errno.into()))
    }

    /// Reads a range back and fails where it is not zero.
    ///
    /// # Errors
    /// See above, or the device cannot be read.
    pub fn expect_zero(&mut self, start: u64, bytes: u64) -> Result<(), BlockError> {
        let mut left = bytes.min(self.bytes.saturating_sub(start));
        let mut at = start;
        let mut buffer = vec![0; 64 << 10];
        self.seek(start)?;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = buffer.get_mut(..part).unwrap_or_default();
            self.file.read_exact(read).map_err(|source| self.fault("reading it back", source))?;
            if let Some(offset) = read.iter().position(|byte| *byte != 0) {
                return Err(BlockError::ReadBack { node: self.node.clone(), at: at + offset as u64 });
            }
            at += part as u64;
            left -= part as u64;
        }
        Ok(())
    }

    /// The kernel reads the partition table anew.
    ///
    /// # Errors
    /// A partition is in use, and stays so.
    pub fn reread_table(&mut self) -> Result<(), BlockError> {
        let begin = Instant::now();
        loop {
            match gptman::linux::reread_partition_table(&mut self.file) {
                Ok(()) => return Ok(()),
                Err(gptman::linux::BlockError::RereadTable(nix::errno::Errno::EBUSY)) => {
                    let waited = begin.elapsed();
                    if waited > limits::BUSY {
                        let holders = holders(&self.node);
                        return Err(BlockError::Busy { node: self.node.clone(), waited, holders });
                    }
                    sleep(Duration::from_millis(200));
                }
                // A device without partitions (a plain file system on a whole loop device) has no table to read.
                Err(gptman::linux::BlockError::RereadTable(nix::errno::Errno::EINVAL)) => return Ok(()),
                Err(fault) => return Err(self.fault("reading its table anew", io::Error::other(fault))),
            }
        }
    }

    /// The first bytes, as many as there are up to `bytes`.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn head(&mut self, bytes: usize) -> Result<Vec<u8>, BlockError> {
        self.seek(0)?;
        let mut head = Vec::new();
        let limited = (&mut self.file).take(bytes as u64).read_to_end(&mut head);
        limited.map_err(|source| self.fault("reading it", source))?;
        Ok(head)
    }

    fn seek(&mut self, to: u64) -> Result<(), BlockError> {
        self.file.seek(SeekFrom::Start(to)).map(drop).map_err(|source| self.fault("seeking", source))
    }

    fn fault(&self, doing: &'static str, source: io::Error) -> BlockError {
        BlockError::Io { node: self.node.clone(), doing, source }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Closing a block device does not write its cache out at once; whoever opens it next must see all.
        let _ = nix::unistd::fsync(self.file.as_fd());
    }
}

/// What the kernel lists as stacked upon a disk, or a word on what else it can be.
fn holders(node: &Path) -> String {
    let name = node.file_name().unwrap_or_default();
    let base = Path::new("/sys/class/block").join(name);
    let listed = |dir: PathBuf| {
        std::fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().display().to_string())
    };
    let parts = listed(base.clone()).filter(|part| part.starts_with(&*name.to_string_lossy()));
    let all: Vec<_> = listed(base.join("holders"))
        .chain(parts.flat_map(|part| listed(base.join(part).join("holders"))))
        .take(8)
        .collect();
    if all.is_empty() { "mounted or opened by another process".to_owned() } else { all.join(", ") }
}
