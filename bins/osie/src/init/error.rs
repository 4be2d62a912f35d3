//! What can go wrong while OSIE comes up.

use std::io;
use std::path::PathBuf;

use crate::cmdline::Mac;
use crate::modules::ModuleError;

/// A step of the start that failed; its message goes to the console.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A file or directory could not be read, written or made.
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
    /// A file system could not be mounted.
    #[error("cannot mount {kind} on {}: {source}", path.display())]
    Mount {
        /// The file system's type.
        kind: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: nix::Error,
    },
    /// A system call failed.
    #[error("{call} failed: {source}")]
    Call {
        /// The call, and on what.
        call: String,
        /// The system's reason.
        #[source]
        source: nix::Error,
    },
    /// The modules in the initramfs belong to another kernel.
    #[error(
        "the initramfs holds no modules for the running kernel {running}: boot vmlinuz and initramfs of the same build"
    )]
    OtherKernel {
        /// `uname -r`.
        running: String,
    },
    /// The module tables of the initramfs are damaged.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// No card has the MAC address of the command line.
    #[error("no network card has bootcode.mac={wanted}; there {}", cards(found))]
    NoCard {
        /// The address looked for.
        wanted: Mac,
        /// `name MAC` of each card that is there.
        found: Vec<String>,
    },
    /// The kernel refused a network setting.
    #[error("the kernel refused to {what}: {source}")]
    Network {
        /// The setting.
        what: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

fn cards(found: &[String]) -> String {
    if found.is_empty() {
        "is none at all (is its driver in the initramfs?)".to_owned()
    } else {
        format!("are: {}", found.join(", "))
    }
}

impl InitError {
    /// For `map_err` on a file operation.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// For `map_err` on a system call.
    pub(super) fn call(call: impl Into<String>) -> impl FnOnce(nix::Error) -> Self {
        let call = call.into();
        move |source| Self::Call { call, source }
    }
}
