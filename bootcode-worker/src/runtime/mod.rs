//! What runs containers.

#[cfg(any(feature = "docker", feature = "oci"))]
mod capability;
mod container;
#[cfg(feature = "docker")]
pub mod docker;
mod error;
#[cfg(feature = "oci")]
pub mod oci;
#[cfg(feature = "oci")]
mod output;
mod reference;
mod volume;

use async_trait::async_trait;

pub use self::{
    container::{ContainerName, ContainerSpec, Control, Exit, Finished},
    error::RuntimeError,
    reference::{ImageRef, ReferenceError},
    volume::{Volume, VolumeError},
};

/// A container runtime. Actions are privileged: they install machines.
#[async_trait]
pub trait ContainerRuntime: Send + Sync {
    /// Has the image on this machine, verified; images that are not needed for it may be dropped.
    /// Dropping the future ends the pull.
    ///
    /// # Errors
    /// See [`RuntimeError`].
    async fn ensure_image(&self, image: &ImageRef) -> Result<(), RuntimeError>;

    /// Runs a container of an image that [`ensure_image`](Self::ensure_image) brought, to its end. When the control
    /// says stop, or the time is over, it is killed. Nothing of it is left afterwards.
    ///
    /// # Errors
    /// The container did not start. A container that ran and failed is a [`Finished`].
    async fn run(&self, spec: ContainerSpec, control: Control) -> Result<Finished, RuntimeError>;

    /// Ends and removes what a worker before this one left: containers of this workflow, or all with `None`.
    ///
    /// # Errors
    /// Something could not be removed.
    async fn reap(&self, workflow: Option<&str>) -> Result<(), RuntimeError>;
}
