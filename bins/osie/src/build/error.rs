//! What can keep OSIE from being built.

use std::io;
use std::path::PathBuf;

use crate::modules::ModuleError;

/// A build that failed; the message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// OSIE is built from packages of the host's architecture, and only x86_64 is known yet.
    #[error("OSIE can be built on x86_64 only, this is {arch}")]
    Architecture {
        /// The host's.
        arch: &'static str,
    },
    /// A program is not installed.
    #[error("the program `{program}` is missing: install the package {package} (`cargo xtask setup` does)")]
    ProgramMissing {
        /// The program.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program ended with an error.
    #[error("`{command}` failed ({status}){hint}: {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// What may help, or nothing.
        hint: &'static str,
        /// The end of its stderr.
        stderr: String,
    },
    /// A file could not be read, written or made.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// The verb: `read`, `write`, `make`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// apt knows none of the packages.
    #[error(
        "apt knows no package {names}: run `apt-get update`, or add the distribution's main archive to apt's sources"
    )]
    PackageUnknown {
        /// The names tried.
        names: String,
    },
    /// A package needs more others than [`crate::limits::PACKAGES`].
    #[error("package {name} needs more than {limit} others")]
    PackagesTooMany {
        /// The package asked for.
        name: String,
        /// The bound.
        limit: usize,
    },
    /// A downloaded package has another digest than apt's index says.
    #[error(
        "package {name} {version} came with SHA-256 {found}, apt's index says {expected}: run `apt-get update` and try again"
    )]
    PackageDigest {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// What the index says.
        expected: String,
        /// What came.
        found: String,
    },
    /// A package lacks a file that it should hold.
    #[error("the package {package} holds no {file}; its layout changed, bins/osie/src/build must follow")]
    PackageContent {
        /// The package's name.
        package: String,
        /// What was looked for.
        file: String,
    },
    /// The module tables cannot be used.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// A program needs a shared library that none of the packages holds.
    #[error(
        "{program} needs the shared library {library}, which none of the packages that it depends on holds"
    )]
    LibraryMissing {
        /// The program.
        program: String,
        /// The library.
        library: String,
    },
    /// A program that must be static names a loader.
    #[error("{} is not a static x86-64 program ({reason}): OSIE has no loader for it", path.display())]
    NotStatic {
        /// The program.
        path: PathBuf,
        /// What is off.
        reason: &'static str,
    },
    /// A file is larger than [`crate::limits::ENTRY_BYTES`].
    #[error("{} has {bytes} bytes, too many for an initramfs (at most {limit})", path.display())]
    EntryTooBig {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// Kernel and initramfs are larger than [`crate::limits::DOWNLOAD_BYTES`].
    #[error(
        "kernel ({kernel} bytes) and initramfs ({initramfs} bytes) together are over the {limit} bytes that a \
         machine may have to download: take modules out of bins/osie/src/build/kernel.rs or make the worker smaller"
    )]
    DownloadTooBig {
        /// Bytes of the kernel.
        kernel: u64,
        /// Bytes of the initramfs.
        initramfs: u64,
        /// The bound.
        limit: u64,
    },
}

impl BuildError {
    /// For `map_err` on a file operation.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
