//! Making a file system and looking at what was made.

use std::path::{Path, PathBuf};

use crate::{
    disk::{BlockError, Device, FileSystem, PROBE_BYTES, probe},
    metadata::Format,
    run::{ToolError, run},
};

/// A file system was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// mkfs failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The partition cannot be used.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// What was made is not there.
    #[error("{} does not hold the {format} that was just made on it: the disk is faulty", node.display())]
    ReadBack {
        /// The partition.
        node: PathBuf,
        /// What should be there.
        format: &'static str,
    },
}

/// Makes the file system and reads its superblock back.
pub(crate) async fn format(
    node: &Path,
    format: Format,
    label: Option<&str>,
) -> Result<FileSystem, FormatError> {
    // Waits until nobody uses it any more; mkfs itself would fail at once.
    drop(Device::open(node)?);
    let text = node.to_string_lossy();
    let (tool, mut arguments, label_flag): (_, Vec<&str>, _) = match format {
        Format::Ext4 => ("mkfs.ext4", vec!["-q", "-F"], "-L"),
        Format::Vfat => ("mkfs.vfat", vec![], "-n"),
        Format::Swap => ("mkswap", vec!["-f"], "-L"),
    };
    if let Some(label) = label {
        arguments.extend([label_flag, label]);
    }
    arguments.push(&text);
    run(tool, &arguments).await?;
    let found = superblock(node)?.filter(|found| found.format == format);
    found.ok_or_else(|| FormatError::ReadBack { node: node.to_owned(), format: format.name() })
}

/// What stands on a partition now.
pub(crate) fn superblock(node: &Path) -> Result<Option<FileSystem>, BlockError> {
    let mut device = Device::open(node)?;
    device.flush()?;
    Ok(probe(&device.head(PROBE_BYTES)?))
}

impl Format {
    /// As mount, fstab and mkfs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Vfat => "vfat",
            Self::Swap => "swap",
        }
    }
}
