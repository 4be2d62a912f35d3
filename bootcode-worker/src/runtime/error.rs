//! Why a container could not be run.

use std::{io, path::PathBuf};

use super::{ReferenceError, VolumeError};

/// Why an image or a container could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The image's name cannot be used.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A volume cannot be mounted.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The image names a registry of its own, which this runtime does not ask.
    #[error(
        "{image} is not in the server's registry: put it there (`bootcode image add`), this runtime pulls from nowhere else"
    )]
    ForeignImage {
        /// As the template names it.
        image: String,
    },
    /// The image was not brought before.
    #[error("{image} is not on this machine")]
    MissingImage {
        /// As the template names it.
        image: String,
    },
    /// Pulling from the server's registry failed.
    #[cfg(feature = "oci")]
    #[error("cannot pull {image}: {source}")]
    Pull {
        /// As the template names it.
        image: String,
        /// The cause.
        #[source]
        source: Box<super::oci::PullError>,
    },
    /// The Docker engine did not do what it was asked for.
    #[cfg(feature = "docker")]
    #[error("Docker cannot {action}: {source}")]
    Docker {
        /// What was asked for.
        action: String,
        /// The cause.
        #[source]
        source: bollard::errors::Error,
    },
    /// The container was not started.
    #[error("the container did not start: {message}")]
    Start {
        /// The runtime's words.
        message: String,
    },
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Program {
        /// Its path.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file or mount on this machine.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl RuntimeError {
    /// For `map_err`.
    #[cfg_attr(not(feature = "oci"), allow(dead_code))]
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
