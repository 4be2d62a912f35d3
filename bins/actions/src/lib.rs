//! The actions that install an operating system: small programs that the worker runs as containers, one after the other.
//!
//! ```text
//!  disk-wipe -> disk-partition -> install-root-fs -> install-grub -> cloud-init-seed
//!      |              |                  |                 |               |
//!   disk empty    GPT, file systems   files, fstab    boot loader     first boot's settings
//! ```
//!
//! Each reads the machine's document from the metadata service, selects the disks that it names and no others, does its
//! work, reads back what it wrote, and ends non-zero with one line of reason when anything is off. Each can be run
//! again after a crash at any point. What decides (selection, layout, texts of files) is pure; see [`disk::select`],
//! [`layout::plan`].
//!
//! ```
//! use bootcode_actions::layout::{Size, plan};
//! # use bootcode_actions::metadata::Partition;
//! let root: Partition = serde_json::from_str(r#"{"id": "root", "size": "rest", "type": "linux", "format": "ext4", "mount": "/"}"#)?;
//! let planned = plan(&[root], 4 << 30, 512).expect("fits");
//! assert_eq!(planned[0].first_lba, 2048);
//! assert_eq!("1MiB".parse(), Ok(Size::Bytes(1 << 20)));
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod disk;
mod environment;
mod error;
mod format;
pub mod layout;
pub mod limits;
pub mod metadata;
mod mount;
pub mod programs;
mod run;
mod target;

pub use environment::{Environment, EnvironmentError};
pub use error::ActionError;
pub use programs::Program;
