//! Makes `vmlinuz-x86_64` and `initramfs-x86_64`.
//!
//! ```text
//!   packages.rs  apt: which package, fetched into the cache, checked, unpacked
//!   kernel.rs    kernel image, module closure, tables          programs.rs  our two static programs
//!   tree.rs      packages with the libraries their programs load   runtime.rs   crun out of such a tree
//!   cpio.rs      the archive
//!   initramfs.rs what stands where                             image.rs     build(): all of it, in order
//! ```

mod command;
mod control;
mod cpio;
mod error;
mod image;
mod initramfs;
mod kernel;
mod options;
mod packages;
mod programs;
mod runtime;
mod tree;

pub use cpio::{Archive, Entry};
pub use error::BuildError;
pub use image::{Built, build};
pub use options::BuildOptions;
pub use tree::PackageTree;
